"""Why Stage 1 on pairs ends below Stage 1 on text at the scale `pretrained`: experiments of docs/causes.md.

    python benchmarks/paired_stage1.py results/pretrained/work --out build/paired_stage1

Each experiment changes Stage 1 or the projector between the stages, then trains Stage 2 as the run did, and is measured
beside the run's own Paired and ReVision: held-out loss and accuracy after Stage 2, and the spread of the visual token
relative to the norm of its mean. Trainings that are complete in `--out` are kept: about half an hour of CPU time for
each seed.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from revision.align import make_aligner
from revision.config import Configuration, read, read_yaml
from revision.config.evaluation import Checkpoint
from revision.config.training import FinetuneSections, PretrainSections
from revision.data.scenes import World
from revision.embeddings import open_embeddings
from revision.encoders import load_encoder
from revision.encoders.embed import embed_corpus
from revision.evaluation.run import evaluate
from revision.geometry.spectrum import covariance_eigenvalues, effective_rank
from revision.io.files import atomic_file
from revision.mllm.model import ReVisionModel
from revision.mllm.train import train_stage1, train_stage2

ROOT = Path(__file__).parents[1]
OUT = ROOT / "reference/benchmarks/paired_stage1.csv"
SCALED = {"paired_as_revision": ("paired", "revision"), "revision_as_paired": ("revision", "paired")}
RETRAINED = {"full_short": ("full", "short"), "image_full": ("image", "full")}  # input and target of Stage 1


class Experiment:
    """The work folder of the run, its settings, and the folder of the experiments' results."""

    def __init__(self, work: Path, out: Path, seed: int) -> None:
        self.work, self.out, self.seed = work, out, seed
        self.name = f"encoder0_seed{seed}"
        images = open_embeddings(work / "embeddings/0/instruct_image")
        self.images = torch.from_numpy(images.take(np.arange(images.count)))

    def settings(self, stage: str, kind: type, **changes: Any) -> tuple[Any, Any, Any]:
        """The run's settings of Paired, with paths of this machine and changes."""
        sections = read(self.work / f"config/{stage}/paired_{self.name}.yaml", kind)
        training = sections.trainings[0]
        prefix = f"results/{self.work.parent.name}/work"
        moved = {key: value.replace(prefix, str(self.work), 1)
                 for key, value in training.model_dump().items() if isinstance(value, str)}  # fmt: skip
        return training.model_copy(update=moved | changes), sections.loop, sections.projector

    def folder(self, stage: str, name: str) -> Path:
        """Folder of a checkpoint, of this experiment or of the run."""
        own = name in SCALED or name in RETRAINED
        return (self.out if own else self.work) / stage / name / self.name

    def token(self, model: ReVisionModel) -> tuple[np.ndarray, float]:
        """Visual tokens of the images of Stage 2, and their spread over the norm of their mean."""
        with torch.inference_mode():
            tokens = model.projector(self.images)[:, 0].numpy()
        mean = tokens.mean(axis=0, dtype=np.float64)
        spread = np.sqrt(((tokens - mean) ** 2).sum(axis=1).mean())
        return tokens, float(spread / np.linalg.norm(mean))

    def rescale(self, name: str) -> None:
        """Give the visual token the relative spread of another method's; only the projector's last layer changes."""
        of, like = (ReVisionModel.load(self.folder("stage1", method)) for method in SCALED[name])
        tokens, spread = self.token(of)
        factor = self.token(like)[1] / spread
        last, mean = of.projector.layers[-1], torch.from_numpy(tokens.mean(axis=0))
        with torch.no_grad():
            last.weight.mul_(factor)
            last.bias.mul_(factor).add_(mean, alpha=1 - factor)
        of.save(self.folder("stage1", name), self.work / "llm/smollm2")

    def retrain(self, name: str) -> None:
        """Train Stage 1 with an input and a target of RETRAINED; full captions name everything in a scene."""
        source, target = RETRAINED[name]
        changes: dict[str, Any] = {"out": str(self.folder("stage1", name))}
        if source == "full":
            changes["embeddings"] = str(self.aligned_full())
        if target == "full":
            changes |= {"captions": str(self.full("text")), "validation_captions": str(self.full("validation"))}
        train_stage1(*self.settings("stage1", PretrainSections, **changes))

    def full(self, table: str) -> Path:
        """The full captions of a table in place of its short ones."""
        path = self.out / f"{table}_full.parquet"
        if not path.exists():
            world = World(read(self.work / "config/report.yaml", Configuration).world)
            rows = pq.read_table(self.work / f"data/{table}.parquet", columns=["id"])
            captions = world.captions(world.scenes(table, 0, rows.num_rows), "full")
            with atomic_file(path) as temporary:
                pq.write_table(pa.table({"id": rows["id"], "short": captions}), temporary)
        return path

    def aligned_full(self) -> Path:
        """Embeddings of the full captions, aligned to the images as ReVision's short ones are."""
        texts, aligned = self.out / "embeddings/text_full", self.out / "embeddings/realign_full"
        if not aligned.exists():
            embed_corpus(load_encoder(self.work / "encoder/0"), self.full("text"), "short", texts)
            rows = open_embeddings(texts)
            aligner = make_aligner("realign")
            aligner.fit_stream(rows, open_embeddings(self.work / "embeddings/0/reference_image"))
            aligner.transform_stream(rows, aligned)
        return aligned

    def run(self) -> pd.DataFrame:
        """Train what is missing and measure all."""
        names = ["paired", "revision", *SCALED, *RETRAINED]
        for name in (*SCALED, *RETRAINED):
            start, end = self.folder("stage1", name), self.folder("stage2", name)
            if not (start / "projector.safetensors").exists():
                self.rescale(name) if name in SCALED else self.retrain(name)
            if not (end / "manifest.json").exists():
                train_stage2(*self.settings("stage2", FinetuneSections, start=str(start), out=str(end)))
        checkpoints = [Checkpoint(method=name, encoder=0, seed=self.seed, folder=str(self.folder("stage2", name)))
                       for name in names]  # fmt: skip
        precision = read_yaml(self.work / f"config/evaluate/{self.name}.yaml")["precision"]
        table = self.out / f"answers_seed{self.seed}.parquet"
        answers = evaluate(checkpoints, self.work / "tasks", self.work / "encoder/0", table, precision=precision)
        suites = answers.to_pandas().groupby(["method", "suite"]).correct.mean()
        rows = []
        for name in names:
            tokens, spread = self.token(ReVisionModel.load(self.folder("stage1", name)))
            history = pd.read_csv(self.folder("stage2", name) / "history.csv")
            rows.append({"start": name, "seed": self.seed, "held_out_loss": history.validation_loss.iloc[-1],
                         "accuracy_percent": 100 * suites[name].mean(), "relative_spread": spread,
                         "effective_rank": effective_rank(covariance_eigenvalues(tokens))})  # fmt: skip
        return pd.DataFrame(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="work folder of a run of `pretrained`")
    parser.add_argument("--out", type=Path, default=Path("build/paired_stage1"), help="folder of checkpoints")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--table", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tables = [Experiment(options.work.resolve(), options.out.resolve(), seed).run() for seed in options.seeds]
    with atomic_file(options.table) as temporary:
        pd.concat(tables).round(6).to_csv(temporary, index=False)
    print(pd.concat(tables).round(3).to_string(index=False))
