"""The table of CIDEr of photographs."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from revision.evaluation.captioning import CAPTIONS, write_captions

ROOT = Path(__file__).parents[2]


def test_means_over_photographs_and_intervals_over_seeds(tmp_path):
    scores = {("own", 0): [0.4, 0.6], ("own", 1): [0.6, 0.8], ("none", 0): [0.1, 0.1], ("none", 1): [0.1, 0.1]}
    for seed in (0, 1):
        rows = [
            {"method": "stage1/revision", "encoder": 0, "seed": seed, "condition": condition, "image": f"{image}.jpg",
             "prediction": "a cat", "cider": score}
            for (condition, of), values in scores.items() if of == seed for image, score in enumerate(values)
        ]  # fmt: skip
        assert set(rows[0]) < set(pa.Table.from_pylist(rows, schema=CAPTIONS).column_names)
        write_captions(tmp_path / f"{seed}.parquet", rows)
    files = [str(tmp_path / f"{seed}.parquet") for seed in (0, 1)]
    command = [
        sys.executable,
        "analysis/photograph_captions.py",
        "--captions",
        *files,
        "--out",
        str(tmp_path / "t.csv"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "t.csv").set_index(["stage", "method", "condition"])
    own, none = (table.loc["stage1", "revision", condition] for condition in ("own", "none"))
    assert own.value == pytest.approx(60) and none.value == none.low == none.high == pytest.approx(10)
    assert own.low == pytest.approx(60 - 12.7062 * 10) and own.high == pytest.approx(60 + 12.7062 * 10)  # two seeds: t
