"""Small sets of embeddings that several packages are tested on, and real ones where the machine has them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # a busy machine is no failure
settings.load_profile("any machine")

LIANG = Path(__file__).parents[2] / "shared" / "data" / "liang2022"


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="session")
def sets() -> tuple[np.ndarray, np.ndarray]:
    """Unpaired source [700, 24] and target [900, 24], float64 unit rows with a gap, different spread and shape."""
    rng = np.random.default_rng(7)
    shape = rng.standard_normal((24, 24)) / 5
    source = unit(rng.standard_normal((700, 24)) @ shape * 0.5 + rng.standard_normal(24))
    target = unit(
        rng.standard_normal((900, 24)) @ (shape + 0.1 * rng.standard_normal((24, 24))) + rng.standard_normal(24)
    )
    return source, target


@pytest.fixture(scope="session")
def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Paired image and text [400, 24], float32 unit rows that share content, apart by an offset."""
    rng = np.random.default_rng(5)
    scale = np.arange(1, 25) ** -0.7
    content, noise = rng.standard_normal((2, 400, 24)) * scale
    offset = rng.standard_normal(24)
    return (
        unit(content + 0.4 * offset).astype(np.float32),
        unit(content + 0.5 * noise - 0.4 * offset).astype(np.float32),
    )


@pytest.fixture(scope="session", params=["clip", "convirt"])
def real(request: pytest.FixtureRequest) -> tuple[str, np.ndarray, np.ndarray]:
    """Name, image and text [500, 512] of the real pairs of Liang et al. 2022."""
    path = LIANG / f"{request.param}.npy"
    if not path.is_file():
        pytest.skip(f"real embeddings are not here: no {request.param}.npy in ../shared/data/liang2022")
    image, text = np.load(path, allow_pickle=False)
    return request.param, image, text
