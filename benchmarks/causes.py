"""Look for the causes of contradicted and inconclusive claims: vary one thing at a time on the embeddings of a run.

    python benchmarks/causes.py results/laptop/work/embeddings/0 --real clip.npy

docs/causes.md quotes the numbers. `--real` is an array (2, n, d) of images and texts, such as the CLIP embeddings of
COCO pairs that were published with arXiv:2203.02053. Aligners are fitted on the unpaired rows of the run and measured
on the second half of its held-out pairs; real pairs, of which there are few, are fitted and measured on all rows.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from revision.align import make_aligner
from revision.config import parse, read_yaml
from revision.config.encoders import EncoderSettings
from revision.config.world import WorldSettings
from revision.contrastive.loop import train
from revision.data.scenes import World
from revision.dynamics.monitor import Probe
from revision.dynamics.observation import correlation, covariance, embedding_gradients, isotropic_eigenvalues
from revision.dynamics.summary import condition_ratio
from revision.embeddings import open_embeddings
from revision.geometry.angles import cosine_density, jensen_shannon
from revision.geometry.drift import drift_sweep
from revision.geometry.frame import fit_frame, leakage, principal_sines
from revision.geometry.gap import centroid_gap, decompose
from revision.geometry.neighbours import mixing_rate, neighbour_overlap
from revision.geometry.spectrum import covariance_eigenvalues, effective_rank, eigenvalues, eigenvectors, power_law
from revision.io.files import atomic_file
from revision.stats.published import cost_usd

ROOT = Path(__file__).parents[1]
OUT = ROOT / "reference/benchmarks/causes.csv"
DRIFT = ROOT / "reference/pretrained/figures/drift.csv"
NOISE = (0.0, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1)
SHARES = (0.0, 0.4, 1.0)
SEEDS = (0, 1)
STEPS = 600
Row = tuple[str, str, float]  # setting, quantity, value


@dataclass(frozen=True)
class Data:
    """Texts and images to fit on, and pairs to measure on; unit rows, and the temperature of the encoder."""

    name: str
    texts: np.ndarray
    images: np.ndarray
    text: np.ndarray
    image: np.ndarray
    temperature: float


def unit(rows: np.ndarray) -> np.ndarray:
    """Normalise rows."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def read_run(folder: Path) -> dict[str, np.ndarray]:
    """The sets of a run that the experiments use."""
    names = ("text_short", "reference_image", "probe_short", "probe_image")
    return {name: np.asarray(open_embeddings(folder / name).array(), dtype=np.float64) for name in names}


def noise(data: Data) -> Iterator[Row]:
    """Mixing rate and divergence of angles after C3 against its noise, with the trace of the texts."""
    image = cosine_density(data.image)

    def of(rows: np.ndarray, setting: str) -> Iterator[Row]:
        yield setting, "mixing percent", 100 * mixing_rate(rows, data.image)
        yield setting, "divergence", jensen_shannon(cosine_density(rows), image)
        yield setting, "trace", float(rows.var(axis=0).sum())

    yield from of(data.image, "images themselves")
    yield from of(make_aligner("realign").fit(data.texts, data.images).transform(data.text), "ReAlign")
    for sigma in NOISE:
        yield from of(make_aligner("c3", noise=sigma).fit(data.texts, data.images).transform(data.text), f"C3 {sigma}")


def blockwise(data: Data, setting: str, shrinkage: float = 0.01) -> Iterator[Row]:
    """Neighbours kept by BC Align, and how far its linear map is from a similarity: the spread of its singular values.

    The spread is the standard deviation of their decimal logarithms, weighted by the variance of the texts along each.
    """
    aligner = make_aligner("bc_align", shrinkage=shrinkage).fit(data.texts, data.images)
    directions, values, _ = np.linalg.svd(aligner.transforms_[1].matrix)
    weights = np.var((data.texts - data.texts.mean(axis=0)) @ directions, axis=0)
    spread = np.sqrt(np.cov(np.log10(values), aweights=weights, ddof=0))
    kept = 100 * neighbour_overlap(data.text, aligner.transform(data.text))
    yield setting, "neighbours kept, percent", kept
    yield setting, "spread of the map", float(spread)


def changed_texts(data: Data, exponent: float = 1.0, reverse: int = 0) -> Data:
    """Texts with the eigenvalues of their covariance to a power, at equal trace, or with leading axes reversed."""
    mean = data.texts.mean(axis=0)
    values, axes = eigenvectors(covariance(data.texts))
    changed = values**exponent
    order = np.r_[np.arange(reverse)[::-1], reverse : len(values)]
    matrix = (axes * np.sqrt(changed * values.sum() / changed.sum() / values)) @ axes[:, order].T
    texts, text = (unit(mean + (rows - mean) @ matrix) for rows in (data.texts, data.text))
    return replace(data, texts=texts, text=text)


def blockwise_sweep(data: Data) -> Iterator[Row]:
    """BC Align against its shrinkage, its rows, the spectrum and the axes of the texts, and the number of axes."""
    for shrinkage in (0.0, 0.01, 0.1, 0.5, 1.0):
        yield from blockwise(data, f"shrinkage {shrinkage}", shrinkage)
    if data.text is data.texts:  # real pairs: fewer axes at the same number of rows
        axes = fit_frame(data.image, data.text, rank=256).U
        for rank in (4, 8, 16, 32, 64, 128, 256):
            kept = {name: unit(getattr(data, name) @ axes[:, :rank]) for name in ("texts", "images", "text", "image")}
            yield from blockwise(replace(data, **kept), f"{rank} leading axes")
        half = len(data.text) // 2
        texts = replace(data, texts=data.text[:half], images=data.text[half:], text=data.text[:half])
        yield from blockwise(texts, "two halves of the texts")
        return
    for exponent in (0.5, 2.0):
        yield from blockwise(changed_texts(data, exponent), f"texts' eigenvalues to the power {exponent}")
    for reverse in (8, 20, 40, 128):
        yield from blockwise(changed_texts(data, reverse=reverse), f"the texts' {reverse} leading axes reversed")
    for rows in (150, 500, 2500):
        fewer = replace(data, texts=data.texts[:rows], images=data.images[:rows], text=data.text[:500])
        yield from blockwise(fewer, f"fitted on {rows} rows, measured on 500")


def spectrum(data: Data) -> Iterator[Row]:
    """Power-law exponent of images minus that of texts against the ranks of the fit, and the effective ranks."""
    values = {"image": covariance_eigenvalues(data.image), "text": covariance_eigenvalues(data.text)}
    for first, last in ((1, 10), (1, 20), (1, 50), (1, 64), (1, 100), (20, 128), (5, 256)):
        if last <= data.text.shape[1]:
            fits = {name: power_law(part, first, last) for name, part in values.items()}
            setting = f"ranks {first} to {last}"
            yield setting, "exponent, images minus texts", fits["image"].alpha - fits["text"].alpha
            yield setting, "R^2, images", fits["image"].r_squared
    for name, part in values.items():
        yield name, "effective rank", effective_rank(part)
        yield name, "first eigenvalue over the tenth", float(part[0] / part[9])


def frames(data: Data) -> Iterator[Row]:
    """Leakage and angles of frames without any training between: the frame of one half of the pairs, seen on the other.

    Also the statistics of figure 1c, against the energy of U.
    """
    half = len(data.text) // 2
    (image, other_image), (text, other_text) = ((rows[:half], rows[half:]) for rows in (data.image, data.text))
    batch = [torch.from_numpy(rows[:256]) for rows in (other_image, other_text)]
    for energy in (0.8, 0.9, 0.95, 0.99):
        frame, setting = fit_frame(image, text, energy=energy), f"energy {energy}"
        again = fit_frame(other_image, other_text, rank=frame.rank)
        sines, chance = principal_sines(again.U, frame.U), np.sqrt(1 - frame.rank / len(frame.U))
        parts = decompose(other_image, other_text, frame)
        delta = eigenvalues(covariance(parts.delta @ frame.U))
        yield setting, "rank of U", frame.rank
        yield setting, "largest sine", float(sines[0])
        yield setting, "rms sine", float(np.sqrt(np.mean(sines**2)))
        yield setting, "leakage by chance", float(chance)
        yield setting, "condition ratio of delta", condition_ratio(delta, len(parts.delta))
        for temperature in (data.temperature, 100.0):
            gradients = np.concatenate(embedding_gradients(*batch, 1 / temperature)[:2])
            yield f"{setting}, temperature {temperature:g}", "leakage", leakage(gradients, frame)
            if temperature == data.temperature:
                own = sum(covariance(part @ frame.U) for part in np.split(gradients, 2))
                isotropic = np.array(isotropic_eigenvalues(len(gradients), frame.rank))
                yield setting, "spectral correlation", correlation(delta, eigenvalues(own))
                yield setting, "spectral correlation by sorting", correlation(delta, isotropic)


def drift(data: Data) -> Iterator[Row]:
    """The drift of theorem B.14 against the residual's size, and the closed form for a residual beside the mean."""
    before = make_aligner("realign", steps=2).fit(data.texts, data.images).transforms_[0]
    sizes = (0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0)
    sweep = drift_sweep(before.scale * data.texts + before.shift, sizes)
    for size, one in zip(sizes, sweep, strict=True):
        measured, setting = float(np.linalg.norm(one.measured)), f"residual times {size}"
        yield setting, "relative residual", one.relative_residual
        yield setting, "measured over predicted", measured / float(np.linalg.norm(one.predicted))
        closed = 1 - 1 / np.sqrt(1 + one.relative_residual**2)
        yield setting, "measured over closed form", measured / closed
    for small, large, below, above in zip(sizes, sizes[1:], sweep, sweep[1:], strict=False):
        slope = np.log2(np.linalg.norm(above.measured) / np.linalg.norm(below.measured))
        yield f"residual times {small} to {large}", "local exponent", float(slope)


def isotropic_drift() -> Iterator[Row]:
    """Tangential drift of an isotropic sample as large as that of `pretrained` against the number of rows."""
    committed = pd.read_csv(DRIFT).query("factor == 1").set_index("residual")
    texts, size, dim = committed.loc["texts"], committed.loc["isotropic"].relative_residual, 128
    yield "texts of pretrained", "tangential drift", texts.measured_tangential
    for rows in (1000, 3000, 10_000, 30_000, 100_000):
        lengths = []
        for seed in range(5):
            cloud = np.random.default_rng((rows, seed)).standard_normal((rows, dim)) * size / np.sqrt(dim)
            cloud[:, 0] += 1 - cloud[:, 0].mean()
            cloud[:, 1:] -= cloud[:, 1:].mean(axis=0)
            lengths.append(drift_sweep(cloud, [1.0])[0].tangential()[1])
        yield f"{rows} rows, simulated", "tangential drift", float(np.mean(lengths))
        yield f"{rows} rows, simulated", "ratio", texts.measured_tangential / float(np.mean(lengths))


def held_out(run: dict[str, np.ndarray]) -> Iterator[Row]:
    """Held-out gap against the number of unpaired rows and of held-out pairs (means of five draws)."""
    texts, images = run["text_short"], run["reference_image"]
    for size in (250, 500, 1000, 2500, 5000):
        gaps: dict[str, list[float]] = {}
        for seed in range(5):
            random = np.random.default_rng((size, seed))
            fit = [rows[random.choice(len(rows), 2 * size, replace=False)] for rows in (texts, images)]
            rows = random.choice(len(run["probe_image"]), size, replace=False)
            pairs = run["probe_short"][rows], run["probe_image"][rows]
            for name, options in (("realign", {}), ("realign, steps 1 and 2", {"steps": 2}), ("c3", {"noise": 0.02})):
                aligner = make_aligner(name.split(",")[0], **options).fit(*fit)
                for sample, (text, image) in (("fitted", fit), ("held-out", pairs)):
                    gap = centroid_gap(aligner.transform(text), image)
                    gaps.setdefault(f"gap, {name}, {sample}", []).append(gap)
        means = {name: float(np.mean(values)) for name, values in gaps.items()}
        for sample in ("fitted", "held-out"):
            for other in ("c3", "realign, steps 1 and 2"):
                ratio = means[f"gap, realign, {sample}"] / means[f"gap, {other}, {sample}"]
                means[f"realign over {other}, {sample}"] = ratio
        yield from ((f"{size} pairs", quantity, value) for quantity, value in means.items())


def long_captions() -> Iterator[Row]:
    """Gap of short and of long captions against the share of training batches that have long captions.

    The encoder is that of the causes of the gap, trained for longer: after its 150 steps the gap has hardly closed.
    """
    settings = read_yaml(ROOT / "config/default.yaml")
    world = World(parse(WorldSettings, settings["world"], "world"))
    probe = Probe.of_world(world, 2000)
    longer = replace(probe, captions=world.captions(world.scenes("probe", 0, 2000), "long"))
    for share in SHARES:
        encoder = parse(
            EncoderSettings, settings["dynamics"]["causes"]["base"] | {"long_share": share, "steps": STEPS}, "encoder"
        )
        for seed in SEEDS:
            with TemporaryDirectory() as folder:
                model = train(world, encoder, Path(folder) / "encoder", seed=seed, show_progress=False)
            for name, part in (("short", probe), ("long", longer)):
                yield f"share {share}, seed {seed}", f"gap, {name}", centroid_gap(*part.embed(model))


def costs() -> Iterator[Row]:
    """The cost of a million pairs with the printed number of input tokens, and with one digit changed."""
    printed = read_yaml(ROOT / "config/published.yaml")["costs"]
    pairs, texts = printed["rows"]["Paired image-text"], printed["rows"]["ReVision-1M"]
    text = cost_usd(texts["input"], texts["output"], printed["price"])
    for tokens in (pairs["input"], 251.64):
        usd = cost_usd(tokens, pairs["output"], printed["price"])
        yield f"{tokens} million input tokens", "USD", usd
        yield f"{tokens} million input tokens", "relative cost of a million texts", text / usd


def experiments(run: dict[str, np.ndarray], real: Path | None) -> Iterator[tuple[str, str, Iterator[Row]]]:
    """Name, data and rows of each experiment."""
    half = len(run["probe_image"]) // 2
    pairs = run["probe_short"][half:], run["probe_image"][half:]
    every = [Data("laptop", run["text_short"], run["reference_image"], *pairs, 0.03)]
    if real is not None:
        image, text = unit(np.load(real, allow_pickle=False).astype(np.float64))
        every.append(Data("CLIP", text, image, text, image, 0.01))
    for data in every:
        for experiment in (noise, blockwise_sweep, spectrum, frames, drift):
            yield experiment.__name__, data.name, experiment(data)
    yield "held_out", "laptop", held_out(run)
    yield "isotropic_drift", "pretrained", isotropic_drift()
    yield "costs", "published", costs()
    yield "long_captions", "encoders", long_captions()


def main() -> None:
    """Run the experiments and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path, help="the folder of a run's embeddings of one encoder")
    parser.add_argument("--real", type=Path, help="array (2, n, d) of real pairs: images, texts")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    rows = [
        (experiment, data, *row)
        for experiment, data, values in experiments(read_run(options.embeddings), options.real)
        for row in values
    ]
    table = pd.DataFrame(rows, columns=["experiment", "data", "setting", "quantity", "value"])
    with atomic_file(options.out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")
    print(table.to_string())


if __name__ == "__main__":
    main()
