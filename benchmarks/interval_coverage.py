"""Measure the coverage of 95% intervals by simulation: how often an interval includes the true value.

    python benchmarks/interval_coverage.py

Answers follow a probit model: an answer is correct if the sum of random effects and noise is positive. The effects are
those of the encoder, of the training seed within the encoder, of the question, and of question and encoder together,
each with a part that two methods share and a part of each method. The true accuracy is known, as a sum of normal
variables is normal. Every case simulates the whole design, encoders x seeds x questions, anew in each run: no effect is
held fixed. The Monte Carlo error of a coverage of 95% is 0.5 points for 2000 runs.

Methods of making an interval:

chosen       `revision.stats.intervals.random_effects`
satterthwaite  the same variance, with Satterthwaite's degrees of freedom
truncated    the part due to encoders is at least zero, and Satterthwaite's degrees of freedom
pooled       seeds count as independent of encoders where the estimated variance between encoders is not positive
bootstrap    percentiles of resampled trainings, crossed with resampled questions, as in version 0.2. Given the
             trainings drawn, the resampled mean over at least 400 questions is drawn from a normal distribution.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from scipy.stats import norm

from revision.io.files import atomic_file
from revision.stats.intervals import random_effects

OUT = Path(__file__).parents[1] / "reference/benchmarks/interval_coverage.csv"
SHARED_QUESTION, SHARED_TRAINING = 1.0, 0.5  # standard deviations; the second in units of a method's own
INTERACTION = 0.5  # of encoder and question, in units of a method's own question effect
OFFSETS = (0.0, 0.1)  # of the two methods, on the scale of the noise
DRAWS = 1000
NONE, MODERATE, DOMINATING = "none", "moderate", "dominating"
TRAINING = {NONE: 0.0, MODERATE: 0.03, DOMINATING: 0.2}
QUESTION = {NONE: 0.0, MODERATE: 0.5, DOMINATING: 2.0}
Ends = tuple[float, float]


@dataclass(frozen=True)
class Case:
    """A design, and standard deviations of a method's effects relative to the noise of an answer."""

    encoders: int
    seeds: int
    suites: int
    questions: int
    encoder: float
    seed: float
    question: float

    def truth(self) -> np.ndarray:
        """The true accuracies of the two methods."""
        own = self.encoder**2 + self.seed**2
        variance = 1 + SHARED_QUESTION**2 + self.question**2 * (1 + INTERACTION**2) + own * (1 + SHARED_TRAINING**2)
        return norm.cdf(np.array(OFFSETS) / np.sqrt(variance))


def simulate(case: Case, rng: np.random.Generator) -> np.ndarray:
    """Answers, 0 or 1, of shape (methods, suites, encoders, seeds, questions)."""

    def draw(scale: float, *shape: int) -> np.ndarray:
        return np.float32(scale) * rng.standard_normal(shape, dtype=np.float32)

    k, e, s, q = case.suites, case.encoders, case.seeds, case.questions
    effects = np.array(OFFSETS, dtype=np.float32)[:, None, None, None, None] + draw(SHARED_QUESTION, 1, k, 1, 1, q)
    for methods, scale in ((2, 1.0), (1, SHARED_TRAINING)):
        effects = (
            effects + draw(scale * case.encoder, methods, 1, e, 1, 1) + draw(scale * case.seed, methods, 1, e, s, 1)
        )
    if case.question:
        effects = effects + draw(case.question, 2, k, 1, 1, q) + draw(INTERACTION * case.question, 2, k, e, 1, q)
    return (draw(1.0, 2, k, e, s, q) + effects > 0).astype(np.float32)


def parts(values: np.ndarray) -> dict[str, float]:
    """Variances of the mean of values (suites, encoders, seeds, questions), as the other intervals need them."""
    suites, encoders, seeds, questions = values.shape
    units = values.mean(axis=2) if encoders > 1 else values[:, 0]
    count = units.shape[1]
    by_question = units.mean(axis=1).var(axis=1, ddof=1)
    interaction = (units.var(axis=2, ddof=1).sum(axis=1) - count * by_question) / (count - 1)
    within = values.mean(axis=(0, 3)).var(axis=1, ddof=1).mean() / seeds / encoders
    return {
        "units": count,
        "trainings": encoders * (seeds - 1) + encoders - 1,
        "between": units.mean(axis=(0, 2)).var(ddof=1) / count,
        "within": within,
        "question": by_question.mean() / questions / suites,
        "both": interaction.mean() / count / questions / suites,
    }


def student(value: float, between: float, question: float, freedom: float) -> Ends:
    """Interval with Satterthwaite's degrees of freedom, where the part due to questions has many."""
    variance = between + question
    half = stdtrit(freedom * (variance / max(between, 1e-12)) ** 2, 0.975) * np.sqrt(variance)
    return value - half, value + half


def bootstrap(values: np.ndarray, rng: np.random.Generator) -> Ends:
    """Percentile interval over resampled trainings and questions."""
    suites, encoders, seeds, questions = values.shape
    rows = values.reshape(suites, encoders * seeds, questions)
    means = rows.mean(axis=2)
    centred = (rows - means[:, :, None]).transpose(1, 0, 2).reshape(encoders * seeds, -1)
    covariance = centred @ centred.T / questions**2 / suites**2
    weights = rng.multinomial(len(covariance), np.full(len(covariance), 1 / len(covariance)), size=DRAWS)
    weights = weights / len(covariance)
    error = np.sqrt(((weights @ covariance) * weights).sum(axis=1))
    low, high = np.percentile(weights @ means.mean(axis=0) + error * rng.standard_normal(DRAWS), [2.5, 97.5])
    return float(low), float(high)


def intervals(values: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, Ends]]:
    """The interval of the mean by each method."""
    chosen = random_effects(list(values)).interval()
    yield "chosen", (chosen.low, chosen.high)
    p = parts(values)
    question, freedom = max(p["question"] - p["both"], 0.0), p["units"] - 1
    yield "satterthwaite", student(chosen.value, p["between"], question, freedom)
    extra = max(p["between"] - p["both"], 0.0)
    yield "truncated", student(chosen.value, extra, p["question"], freedom)
    pooled = values.shape[1] > 1 and p["between"] <= p["within"]
    if pooled:
        encoders = values.shape[1]
        together = (freedom * p["between"] + (p["trainings"] - encoders + 1) * p["within"]) / p["trainings"]
        yield "pooled", student(chosen.value, together, question, p["trainings"])
    else:
        yield "pooled", student(chosen.value, p["between"], question, freedom)
    yield "bootstrap", bootstrap(values, rng)


def coverage(case: Case, runs: int, seed: int) -> pd.DataFrame:
    """One row per quantity (mean, difference) and method: coverage and mean width, both in percent."""
    rng, truth = np.random.default_rng(seed), case.truth()
    rows = []
    for _ in range(runs):
        answers = simulate(case, rng)
        for quantity, values, true in (
            ("mean", answers[1], truth[1]),
            ("difference", answers[1] - answers[0], truth[1] - truth[0]),
        ):
            for method, (low, high) in intervals(values.astype(float), rng):
                rows.append((quantity, method, 100.0 * (low <= true <= high), 100 * (high - low)))
    table = pd.DataFrame(rows, columns=["quantity", "method", "coverage", "width"])
    return table.groupby(["quantity", "method"], sort=False).mean().reset_index()


def cases() -> Iterator[tuple[dict[str, str], Case]]:
    """Every case, with its effects in words."""
    for suites, (encoders, seeds) in product((11, 1), ((4, 2), (1, 3))):
        for encoder, seed, question in product(TRAINING, TRAINING, QUESTION):
            # One encoder has an effect that is the same in every run: the interval is conditional on it.
            if encoders > 1 or encoder == NONE:
                effects = TRAINING[encoder], TRAINING[seed], QUESTION[question]
                words = {"encoder_effect": encoder, "seed_effect": seed, "question_effect": question}
                yield words, Case(encoders, seeds, suites, 400, *effects)


def main() -> None:
    """Simulate every case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="simulated runs of each case")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    tables = []
    for number, (words, case) in enumerate(cases()):
        design = {name: getattr(case, name) for name in ("encoders", "seeds", "suites", "questions")}
        tables.append(coverage(case, options.runs, number).assign(**design, **words, runs=options.runs))
        covered = tables[-1].groupby("method").coverage.min().round(1)
        print(*design.values(), *words.values(), covered.to_dict(), flush=True)
    table = pd.concat(tables, ignore_index=True)
    columns = [*design, *words, "quantity", "method", "coverage", "width", "runs"]
    with atomic_file(options.out) as temporary:
        table[columns].round(3).to_csv(temporary, index=False)


if __name__ == "__main__":
    main()
