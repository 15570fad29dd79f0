"""Table 1: Blind, No Align, C3, ReVision and, as the oracle, paired training; after Stage 2, and zero-shot."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from answers import load_answers, score_table
from style import PAPER, colour_of, describe, name_of, save, save_table

PUBLISHED = {"blind": "Blind", "no_align": "No Align", "c3": "C3 Align", "revision": "ReVision"}


def caption_losses(work: Path, variants: list[str], seeds: list[int]) -> pd.DataFrame:
    """Stage-1 caption loss on held-out real pictures (nats a token), one row a variant and seed."""
    rows = []
    for name in variants:
        for seed in seeds:
            history = work / f"stage1/{name}/seed{seed}/history.csv"
            if history.exists():
                loss = pd.read_csv(history).validation_loss.iloc[-1]
                rows.append({"method": name, "seed": seed, "caption_loss": loss})
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, published: dict, path: Path) -> None:
    """Accuracy by group with intervals; the paper's average as a diamond; zero-shot in the second panel."""
    figure, panels = plt.subplots(1, 2, figsize=(8.4, 3.2), sharey=True, width_ratios=[1.2, 1])
    for panel, stage, title in (
        (panels[0], "stage2", "after Stage 2 (table 1)"),
        (panels[1], "stage1", "zero-shot, after Stage 1 only"),
    ):
        part = table[(table.stage == stage) & (table.suite == "average")]
        groups = list(dict.fromkeys(part.group))
        methods = list(dict.fromkeys(part.method))
        width = 0.8 / len(methods)
        for number, method in enumerate(methods):
            rows = part[part.method == method].set_index("group").loc[groups]
            places = np.arange(len(groups)) + (number - (len(methods) - 1) / 2) * width
            error = np.stack([rows.value - rows.low, rows.high - rows.value])
            panel.bar(places, rows.value, width * 0.92, yerr=error, color=colour_of(method), label=name_of(method),
                      error_kw={"linewidth": 0.8})  # fmt: skip
            paper = published.get(PUBLISHED.get(method, ""))
            if stage == "stage2" and paper:
                panel.plot(places[-1], paper["avg"], **{**PAPER, "label": None, "markersize": 4})
        panel.set_xticks(range(len(groups)), [group if group != "all" else "average" for group in groups])
        panel.set_title(title, fontsize=9)
    panels[0].set_ylabel("accuracy, %")
    handles, labels = panels[0].get_legend_handles_labels()
    handles, labels = [*handles, plt.Line2D([], [], **PAPER)], [*labels, "paper (its own suites)"]
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize=7)
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--variants", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    answers = load_answers(options.work, options.seeds)
    numbers = pd.concat([score_table(answers, stage, options.variants) for stage in ("stage2", "stage1")])
    published = yaml.safe_load(options.published.read_text(encoding="utf-8"))["tables"]["table1"]["rows"]
    numbers["published_average"] = [
        published.get(PUBLISHED.get(row.method, ""), {}).get("avg")
        if (row.stage, row.suite, row.group) == ("stage2", "average", "all")
        else None
        for row in numbers.itertuples()
    ]
    save_table(numbers, options.out)
    save_table(
        caption_losses(options.work, options.variants, options.seeds), options.out.with_name("stage1_caption_loss.csv")
    )
    draw(numbers, published, options.out)
    describe(
        options.out,
        "Alignment strategies",
        "table 1",
        "Accuracy by group of suites with 95% intervals, after Stage 2 (left) and zero-shot after Stage 1 (right). The "
        "paper's averages are over its own eleven benchmarks and an 8B language model, so only orders compare.",
        "Bars of accuracy by group of suites, one colour a method, after Stage 2 and after Stage 1 alone.",
    )
