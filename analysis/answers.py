"""Answers of all seeds as arrays, and tables of accuracy with intervals and paired differences."""

from pathlib import Path

import numpy as np
import pandas as pd

from revision.intervals import bootstrap, interval, over_seeds

REFERENCE = "revision"
BOOTSTRAP_SEED = 20260207


def load_answers(work: Path, seeds: list[int]) -> pd.DataFrame:
    """Per-question results of every checkpoint and seed."""
    return pd.concat([pd.read_parquet(work / f"answers/seed{seed}.parquet") for seed in seeds], ignore_index=True)


def matrices(answers: pd.DataFrame, method: str) -> dict[str, np.ndarray]:
    """For each suite the answers of one method as 0/1 [seeds, questions]."""
    part = answers[answers.method == method]
    return {
        suite: rows.pivot(index="seed", columns="question", values="correct").to_numpy(dtype=float)
        for suite, rows in part.groupby("suite", sort=False)
    }


def score_table(answers: pd.DataFrame, stage: str, variants: list[str]) -> pd.DataFrame:
    """One row a number in percent: method, suite, group, value, low, high, and the paired difference to ReVision.

    Suite "average" is the unweighted mean over suites, as in the paper. `difference_low` and `difference_high` are of
    the paired bootstrap over seeds and questions; `t_low` and `t_high` of Student's t over paired seeds alone.
    """
    groups = answers.drop_duplicates("suite").set_index("suite").group
    reference = matrices(answers, f"{stage}/{REFERENCE}")
    rows = []
    for name in variants:
        correct = matrices(answers, f"{stage}/{name}")
        if not correct:
            continue
        suites = list(correct)
        means = np.stack([correct[suite].mean(axis=1) for suite in suites], axis=1)
        resamples = bootstrap(correct, seed=BOOTSTRAP_SEED)
        base = np.stack([reference[suite].mean(axis=1) for suite in suites], axis=1)
        base_resamples = bootstrap({suite: reference[suite] for suite in suites}, seed=BOOTSTRAP_SEED)
        columns = [(suite, groups[suite], [k]) for k, suite in enumerate(suites)]
        for group in dict.fromkeys(groups[suite] for suite in suites):
            columns.append(("average", group, [k for k, suite in enumerate(suites) if groups[suite] == group]))
        columns.append(("average", "all", list(range(len(suites)))))
        for suite, group, picked in columns:
            per_seed, base_seed = means[:, picked].mean(axis=1), base[:, picked].mean(axis=1)
            found = interval(per_seed.mean(), resamples[:, picked].mean(axis=1))
            change = interval(
                (per_seed - base_seed).mean(), (resamples[:, picked] - base_resamples[:, picked]).mean(axis=1)
            )
            student = over_seeds(per_seed - base_seed)
            rows.append(
                {
                    "stage": stage, "method": name, "suite": suite, "group": group, "seeds": len(per_seed),
                    "value": 100 * found.value, "low": 100 * found.low, "high": 100 * found.high,
                    "difference": 100 * change.value, "difference_low": 100 * change.low,
                    "difference_high": 100 * change.high, "t_low": 100 * student.low, "t_high": 100 * student.high,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)
