"""benchmarks/authors_realign.py on a stand-in for the authors' script: the same files and options, our own few lines.

The authors' code is not here; docs/engine.md has the difference that was measured with it.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks/authors_realign.py"
STAND_IN = """
import argparse, pickle
from pathlib import Path
import numpy as np

parser = argparse.ArgumentParser()
for name in ("input_dir", "img_input_dir", "output_dir", "mean_file_path"):
    parser.add_argument(f"--{name}", type=Path)
options = parser.parse_args()
unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)
texts, images = (next(folder.glob("*.pkl")) for folder in (options.input_dir, options.img_input_dir))
entries, images = (pickle.loads(path.read_bytes()) for path in (texts, images))
y, x = (unit(np.stack([entry["embed"] for entry in rows]).astype(np.float64)) for rows in (entries, images))
scale = np.sqrt(x.var(axis=0).sum() / y.var(axis=0).sum())
moved = unit(x.mean(axis=0) + scale * (y - y.mean(axis=0)))
moved = unit(moved - moved.mean(axis=0) + x.mean(axis=0))
moved[7, 0] += OFFSET
(options.output_dir / "trace").mkdir(parents=True)
rows = [entry | {"embed": row} for entry, row in zip(entries, moved.astype(np.float32))]
(options.output_dir / "trace" / f"{texts.stem}_trace.pkl").write_bytes(pickle.dumps(rows))
"""


def compare(folder, script):
    random = np.random.default_rng(0)
    np.save(folder / "texts.npy", random.standard_normal((60, 12)).astype(np.float32) - 0.5)
    np.save(folder / "images.npy", random.standard_normal((50, 12)).astype(np.float32) / 2 + 0.5)
    clone = folder / "clone"
    clone.mkdir()
    if script:
        (clone / "embed_ReAlign.py").write_text(script, encoding="utf-8")
    command = [sys.executable, BENCHMARK, clone, "--texts", folder / "texts.npy", "--images", folder / "images.npy"]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(("offset", "low", "high"), [(0.0, 0.0, 1e-6), (0.01, 0.0099, 0.0101)])
def test_the_largest_difference_and_its_row_are_printed(tmp_path, offset, low, high):
    done = compare(tmp_path, STAND_IN.replace("OFFSET", str(offset)))
    assert done.returncode == 0, done.stderr
    count, value, distance = done.stdout.splitlines()
    assert count == "60 texts, 50 images, dimension 12"
    assert low <= float(value.rpartition(" ")[2]) <= high
    if offset:
        assert distance.endswith("in row 7")


@pytest.mark.parametrize(
    ("script", "message"), [("", "name a clone of the authors' repository"), ("raise SystemExit('broken')", "broken")]
)
def test_a_missing_or_failing_script_is_an_error(tmp_path, script, message):
    done = compare(tmp_path, script)
    assert done.returncode == 1 and message in done.stderr
