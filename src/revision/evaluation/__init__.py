"""Evaluation through lmms-eval: the model, the task YAMLs and the run over many checkpoints (paper, section 5)."""

from typing import Any


def _model_manifest() -> Any:
    """Describe the model `revision` to lmms-eval's registry.

    lmms-eval reads the entry point while its own registry is half imported, so the manifest is made on call.
    """
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="revision", simple_class_path="revision.evaluation.lmms_model.ReVisionLmms")


MODEL_MANIFEST = _model_manifest
