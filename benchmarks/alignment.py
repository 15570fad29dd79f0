"""Measure time and memory of ReAlign, disk to disk, against N (figure 7): this package, other implementations, and
reading and writing only.

    python benchmarks/alignment.py --sizes 10000 50000 100000 1000000

Every measurement runs in a process of its own, which imports, aligns a few rows, prints "ready", does the work, and
prints its seconds, its CPU seconds and its peak resident memory above that at "ready" (including mapped shards). Before
each measurement the inputs are read, so that the page cache is warm, and dirty pages are flushed. Methods alternate, so
that other load on the machine affects all of them; ratios are of medians, and competitors count with their better
number of threads. The methods are described in alignment_methods.py; before anything is measured, the script checks
that all of them write the same rows.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))
import alignment_methods as methods

WARM_ROWS = 100
RUNS_FEW_FROM = 500_000  # from this many rows on, 3 runs suffice
SLOW = {"torch", "pickle"}
FLOAT16_STEP = 1e-3
QUOTED = {"released_script_seconds": 10.45, "released_script_gb": 1.89, "torch_streaming_seconds": 1.99}
COLUMNS = ["rows", "dim", "dtype", "method", "threads", "run", "seconds", "cpu_seconds", "peak_mib"]
LABELS = {
    "engine": "revision",
    "torch": "plain torch streaming",
    "pickle": "plain pickle pipeline",
    "bare": "reading and writing only",
}
COLOURS = {
    "engine": "#009E73",
    "torch": "#E69F00",
    "pickle": "#882255",
    "bare": "#000000",
}


def memory(field: str) -> float:
    """Return a field of this process' memory in MiB, such as VmRSS."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def child(method: str, threads: int, warm: Path, work: Path, out: Path) -> None:
    """Run one measurement, in a process of its own."""
    methods.METHODS[method](warm / "y", warm / "x", out.with_name(f"{out.name}-warm"), threads)
    print("ready", flush=True)
    base = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    methods.METHODS[method](work / "y", work / "x", out, threads)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(seconds, cpu, memory("VmHWM") - base, flush=True)


def measure(method: str, threads: int, warm: Path, work: Path) -> list[float]:
    """Return [seconds, CPU seconds, peak MiB above the memory before the work] of one process."""
    buffer = memoryview(bytearray(methods.COPY_BYTES))
    for name in ("y-pickles", "x-pickles") if method == "pickle" else ("y", "x"):
        methods.read(work / name, buffer)
    os.sync()
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        command = [sys.executable, __file__, "--child", method, str(threads), str(warm), str(work), f"{scratch}/out"]
        pools = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # as in `revision align`
        done = subprocess.run(command, stdout=subprocess.PIPE, env=os.environ | pools, check=True, text=True)
        ready, numbers = done.stdout.splitlines()
        assert ready == "ready"
        return [float(number) for number in numbers.split()]


def check_agreement(warm: Path, chosen: list[str]) -> None:
    """Exit unless every method writes the same rows as the first, up to float16 rounding."""
    outputs = {}
    for method in chosen:
        if method != "bare":
            out = warm / f"out-{method}"
            methods.METHODS[method](warm / "y", warm / "x", out, 1)
            outputs[method] = methods.result(method, out)
    first = next(iter(outputs.values()))
    for method, rows in outputs.items():
        if not np.abs(rows - first).max() < FLOAT16_STEP:
            raise SystemExit(f"{method} and {next(iter(outputs))} write different rows: nothing was measured")


def ratios(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return for each N the median times of the others relative to the engine, and of the engine relative to `bare`."""
    median = table.groupby(["rows", "method", "threads"])["seconds"].median()
    cpu = table.groupby(["rows", "method", "threads"])["cpu_seconds"].median()
    result: dict[str, dict[str, float]] = {}
    for rows in sorted(table["rows"].unique()):
        best = median[rows].groupby("method").min()
        entry = {f"{name}_over_engine": best[name] / best["engine"] for name in SLOW & set(best.index)}
        entry |= {f"engine_{n}_threads_over_bare": t / best["bare"] for n, t in median[rows, "engine"].items()}
        entry["engine_cpu_over_bare_cpu"] = cpu[rows, "engine"].min() / cpu[rows, "bare"].min()
        peaks = table[(table["rows"] == rows) & (table["method"] == "engine")]["peak_mib"]
        result[str(rows)] = {key: round(float(value), 3) for key, value in entry.items()}
        result[str(rows)]["engine_peak_mib"] = float(peaks.max())
    return result


def plot(table: pd.DataFrame, path: Path) -> None:
    """Plot median time and maximum memory against N, with logarithmic axes."""
    import style

    figure, (left, right) = style.plt.subplots(1, 2, figsize=(9, 4.2))
    for (method, threads), group in table.groupby(["method", "threads"]):
        count = "" if method in methods.ONE_THREAD else f", {threads} thread" + "s" * (threads > 1)
        look = {
            "color": COLOURS[method],
            "linestyle": ":" if method == "bare" else "-" if threads == 1 else "--",
            "marker": "o",
            "markersize": 4,
            "label": LABELS[method] + count,
        }
        by_size = group.groupby("rows")
        left.plot(by_size["seconds"].median(), **look)
        right.plot(by_size["peak_mib"].max(), **look)
    left.set(xscale="log", yscale="log", xlabel="rows of each modality", ylabel="seconds, disk to disk (median)")
    right.set(xscale="log", yscale="log", xlabel="rows of each modality", ylabel="peak memory above import, MiB")
    right.axhline(200, color="#999999", linewidth=1)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
    style.save(figure, path)


def describe(table: pd.DataFrame, runs: dict[int, int], path: Path) -> dict[str, dict[str, float]]:
    """Write a JSON file with settings and ratios beside the table; return the ratios."""
    from revision.io.files import write_json

    packages = ("numpy", "pyarrow", "torch")
    by_rows = ratios(table)
    facts = {
        "title": "Time and memory of alignment against N",
        "place": "figure 7",
        "caption": "ReAlign disk to disk on float16 shards of random unit rows, d = "
        f"{table['dim'].iloc[0]}; medians of {min(runs.values())} to {max(runs.values())} runs, warm page cache, "
        "methods alternating on a machine that was also used by other processes. The dotted line reads the target "
        "once and the source three times and writes the output, without computing anything.",
        "alt": "Two log-log plots against the number of rows: seconds rise in proportion to N; memory of the engine "
        "stays flat.",
        "comparisons": [],
        "quoted_not_measured_here": QUOTED,
        "ratios": by_rows,
        "runs": {str(rows): count for rows, count in runs.items()},
        "machine": {"cores": os.cpu_count()},
        "versions": {"python": sys.version.split()[0]} | {name: version(name) for name in packages},
    }
    write_json(path.with_suffix(".json"), facts)
    return by_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 50_000, 100_000])
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--runs", type=int, help=f"default: 5, and 3 from {RUNS_FEW_FROM} rows on")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--methods", nargs="+", choices=list(methods.METHODS), default=list(methods.METHODS))
    parser.add_argument("--slow-rows", type=int, default=100_000, help="torch and pickle run up to this many rows")
    parser.add_argument("--scratch", type=Path, help="where sets are written; default: the system's temporary folder")
    parser.add_argument("--out", type=Path, default=Path("reference/benchmarks/alignment.csv"))
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        method, threads, *paths = options.child
        child(method, int(threads), *map(Path, paths))
        return
    records, runs = [], {}
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        warm = Path(scratch, "warm")
        for seed, name in enumerate("yx"):
            methods.make_set(warm / name, WARM_ROWS, options.dim, seed, pickles=True)
        check_agreement(warm, options.methods)
        for rows in options.sizes:
            chosen = [name for name in options.methods if name not in SLOW or rows <= options.slow_rows]
            runs[rows] = options.runs or (3 if rows >= RUNS_FEW_FROM else 5)
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                for seed, name in enumerate("yx"):
                    methods.make_set(Path(folder, name), rows, options.dim, seed, "pickle" in chosen)
                for run in range(runs[rows]):
                    for method in chosen:
                        for threads in [1] if method in methods.ONE_THREAD else options.threads:
                            numbers = measure(method, threads, warm, Path(folder))
                            records.append((rows, options.dim, "float16", method, threads, run, *numbers))
                            print(*records[-1][:1], method, threads, *(f"{n:.3f}" for n in numbers), flush=True)
    table = pd.DataFrame(records, columns=COLUMNS).round({"seconds": 4, "cpu_seconds": 4, "peak_mib": 1})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out, index=False)
    plot(table, options.out)
    for rows, values in describe(table, runs, options.out).items():
        print(rows, values)


if __name__ == "__main__":
    main()
