"""Figure 12: questions, images and answers of the trained model, right and wrong ones."""

import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from style import describe, run, save, save_table

from revision.data.images import decode_image
from revision.evaluation.published_suites import is_published, look_up

EACH = 4
DRAW_SEED = 20260212
WIDTH = 26


def choose(answers: pd.DataFrame) -> pd.DataFrame:
    """Up to four right and four wrong answers, of different suites where there are enough, drawn by a fixed seed."""
    generator = np.random.default_rng(DRAW_SEED)
    shuffled = answers.iloc[generator.permutation(len(answers))]
    used: list[str] = []
    chosen = []
    for correct in (1, 0):
        part = shuffled[shuffled.correct == correct].copy()
        part["repeat"] = part.suite.isin(used)
        part["turn"] = part.groupby("suite").cumcount()
        few = part.sort_values(["turn", "repeat"], kind="stable").head(EACH)
        used += list(few.suite)
        chosen.append(few)
    return pd.concat(chosen, ignore_index=True)[["suite", "group", "question", "prediction", "correct"]]


def complete(chosen: pd.DataFrame, tasks: Path) -> pd.DataFrame:
    """Add text, true answer and image of each question from the task folder."""
    found = []
    for row in chosen.itertuples():
        if is_published(tasks):
            (asked,) = look_up(tasks, row.suite, [row.question])
            found.append({"id": row.question, **asked})
            continue
        table = pd.read_parquet(tasks / f"{row.suite}.parquet", page_checksum_verification=True).set_index("id")
        asked = table.loc[row.question]
        found.append({"id": row.question, "text": asked.question, "answer": asked.answer, "image": asked.image})
    return pd.concat([chosen.drop(columns="question"), pd.DataFrame(found)], axis=1)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Right answers in the upper row, wrong ones in the lower."""
    figure, panels = plt.subplots(2, EACH, figsize=(7.2, 5.2))
    for panel in panels.ravel():
        panel.set_axis_off()
    for line, correct in zip(panels, (1, 0), strict=True):
        if not (table.correct == correct).any():
            line[0].text(0, 0.5, f"no {'right' if correct else 'wrong'} answer", fontsize=9)
        for panel, row in zip(line, table[table.correct == correct].itertuples(), strict=False):
            data = row.image["bytes"] if isinstance(row.image, dict) else row.image
            panel.imshow(decode_image(data, row.id), interpolation="nearest")
            panel.set_title(textwrap.fill(row.text.replace(" ?", "?"), WIDTH), fontsize=7)
            said = textwrap.fill(f"says: {row.prediction or '(nothing)'}", WIDTH)
            words = said if correct else f"{said}\ntrue: {row.answer}"
            colour = "#007A5A" if correct else "#B04A00"
            panel.text(0.5, -0.06, words, transform=panel.transAxes, ha="center", va="top", fontsize=7.5, color=colour)
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "answers", "tasks", method={"help": "whose answers, such as stage2/revision"})
    (out,) = options.out
    answers = pd.read_parquet(options.answers, page_checksum_verification=True)
    answers = answers[answers.method == options.method]
    table = complete(choose(answers), options.tasks)
    save_table(table.drop(columns="image"), out)
    draw(table, out)
    describe(
        out,
        {
            "method": options.method,
            "accuracy": answers.correct.mean(),
            "count": len(answers),
            "right": (table.correct == 1).sum(),
            "wrong": (table.correct == 0).sum(),
            "answers": table.drop(columns="image").to_dict("records"),
        },
    )


if __name__ == "__main__":
    run(main)
