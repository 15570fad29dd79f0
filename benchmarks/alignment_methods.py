"""The methods that benchmarks/alignment.py measures: implementations of ReAlign disk to disk, and reading and writing
only.

- `engine`: `revision.align` on embedding shards.
- `torch`: plain torch streaming over the same shards, float32 blocks and float64 sums.
- `pickle`: plain pickle pipeline, written from the paper's description of the procedure: for each modality a folder of
  pickled lists of {id, embed, caption or image_path}; one pass over the files for each of mu_x, mu_y, T_x, T_y and the
  drift mean, with sums in float64, then one pass that writes pickles. It shares no code with any released one.
- `bare`: reads the target once and the source three times, as the three steps require, and writes as many bytes as the
  output has, without computing anything.

A method is `method(source, target, out, threads)`, all folders.
"""

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TORCH_ROWS = 2048
COPY_BYTES = 1 << 20
EPSILON = 1e-12


def engine(source: Path, target: Path, out: Path, threads: int) -> None:
    from revision.align import Engine, make_aligner
    from revision.embeddings import open_embeddings

    texts, images, how = open_embeddings(source), open_embeddings(target), Engine(threads)
    make_aligner("realign").fit_stream(texts, images, how).transform_stream(texts, out, engine=how)


def torch_streaming(source: Path, target: Path, out: Path, threads: int) -> None:
    import torch

    from revision.embeddings import EmbeddingSet, EmbeddingWriter, open_embeddings

    torch.set_num_threads(threads)
    unit = torch.nn.functional.normalize

    def blocks(rows: EmbeddingSet) -> Iterator[torch.Tensor]:
        return (unit(torch.from_numpy(block.copy()).float()) for block in rows.blocks(TORCH_ROWS))

    def statistics(rows: EmbeddingSet) -> tuple[torch.Tensor, float]:
        total, square = torch.zeros(rows.dim, dtype=torch.float64), 0.0
        for block in blocks(rows):
            total += block.sum(0, dtype=torch.float64)
            square += float(block.square().sum(dtype=torch.float64))
        mean = total / rows.count
        return mean.float(), square / rows.count - float(mean @ mean)

    texts, images = open_embeddings(source), open_embeddings(target)
    (mean_y, trace_y), (mean_x, trace_x) = statistics(texts), statistics(images)
    scale = (trace_x / (trace_y + EPSILON)) ** 0.5
    drift = torch.zeros(texts.dim, dtype=torch.float64)
    for block in blocks(texts):
        drift += unit(mean_x + scale * (block - mean_y)).sum(0, dtype=torch.float64)
    shift = mean_x - (drift / texts.count).float()
    with EmbeddingWriter(out, texts.dim, "float16", checked=False) as writer:
        start, names = 0, texts.ids()
        for block in blocks(texts):
            moved = unit(unit(mean_x + scale * (block - mean_y)) + shift)
            writer.append(names[start : start + len(moved)], moved.half().numpy())
            start += len(moved)


def plain_pickles(source: Path, target: Path, out: Path, threads: int) -> None:
    def files(folder: Path) -> list[Path]:
        return sorted(folder.with_name(f"{folder.name}-pickles").glob("*.pkl"))

    def chunks(folder: Path) -> Iterator[tuple[str, list[dict], np.ndarray]]:
        for path in files(folder):
            with open(path, "rb") as handle:
                entries = pickle.load(handle)  # safe: written by this benchmark
            yield path.name, entries, unit(np.stack([entry["embed"] for entry in entries]).astype(np.float64))

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def mean(folder: Path) -> np.ndarray:
        total, count = 0.0, 0
        for _, _, rows in chunks(folder):
            total, count = total + rows.sum(axis=0), count + len(rows)
        return total / count

    def trace(folder: Path, centre: np.ndarray) -> float:
        total, count = 0.0, 0
        for _, _, rows in chunks(folder):
            total, count = total + ((rows - centre) ** 2).sum(), count + len(rows)
        return total / count

    mean_y, mean_x = mean(source), mean(target)
    scale = np.sqrt(trace(target, mean_x) / (trace(source, mean_y) + EPSILON))
    drift, count = 0.0, 0
    for _, _, rows in chunks(source):
        drift, count = drift + unit(mean_x + scale * (rows - mean_y)).sum(axis=0), count + len(rows)
    out.mkdir()
    for name, entries, rows in chunks(source):
        moved = unit(unit(mean_x + scale * (rows - mean_y)) - drift / count + mean_x).astype(np.float16)
        with open(out / name, "wb") as handle:
            pickle.dump([entry | {"embed": row} for entry, row in zip(entries, moved, strict=True)], handle)


def bare(source: Path, target: Path, out: Path, threads: int) -> None:
    buffer = memoryview(bytearray(COPY_BYTES))
    for folder in (target, source, source, source):
        read(folder, buffer)
    out.mkdir()
    for shard in sorted(source.glob("*.arrow")):
        with open(out / shard.name, "wb", buffering=0) as handle:
            left = shard.stat().st_size
            while left:
                left -= handle.write(buffer[:left])


def read(folder: Path, buffer: memoryview) -> None:
    """Read every file of a folder, overwriting `buffer`."""
    for path in sorted(folder.iterdir()):
        with open(path, "rb", buffering=0) as handle:
            while handle.readinto(buffer):
                pass


METHODS = {
    "engine": engine,
    "torch": torch_streaming,
    "pickle": plain_pickles,
    "bare": bare,
}
ONE_THREAD = {"pickle", "bare"}  # the loop is sequential; numpy's row operations have no threads


def result(method: str, out: Path) -> np.ndarray:
    """Read the rows that a method wrote: float32 of shape (n, d)."""
    if method == "pickle":
        entries = [entry for path in sorted(out.glob("*.pkl")) for entry in pickle.loads(path.read_bytes())]
        return np.stack([entry["embed"] for entry in entries]).astype(np.float32)
    from revision.embeddings import open_embeddings

    return open_embeddings(out).array()


def make_set(folder: Path, rows: int, dim: int, seed: int, pickles: bool, chunk: int = 10_000) -> None:
    """Write random float16 unit rows around a random mean, as shards and (`pickles`) as pickled lists beside them."""
    from revision.embeddings import EmbeddingWriter

    rng = np.random.default_rng(seed)
    mean = rng.standard_normal(dim, dtype=np.float32)
    beside = folder.with_name(f"{folder.name}-pickles")
    with EmbeddingWriter(folder, dim, "float16", checked=False) as writer:
        for start in range(0, rows, chunk):
            block = rng.standard_normal((min(chunk, rows - start), dim), dtype=np.float32) + mean
            block /= np.linalg.norm(block, axis=1, keepdims=True)
            block, names = block.astype(np.float16), [f"{row:09d}" for row in range(start, start + len(block))]
            writer.append(names, block)
            if pickles:
                beside.mkdir(exist_ok=True)
                entries = [
                    {"id": name, "embed": row.copy(), "caption": f"a sentence about the image {name}"}
                    for name, row in zip(names, block, strict=True)
                ]
                (beside / f"chunk_{start // chunk:05d}.pkl").write_bytes(pickle.dumps(entries))
