"""The study of dose and response: every dose and every aligner trains Stage 1, then Stage 2 on images, step by step.

All conditions of a replicate (a draw of the encoder and a seed of the trainings) have the same captions, questions,
initial weights and order of batches, so that only the rows that Stage 1 reads differ. Conditions with the same rows are
trained once.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from revision.align import make_aligner
from revision.config.dose import DoseSections
from revision.config.training import LoopSettings
from revision.data.corpus import read_columns
from revision.dose.doses import (
    gap_dose,
    residual_covariance,
    residual_dose,
    rotation_dose,
    trace_dose,
)
from revision.embeddings.rows import Array
from revision.errors import DataError
from revision.evaluation.tasks.utils import normalise
from revision.io.files import atomic_file, digest, write_json
from revision.mllm.inputs import InMemory, batch_maker, load_embeddings
from revision.mllm.loop import Batch, run_loop
from revision.mllm.model import ReVisionModel, load_llm
from revision.mllm.prompts import Examples, question_prompt, tokenise
from revision.mllm.train import mean_loss

ALIGNER, PAIRED, BLIND = "aligner", "paired", "blind"


@dataclass(frozen=True)
class Condition:
    """What Stage 1 reads.

    Attributes
    ----------
    kind : str
        What is varied: gap, trace, rotation, residual, noise or aligner.
    dose : str
        The dose, or the name of an aligner, "paired" or "blind".
    rows : ndarray of shape (n, d) or None
        One row per caption; None for a text-only model, which has no Stage 1.
    noise : float
        Standard deviation of noise that is drawn anew in every epoch.
    """

    kind: str
    dose: str
    rows: Array | None
    noise: float = 0.0

    @property
    def identity(self) -> str:
        """Checksum of what Stage 1 reads."""
        rows = b"" if self.rows is None else np.ascontiguousarray(self.rows).tobytes()
        return hashlib.sha256(rows + repr(self.noise).encode()).hexdigest()


def conditions(sections: DoseSections, text: Array, image: Array, reference: Array) -> Iterator[Condition]:
    """Make the inputs of Stage 1, one condition after the other.

    Parameters
    ----------
    sections : DoseSections
        Settings.
    text, image : ndarray of shape (n, d)
        Embeddings of pairs, rows of unit length. The first `captions` rows are trained on; those after them only define
        the paired residual.
    reference : ndarray of shape (m, d)
        Embeddings of unpaired images.

    Yields
    ------
    Condition
        Doses in the order of the settings, then aligners, paired images and the text-only model.

    Raises
    ------
    DataError
        If no two pairs are left to define the residual.
    """
    settings, count = sections.dose, sections.dose.captions
    if len(text) < count + 2:
        raise DataError(
            f"dose: {len(text)} captions, of which {count} are trained on; the residual needs at least 2 more"
        )
    target_mean = np.asarray(reference, dtype=np.float64).mean(axis=0)
    covariance = residual_covariance(image[count:], text[count:])
    text, image = text[:count], image[:count]
    doses: dict[str, Callable[[float], Array]] = {
        "gap": lambda k: gap_dose(text, target_mean, k),
        "trace": lambda r: trace_dose(text, target_mean, r),
        "rotation": lambda degrees: rotation_dose(text, target_mean, degrees),
        "residual": lambda s: residual_dose(text, target_mean, covariance, s, sections.seed),
    }
    for kind, dosed in doses.items():
        for dose in getattr(settings, kind):
            yield Condition(kind, f"{dose:g}", dosed(dose))
    shifted = make_aligner("mean_shift").fit(text, reference).transform(text)
    for deviation in settings.noise:
        yield Condition("noise", f"{deviation:g}", shifted, deviation)
    for name in settings.aligners:
        chosen = sections.aligners[name]
        aligner = make_aligner(chosen.method, **chosen.params)
        yield Condition(ALIGNER, name, aligner.fit(text, reference).transform(text))
    yield Condition(ALIGNER, PAIRED, image)
    yield Condition(ALIGNER, BLIND, None)


class Trainer:
    """Trains and tests conditions; tables, embeddings and language model are read once.

    Parameters
    ----------
    sections : DoseSections
        Budgets, the steps at which models are tested, files, and the seed of the projector's initial weights and of the
        order of batches.

    Raises
    ------
    DataError
        If a file is not readable, has too few rows, or rows do not match.
    """

    def __init__(self, sections: DoseSections) -> None:
        settings, inputs = sections.dose, sections.inputs
        self.settings, self.projector, self.seed = settings, sections.projector, sections.seed
        captions = read_columns(inputs.captions, ("id", "short"))
        held_captions = read_columns(inputs.validation_captions, ("id", "short"))
        columns = ("id", "question", "answer")
        questions = _first(inputs.instructions, columns, settings.instructions, "steps or batch_size of stage2")
        self.held = _first(inputs.validation_instructions, columns, settings.questions, "questions")
        self.text, self.image, self.held_image, self.questions_image, self.held_questions_image = (
            load_embeddings(path, table["id"]).array()[: len(table["id"])]
            for path, table in (
                (inputs.text, captions),
                (inputs.image, captions),
                (inputs.validation_image, held_captions),
                (inputs.instruction_image, questions),
                (inputs.validation_instruction_image, self.held),
            )
        )
        self.llm, self.tokenizer = load_llm(Path(inputs.llm) / "llm")
        self.untrained = {name: value.clone() for name, value in self.llm.state_dict().items()}
        self.captions = self._captions(captions["short"][: settings.captions])
        self.held_captions = self._captions(held_captions["short"])
        self.questions, self.held_questions = self._questions(questions), self._questions(self.held)

    def curve(self, condition: Condition) -> list[dict[str, Any]]:
        """Train both stages.

        Parameters
        ----------
        condition : Condition
            What Stage 1 reads.

        Returns
        -------
        list of dict
            steps, metric, value: after every step of the settings, accuracy (percent) and answer_loss (nats) on
            held-out questions; after Stage 1 also what `after_stage1` measures.
        """
        visual, seed = condition.rows is not None, self.seed
        self.llm.load_state_dict(self.untrained)
        dim = self.text.shape[1] if visual else None
        model = ReVisionModel(self.llm, self.tokenizer, dim, projector=self.projector, seed=seed)
        curve: list[dict[str, Any]] = []

        def observe(trained: torch.nn.Module, step: int) -> None:
            if step in self.settings.steps:
                metrics = self.answers(model, trained, visual) | (
                    self.after_stage1(trained) if visual and not step else {}
                )
                curve.extend({"steps": step, "metric": name, "value": value} for name, value in metrics.items())

        if condition.rows is not None:
            model.llm.requires_grad_(False)
            make = batch_maker(self.captions, InMemory(condition.rows), condition.noise, seed)
            self._loop(model, self.captions, make, self.settings.stage1, "stage 1")
            model.llm.requires_grad_(True)
        images = InMemory(self.questions_image) if visual else None
        make = batch_maker(self.questions, images)
        self._loop(model, self.questions, make, self.settings.stage2, "stage 2", observe)
        return curve

    def answers(self, model: ReVisionModel, trained: torch.nn.Module, visual: bool) -> dict[str, float]:
        """Measure exact matches of greedy answers, in percent, and the loss on the answers, in nats per token."""
        images = InMemory(self.held_questions_image) if visual else None
        loss = mean_loss(trained, self.held_questions, images)
        longest = int(self.held_questions.targets.max())
        embeddings = torch.from_numpy(self.held_questions_image) if visual else None
        predictions = model.generate(self.held["question"], embeddings, longest)
        correct = [
            normalise(p) == normalise(answer) for p, answer in zip(predictions, self.held["answer"], strict=True)
        ]
        return {"accuracy": 100 * float(np.mean(correct)), "answer_loss": loss}

    def after_stage1(self, trained: torch.nn.Module) -> dict[str, float]:
        """Measure the loss on captions of held-out images; further metrics of written captions belong here."""
        return {"caption_loss": mean_loss(trained, self.held_captions, InMemory(self.held_image))}

    def _captions(self, texts: list[str]) -> Examples:
        return tokenise(self.tokenizer, [""] * len(texts), texts)

    def _questions(self, table: dict[str, list]) -> Examples:
        return tokenise(self.tokenizer, [question_prompt(text) for text in table["question"]], table["answer"])

    def _loop(
        self,
        model: ReVisionModel,
        examples: Examples,
        make: Callable[[np.ndarray, int], Batch],
        loop: LoopSettings,
        title: str,
        observe: Callable[[torch.nn.Module, int], None] | None = None,
    ) -> None:
        # A condition is trained as a whole: no state outlives its folder.
        with tempfile.TemporaryDirectory() as folder:
            run_loop(
                model,
                examples.lengths,
                examples.targets,
                make,
                loop,
                seed=self.seed,
                state=Path(folder) / "state",
                observe=observe,
                title=title,
            )


def run_study(
    sections: DoseSections, out: str | Path, progress: Callable[[str], Any] = lambda text: None
) -> pd.DataFrame:
    """Train every condition of one replicate and write a tidy table.

    Finished conditions are kept in `<out>.conditions` until all are done, so that the same call resumes after an
    interruption.

    Parameters
    ----------
    sections : DoseSections
        Settings.
    out : str or Path
        CSV to write: kind, dose, steps, encoder, seed, metric, value.
    progress : callable
        Called with a description of each condition before it is trained.

    Returns
    -------
    pandas.DataFrame
        The table.

    Raises
    ------
    ConfigError
        If an aligner does not exist.
    DataError
        If a file is not readable, has too few rows, or rows do not match.
    """
    out = Path(out)
    finished = out.with_name(f"{out.name}.conditions")
    settings, inputs = sections.dose, sections.inputs
    trainer = Trainer(sections)
    reference = load_embeddings(inputs.reference, []).array()
    files = [path / "manifest.json" if path.is_dir() else path for path in map(Path, inputs.record().values())]
    same = json.dumps(
        [settings.record(), sections.projector.record(), sections.seed, [digest(file) for file in files]],
        sort_keys=True,
    )
    rows = []
    for condition in conditions(sections, trainer.text, trainer.image, reference):
        name = hashlib.sha256(f"{same} {condition.identity}".encode()).hexdigest()[:16]
        path = finished / f"{name}.json"
        if not path.is_file():
            progress(f"encoder {sections.encoder}, seed {sections.seed}, {condition.kind} {condition.dose}")
            write_json(path, trainer.curve(condition))
        about = {"kind": condition.kind, "dose": condition.dose}
        replicate = {"encoder": sections.encoder, "seed": sections.seed}
        for row in json.loads(path.read_text(encoding="utf-8")):
            rows.append(about | {"steps": row["steps"]} | replicate | {"metric": row["metric"], "value": row["value"]})
    table = pd.DataFrame(rows)
    with atomic_file(out) as temporary:
        table.to_csv(temporary, index=False)
    shutil.rmtree(finished)
    return table


def _first(path: str, columns: tuple[str, ...], rows: int, setting: str) -> dict[str, list]:
    """Read the first rows of a table, all of which must exist."""
    table = read_columns(path, columns, rows)
    if len(table["id"]) < rows:
        raise DataError(f"{path}: {len(table['id'])} rows, the study needs {rows}; lower dose.{setting}")
    return table
