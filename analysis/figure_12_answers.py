"""Figure 12: questions with the trained model's answers, correct and wrong ones.

Reads the answers of one seed and the task folder.
"""

import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from style import PAGE, describe, run, save, save_table

from revision.data.images import decode_image
from revision.evaluation.published_suites import is_published, look_up

PER_ROW = 4
DRAW_SEED = 20260212
WIDTH = 26


def choose(answers: pd.DataFrame) -> pd.DataFrame:
    """Up to four correct and four wrong answers, from different suites where possible, drawn by a fixed seed."""
    generator = np.random.default_rng(DRAW_SEED)
    shuffled = answers.iloc[generator.permutation(len(answers))]
    used: list[str] = []
    chosen = []
    for correct in (1, 0):
        part = shuffled[shuffled.correct == correct].copy()
        part["repeat"] = part.suite.isin(used)
        part["turn"] = part.groupby("suite").cumcount()
        part = part.sort_values(["turn", "repeat"], kind="stable").head(PER_ROW)
        used += list(part.suite)
        chosen.append(part)
    return pd.concat(chosen, ignore_index=True)[["suite", "group", "question", "prediction", "correct"]]


def complete(chosen: pd.DataFrame, tasks: Path) -> pd.DataFrame:
    """Add text, true answer and image of each question from the task folder."""
    questions = []
    for row in chosen.itertuples():
        if is_published(tasks):
            (question,) = look_up(tasks, row.suite, [row.question])
        else:
            table = pd.read_parquet(tasks / f"{row.suite}.parquet", page_checksum_verification=True).set_index("id")
            question = table.loc[row.question, ["question", "answer", "image"]].rename({"question": "text"})
        questions.append({"id": row.question, **question})
    return pd.concat([chosen.drop(columns="question"), pd.DataFrame(questions)], axis=1)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw correct answers in the upper row, wrong ones in the lower."""
    figure, panels = plt.subplots(2, PER_ROW, figsize=(PAGE, 4.6))
    for panel in panels.ravel():
        panel.set_axis_off()
    for panel_row, correct in zip(panels, (1, 0), strict=True):
        if not (table.correct == correct).any():
            panel_row[0].text(0, 0.5, f"no {'correct' if correct else 'wrong'} answer")
        for panel, row in zip(panel_row, table[table.correct == correct].itertuples(), strict=False):
            data = row.image["bytes"] if isinstance(row.image, dict) else row.image
            panel.imshow(decode_image(data, row.id), interpolation="nearest")
            panel.set_title(textwrap.fill(row.text.replace(" ?", "?"), WIDTH), loc="center")
            mark, colour = ("✓", "#007A5A") if correct else ("✗", "#B04A00")
            text = textwrap.fill(f"{mark} {row.prediction or '(nothing)'}", WIDTH)
            text += "" if correct else "\n" + textwrap.fill(f"true: {row.answer}", WIDTH)
            panel.text(0.5, -0.05, text, transform=panel.transAxes, ha="center", va="top", color=colour)
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "answers", "tasks", method={"help": "stage and variant, such as stage2/revision"})
    (out,) = options.out
    answers = pd.read_parquet(options.answers, page_checksum_verification=True)
    answers = answers[answers.method == options.method]
    table = complete(choose(answers), options.tasks)
    save_table(table.drop(columns="image"), out)
    draw(table, out)
    stage, variant = options.method.split("/")
    describe(
        out,
        {
            "variant": variant,
            "stage": stage.replace("stage", "Stage "),
            "accuracy": answers.correct.mean(),
            "count": len(answers),
            "right": (table.correct == 1).sum(),
            "wrong": (table.correct == 0).sum(),
            "answers": table.drop(columns="image").to_dict("records"),
        },
    )


if __name__ == "__main__":
    run(main)
