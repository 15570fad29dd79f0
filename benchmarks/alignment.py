"""Time and memory of ReAlign, disk to disk, against N: this package, plain torch, and the bare reading and writing
(figure 7).

    python benchmarks/alignment.py --sizes 10000 50000 100000 --runs 3

Every measurement is a process of its own: it imports, compiles on a few rows, says "ready", does the work, says the
seconds. The parent samples its resident memory from "ready" on; the peak is counted above the memory at "ready".
Methods take turns, so that a busy machine hurts all alike; ratios are of the medians. The page cache is warm. `bare`
reads the target once and the source three times, as the three steps need, and writes the output, without looking at a
number.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

MEMORY_INTERVAL = 0.01
BLOCK_ROWS = 2048
GENERATED_ROWS = 10_000


def make_set(folder: Path, rows: int, dim: int, seed: int) -> None:
    """Random float16 unit rows around a mean of their own."""
    from revision.store import EmbeddingWriter

    rng = np.random.default_rng(seed)
    mean = rng.standard_normal(dim, dtype=np.float32)
    with EmbeddingWriter(folder, dim, "float16", checked=False) as writer:
        for start in range(0, rows, GENERATED_ROWS):
            block = rng.standard_normal((min(GENERATED_ROWS, rows - start), dim), dtype=np.float32) + mean
            block /= np.linalg.norm(block, axis=1, keepdims=True)
            writer.append([f"{row:09d}" for row in range(start, start + len(block))], block)


def run_engine(source: Path, target: Path, out: Path, threads: int) -> None:
    from revision.align import Engine, make_aligner
    from revision.store import open_embeddings

    engine, rows = Engine(threads, BLOCK_ROWS), open_embeddings(source)
    make_aligner("realign").fit_stream(rows, open_embeddings(target), engine).transform_stream(rows, out, engine=engine)


def run_torch(source: Path, target: Path, out: Path, threads: int) -> None:
    """The same steps with the same files, as one writes them in torch: float32 blocks, float64 sums."""
    import torch

    from revision.store import EmbeddingSet, EmbeddingWriter, open_embeddings

    torch.set_num_threads(threads)
    unit = torch.nn.functional.normalize

    def blocks(rows: EmbeddingSet):  # type: ignore[no-untyped-def]
        return (unit(torch.from_numpy(block.copy()).float()) for block in rows.blocks(BLOCK_ROWS))

    def statistics(rows: EmbeddingSet) -> tuple[torch.Tensor, float]:
        total, square = torch.zeros(rows.dim, dtype=torch.float64), 0.0
        for block in blocks(rows):
            total += block.sum(0, dtype=torch.float64)
            square += float(block.square().sum(dtype=torch.float64))
        mean = total / rows.count
        return mean.float(), square / rows.count - float(mean @ mean)

    texts, images = open_embeddings(source), open_embeddings(target)
    (mean_y, trace_y), (mean_x, trace_x) = statistics(texts), statistics(images)
    scale = (trace_x / trace_y) ** 0.5
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


def run_bare(source: Path, target: Path, out: Path, threads: int) -> None:
    buffer = bytearray(8 << 20)
    for folder in (target, source, source, source):
        for shard in sorted(folder.glob("*.arrow")):
            with open(shard, "rb", buffering=0) as handle:
                while handle.readinto(buffer):
                    pass
    out.mkdir()
    for shard in sorted(source.glob("*.arrow")):
        with open(out / shard.name, "wb", buffering=0) as handle:
            left = shard.stat().st_size
            while left:
                left -= handle.write(memoryview(buffer)[:left])


METHODS = {"engine": run_engine, "torch": run_torch, "bare": run_bare}


def child(method: str, threads: int, warm: Path, work: Path, out: Path) -> None:
    """What a measured process does."""
    METHODS[method](warm / "y", warm / "x", out.with_name(f"{out.name}-warm"), threads)
    print("ready", flush=True)
    start = time.perf_counter()
    METHODS[method](work / "y", work / "x", out, threads)
    print(time.perf_counter() - start, flush=True)


def resident(process: int) -> int:
    """Resident memory of a process in bytes; 0 once it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def measure(method: str, threads: int, warm: Path, work: Path) -> tuple[float, float]:
    """(seconds, peak MiB above the memory before the work) of one process."""
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        command = [sys.executable, __file__, "--child", method, str(threads), str(warm), str(work), f"{scratch}/out"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": str(threads)}
        ) as process:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise SystemExit(f"{method} failed before its measurement")
            base = peak = resident(process.pid)
            while process.poll() is None:
                peak = max(peak, resident(process.pid))
                time.sleep(MEMORY_INTERVAL)
            return float(process.stdout.readline()), (peak - base) / 2**20


def plot(table: pd.DataFrame, path: Path) -> None:
    """Median time and greatest memory against N."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for (method, threads), group in table.groupby(["method", "threads"]):
        label = f"{method}, {threads} thread" + "s" * (threads > 1)
        by_size = group.groupby("rows")
        left.plot(by_size["seconds"].median(), "o-", label=label)
        right.plot(by_size["peak_mib"].max(), "o-", label=label)
    left.set(xscale="log", yscale="log", xlabel="rows of each modality", ylabel="seconds, disk to disk (median)")
    right.set(xscale="log", xlabel="rows of each modality", ylabel="peak memory above import, MiB", ylim=(0, None))
    left.legend()
    for kind in ("png", "pdf"):
        figure.savefig(path.with_suffix(f".{kind}"), dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 50_000, 100_000])
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/alignment.csv"))
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        method, threads, *paths = options.child
        child(method, int(threads), *map(Path, paths))
        return
    records = []
    with tempfile.TemporaryDirectory() as scratch:
        warm = Path(scratch, "warm")
        for seed, name in enumerate("yx"):
            make_set(warm / name, 100, options.dim, seed)
        for rows in options.sizes:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                for seed, name in enumerate("yx"):
                    make_set(Path(folder, name), rows, options.dim, seed)
                for run in range(options.runs):
                    for method in options.methods:
                        for threads in options.threads if method != "bare" else [1]:
                            seconds, peak = measure(method, threads, warm, Path(folder))
                            records.append((rows, options.dim, "float16", method, threads, run, seconds, peak))
                            print(
                                f"{rows} rows, {method}, {threads} threads: {seconds:.3f} s, {peak:.0f} MiB", flush=True
                            )
    columns = ["rows", "dim", "dtype", "method", "threads", "run", "seconds", "peak_mib"]
    table = pd.DataFrame(records, columns=columns).round({"seconds": 4, "peak_mib": 1})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out, index=False)
    plot(table, options.out)
    median = table.groupby(["rows", "method", "threads"])["seconds"].median().unstack(["method", "threads"])
    print(median.to_string(float_format="{:.3f}".format))
    if ("bare", 1) in median:
        print("ratio to bare reading and writing")
        print(median.div(median[("bare", 1)], axis=0).to_string(float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
