"""Beyond the paper: accuracy and caption loss by number and by cost of unpaired texts, beside paired data.

Reads the answers of every training and the caption losses after Stage 1.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from style import PAGE, colour_of, describe, name_of, plain_log, run, save, save_table

from revision.config import read_yaml
from revision.stats.intervals import over_trainings
from revision.stats.paired import ALL, AVERAGE, crossing, read_answers, score_table
from revision.stats.published import cost_usd

METRICS = {"accuracy": "accuracy after Stage 2, %", "caption_loss": "caption loss, nats per token"}


def relative_cost(published: dict) -> float:
    """Cost of one unpaired text over that of one pair, at the published tokens and prices (appendix H.4)."""
    rows, price = published["costs"]["rows"], published["costs"]["price"]
    usd = {name: cost_usd(rows[name]["input"], rows[name]["output"], price) for name in rows}
    return usd["ReVision-1M"] / usd["Paired image-text"]


def measure(
    paths: list[Path], losses: pd.DataFrame, texts: dict[str, int], paired: str, paired_rows: int, a_text: float
) -> pd.DataFrame:
    """One row per value: method, texts, cost (paired data: 1), design, metric, value and difference to paired data."""
    sizes = {paired: paired_rows, **texts}
    methods = [f"stage2/{name}" for name in sizes]
    scores = score_table(read_answers(paths, methods), f"stage2/{paired}")
    scores = scores[(scores.suite == AVERAGE) & (scores.group == ALL)].set_index("method")
    wide = losses.pivot(index=["encoder", "seed"], columns="method", values="caption_loss")
    rows = []
    for name, count in sizes.items():
        about = {"method": name, "texts": count, "cost": count / paired_rows * (1 if name == paired else a_text)}
        score = scores.loc[f"stage2/{name}"]
        about |= score[["encoders", "seeds"]].to_dict()
        columns = ["value", "low", "high", "difference", "difference_low", "difference_high"]
        rows.append(about | {"metric": "accuracy"} | score[columns].to_dict())
        loss, change = over_trainings(wide[name]), over_trainings(wide[name] - wide[paired])
        differences = {"difference": change.value, "difference_low": change.low, "difference_high": change.high}
        rows.append(about | {"metric": "caption_loss"} | loss.ends() | differences)
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, paired: str, a_text: float, path: Path) -> None:
    """Draw accuracy and caption loss by number of texts (below) and their cost (above); line: paired data."""
    figure, panels = plt.subplots(1, 2, figsize=(PAGE, 2.8))
    for axes, (metric, label) in zip(panels, METRICS.items(), strict=True):
        part = table[table.metric == metric]
        line, curve = part[part.method == paired].iloc[0], part[part.method != paired].sort_values("texts")
        axes.axhline(line.value, color=colour_of(paired), label=f"{name_of(paired)}, {line.texts:,} pairs")
        axes.axhspan(line.low, line.high, color=colour_of(paired), alpha=0.15, linewidth=0)
        errors = curve.value - curve.low, curve.high - curve.value
        ours = {"fmt": "o-", "color": colour_of("revision"), "label": name_of("revision")}
        axes.errorbar(curve.texts / line.texts, curve.value, errors, **ours)
        axes.set(xscale="log", xlabel="unpaired texts, multiple of the pairs", ylabel=label)
        cost = axes.secondary_xaxis("top", functions=(lambda texts: a_text * texts, lambda cost: cost / a_text))
        cost.set_xlabel("cost of the texts, multiple of the pairs' (H.4)")
        plain_log(axes.xaxis, cost.xaxis)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    save(figure, path)


def overtaking(table: pd.DataFrame, paired: str) -> dict:
    """Numbers of the caption: where the mean accuracy reaches that of paired data, and the last point of the curve."""
    part = table[table.metric == "accuracy"]
    level, curve = part[part.method == paired].iloc[0], part[part.method != paired].sort_values("texts")
    texts, cost = (crossing(list(curve[x]), list(curve.value), level.value) for x in ("texts", "cost"))
    return {
        "texts": None if texts is None else texts / level.texts,
        "cost": cost,
        "at_once": bool(curve.value.iloc[0] >= level.value),
        "most": curve.texts.max() / level.texts,
        "last": curve.iloc[-1],
    }


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(
        __doc__,
        *("losses", "published"),
        answers={"type": Path, "nargs": "+", "help": "answers of every training"},
        variants={"nargs": "+", "help": "variants that differ in their number of texts"},
        texts={"type": int, "nargs": "+", "help": "number of texts of each variant"},
        paired={"help": "variant trained on pairs"},
        paired_rows={"type": int, "help": "number of its pairs"},
    )
    (out,), a_text = options.out, relative_cost(read_yaml(options.published))
    losses = pd.read_csv(options.losses)
    texts = dict(zip(options.variants, options.texts, strict=True))
    table = measure(options.answers, losses, texts, options.paired, options.paired_rows, a_text)
    save_table(table, out)
    draw(table, options.paired, a_text, out)
    describe(out, {"a_text": a_text} | overtaking(table, options.paired))


if __name__ == "__main__":
    run(main)
