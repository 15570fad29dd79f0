"""Exact k-NN against faiss' flat index, alternating in one run on the same data and threads.

    python benchmarks/neighbours.py --rows 100000 --queries 4096 --dim 1280 --k 20 --threads 2

Two cases: some queries against all rows, and the first `--within` rows against themselves. Prints JSON: wall and CPU
seconds of every repeat, the ratio faiss / ours of the medians, the share of equal neighbours.
"""

import argparse
import json
import os
import statistics
import time


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    defaults = {"rows": 100_000, "queries": 4096, "within": 20_000, "dim": 1280, "k": 20, "threads": 2, "repeats": 3}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", help="also write the result to this file")
    options = parser.parse_args()
    for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[pool] = str(options.threads)

    import faiss
    import numpy as np

    from revision.files import write_json
    from revision.geometry.neighbours import nearest, nearest_within

    faiss.omp_set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    corpus = rng.standard_normal((options.rows, options.dim), dtype=np.float32)
    corpus /= np.linalg.norm(corpus, axis=1, keepdims=True)
    queries = corpus[: options.queries].copy()
    index = faiss.IndexFlatIP(options.dim)
    index.add(corpus)
    half = corpus[: options.within]
    own = faiss.IndexFlatIP(options.dim)
    own.add(half)
    nearest(queries[:64], corpus[:256], options.k)
    nearest_within(queries[:2048], options.k)
    cases = {
        "queries_against_corpus": (
            lambda: nearest(queries, corpus, options.k)[1],
            lambda: index.search(queries, options.k)[1],
        ),
        "set_against_itself": (
            lambda: nearest_within(half, options.k)[1],
            lambda: own.search(half, options.k + 1)[1][:, 1:],
        ),
    }
    result: dict[str, dict] = {"settings": {k: v for k, v in vars(options).items() if k != "json"}}
    for case, (ours, theirs) in cases.items():
        wall: dict[str, list[float]] = {"ours": [], "faiss": []}
        cpu: dict[str, list[float]] = {"ours": [], "faiss": []}
        found = {}
        for _ in range(options.repeats):
            for name, run in (("ours", ours), ("faiss", theirs)):
                clocks = time.perf_counter(), time.process_time()
                found[name] = run()
                wall[name].append(round(time.perf_counter() - clocks[0], 3))
                cpu[name].append(round(time.process_time() - clocks[1], 3))
        result[case] = {
            "wall_seconds": wall,
            "cpu_seconds": cpu,
            "faiss_over_ours_wall": statistics.median(wall["faiss"]) / statistics.median(wall["ours"]),
            "faiss_over_ours_cpu": statistics.median(cpu["faiss"]) / statistics.median(cpu["ours"]),
            "equal_neighbours": float((found["ours"] == found["faiss"]).mean()),
        }
    print(json.dumps(result, indent=2))
    if options.json:
        write_json(options.json, result)


if __name__ == "__main__":
    main()
