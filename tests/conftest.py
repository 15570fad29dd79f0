"""Small sets of embeddings for several packages, generated and real ones, and the layout of figures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from matplotlib.figure import Figure
from matplotlib.text import Text

settings.register_profile("any machine", deadline=None)  # a busy machine is no failure
settings.load_profile("any machine")

LIANG = Path(__file__).parent / "data/liang2022"


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def own_precision() -> Iterator[None]:
    """accelerate has one precision per process; the test begins and ends without one."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


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


@pytest.fixture
def legible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every saved figure is as wide as one or both columns of a paper, and no text is on another or beyond its edge."""
    drawn: list[Text] = []
    draw, savefig = Text.draw, Figure.savefig

    def draw_text(text: Text, renderer: object) -> None:
        if text.get_visible() and text.get_text().strip():
            drawn.append(text)
        draw(text, renderer)

    def save(figure: Figure, *arguments: object, **options: object) -> None:
        drawn.clear()
        figure.canvas.draw()
        width, height = figure.canvas.get_width_height()
        boxes = [(text.get_text(), text.get_window_extent()) for text in dict.fromkeys(drawn)]
        for index, (text, box) in enumerate(boxes):
            assert box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1, (
                f"{text!r} leaves the figure"
            )
            for other, place in boxes[index + 1 :]:
                apart = max(box.x0, place.x0) - min(box.x1, place.x1), max(box.y0, place.y0) - min(box.y1, place.y1)
                assert max(apart) > -1, f"{text!r} overlaps {other!r}"
        assert round(figure.get_figwidth(), 2) in (3.25, 6.75)
        savefig(figure, *arguments, **options)

    monkeypatch.setattr(Text, "draw", draw_text)
    monkeypatch.setattr(Figure, "savefig", save)
