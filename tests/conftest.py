"""Small sets of embeddings that several packages are tested on, generated and real ones."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # a busy machine is no failure
settings.load_profile("any machine")

LIANG = Path(__file__).parent / "data/liang2022"


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


@pytest.fixture(scope="session")
def clip() -> tuple[np.ndarray, np.ndarray]:
    """Image and text [500, 512] of CLIP, float32; from Liang et al. 2022."""
    image, text = (np.load(LIANG / f"clip_{side}.npy").astype(np.float32) for side in ("image", "text"))
    return image, text


@pytest.fixture(scope="session", params=["clip", "convirt"])
def real(request: pytest.FixtureRequest, clip: tuple[np.ndarray, np.ndarray]) -> tuple[str, np.ndarray, np.ndarray]:
    """Name, image and text [500, 512] of real pairs, float32."""
    if request.param == "clip":
        return request.param, *clip
    with np.load(LIANG / "convirt.npz") as arrays:
        return request.param, arrays["image"].astype(np.float32), arrays["text"].astype(np.float32)
