"""Two small unpaired sets with a gap, different spread and different shape; and real pairs where the machine has
them.
"""

from pathlib import Path

import numpy as np
import pytest

REAL = Path(__file__).parents[3] / "shared" / "data" / "liang2022"


def unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="session")
def sets() -> tuple[np.ndarray, np.ndarray]:
    """(source [700, 24], target [900, 24]), float64 unit rows."""
    rng = np.random.default_rng(7)
    shape = rng.standard_normal((24, 24)) / 5
    source = unit(rng.standard_normal((700, 24)) @ shape * 0.5 + rng.standard_normal(24))
    target = unit(
        rng.standard_normal((900, 24)) @ (shape + 0.1 * rng.standard_normal((24, 24))) + rng.standard_normal(24)
    )
    return source, target


@pytest.fixture(scope="session", params=["clip", "convirt"])
def real(request: pytest.FixtureRequest) -> tuple[str, np.ndarray, np.ndarray]:
    """(name, source, target) of the real pairs of Liang et al. 2022."""
    path = REAL / f"{request.param}.npy"
    if not path.is_file():
        pytest.skip("the real embeddings ../shared/data/liang2022 are not here")
    target, source = np.load(path)
    return request.param, source, target
