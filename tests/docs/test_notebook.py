"""The notebook runs as it is, and shows what its text says."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PATH = Path(__file__).parents[2] / "docs/tutorial.ipynb"
ASSERTIONS = """
assert gap > 10 * floor
assert table.gap["C3"] < gap / 3 and table.gap["ReAlign"] < gap / 10
assert abs(table.trace["ReAlign"] - image[held_out].var(axis=0).sum()) < 0.01 < table.trace["C3"] - table.trace["none"]
assert table["neighbours kept"]["ReAlign"] > table["neighbours kept"]["C3"] + 0.2
tail = {name: covariance_eigenvalues(rows)[-1] for name, rows in moved.items()}
assert tail["C3"] > 10 * tail["ReAlign"]
assert sorted(gaps.values(), reverse=True) == list(gaps.values()) and gaps[1.0] < gap / 3 < gaps[0.0]
"""


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_says(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(PATH, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(ASSERTIONS))
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_the_committed_notebook_has_no_outputs():
    notebook = nbformat.read(PATH, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
