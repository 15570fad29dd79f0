"""Synthetic pairs with a gap and a known spectrum; the real arrays beside the repository."""

from pathlib import Path

import numpy as np
import pytest

LIANG = Path(__file__).parents[3] / "shared" / "data" / "liang2022"


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="session")
def pairs():
    """Image and text [400, 24] float32 unit rows that share content, apart by an offset."""
    rng = np.random.default_rng(5)
    scale = np.arange(1, 25) ** -0.7
    content, noise = rng.standard_normal((2, 400, 24)) * scale
    offset = rng.standard_normal(24)
    return unit(content + 0.4 * offset), unit(content + 0.5 * noise - 0.4 * offset)


@pytest.fixture(params=["clip", "convirt"])
def real(request):
    path = LIANG / f"{request.param}.npy"
    if not path.is_file():
        pytest.skip(f"real arrays absent: no {request.param}.npy in ../shared/data/liang2022")
    return request.param, np.load(path, allow_pickle=False)
