"""Evaluation through lmms-eval: model, task YAMLs and the run over many checkpoints (Section 5)."""

from typing import Any


def _model_manifest() -> Any:
    """Describe the model `revision` to lmms-eval's registry."""
    # lmms-eval loads this entry point while its registry is still being imported.
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="revision", simple_class_path="revision.evaluation.lmms_model.ReVisionLmms")


MODEL_MANIFEST = _model_manifest
