"""Compare exact k-NN search with faiss' flat index, alternating in one run on the same data and threads.

    python benchmarks/neighbours.py --rows 100000 --queries 4096 --dim 1280 --k 20 --threads 1

Two cases: queries against all rows, and the first `--within` rows against themselves. Writes wall and CPU seconds of
every run as CSV, with a plot beside it; prints the ratio of the medians, faiss / ours, and the fraction of equal
neighbours.
"""

import argparse
import os
import time
from pathlib import Path

OUT = Path("reference/benchmarks/neighbours.csv")
DEFAULTS = {"rows": 100_000, "queries": 4096, "within": 20_000, "dim": 1280, "k": 20, "threads": 1, "repeats": 3}
TITLES = {"queries": "queries against all rows", "within": "a set against itself"}


def measure(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    """Return one row per run: case, method, run, wall and CPU seconds, equal neighbours, and the settings."""
    import faiss
    import numpy as np
    import pandas as pd

    from revision.geometry.neighbours import nearest, nearest_within

    faiss.omp_set_num_threads(options.threads)
    corpus = np.random.default_rng(0).standard_normal((options.rows, options.dim), dtype=np.float32)
    corpus /= np.linalg.norm(corpus, axis=1, keepdims=True)
    queries, part = corpus[: options.queries].copy(), corpus[: options.within]
    whole, own = faiss.IndexFlatIP(options.dim), faiss.IndexFlatIP(options.dim)
    whole.add(corpus)
    own.add(part)
    nearest(queries[:64], corpus[:256], options.k)
    nearest_within(queries[:2048], options.k)
    cases = {
        ("queries", "ours"): lambda: nearest(queries, corpus, options.k)[1],
        ("queries", "faiss"): lambda: whole.search(queries, options.k)[1],
        ("within", "ours"): lambda: nearest_within(part, options.k)[1],
        ("within", "faiss"): lambda: own.search(part, options.k + 1)[1][:, 1:],
    }
    neighbours, records = {}, []
    for run in range(options.repeats):
        for (case, method), work in cases.items():
            clocks = time.perf_counter(), time.process_time()
            neighbours[case, method] = work()
            seconds = time.perf_counter() - clocks[0], time.process_time() - clocks[1]
            equal = 1.0 if method == "ours" else float((neighbours[case, "ours"] == neighbours[case, "faiss"]).mean())
            records.append((case, method, run, *(round(s, 3) for s in seconds), equal))
            print(f"{TITLES[case]}, {method}, run {run}: {seconds[0]:.1f} s", flush=True)
    table = pd.DataFrame(records, columns=["case", "method", "run", "wall_seconds", "cpu_seconds", "equal_neighbours"])
    return table.assign(**{name: getattr(options, name) for name in DEFAULTS if name != "repeats"})


def plot(table, path: Path) -> None:  # type: ignore[no-untyped-def]
    """Plot every run as a dot and the median as a line."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    settings = table.iloc[0]
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 2.8), layout="constrained")
    for panel, (case, title) in zip(panels, TITLES.items(), strict=True):
        for x, (method, colour) in enumerate((("ours", "#009E73"), ("faiss", "#D55E00"))):
            part = table[(table.case == case) & (table.method == method)]
            panel.plot([x] * len(part), part.wall_seconds, "o", color=colour)
            panel.hlines(part.wall_seconds.median(), x - 0.25, x + 0.25, color=colour)
        count = settings.queries if case == "queries" else settings.within
        against = settings.rows if case == "queries" else settings.within
        panel.set_title(f"{title}: {count} against {against}", fontsize=9)
        panel.set_xticks([0, 1], ["this package", "faiss flat"])
        top = 1.1 * table[table.case == case].wall_seconds.max()
        panel.set(ylim=(0, top), xlim=(-0.5, 1.5), ylabel="wall seconds")
    figure.suptitle(f"d = {settings.dim}, k = {settings.k}, threads: {settings.threads}", fontsize=9)
    figure.savefig(path.with_suffix(".png"), dpi=150)


def main() -> None:
    """Run the comparison, write and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[pool] = str(options.threads)
    table = measure(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out, index=False)
    plot(table, options.out)
    for case, part in table.groupby("case"):
        medians = part.groupby("method")[["wall_seconds", "cpu_seconds"]].median()
        ratio = medians.loc["faiss"] / medians.loc["ours"]
        equal = part[part.method == "faiss"].equal_neighbours.min()
        print(
            f"{TITLES[case]}: faiss / ours {ratio.wall_seconds:.2f} in wall, {ratio.cpu_seconds:.2f} in CPU seconds "
            f"(medians of {options.repeats}); equal neighbours {equal:.4%}"
        )


if __name__ == "__main__":
    main()
