"""A fake world, encoder and model: the first pixel of an image is the number of its scene."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

COUNT = 48
SUITES = {"colour": "general", "count": "general", "relation": "reasoning", "existence": "hallucination"}
ANSWERS = {
    "colour": ("red", "green", "blue"),
    "count": ("one", "two", "three", "four"),
    "relation": ("left", "right"),
    "existence": ("yes", "no"),
}


@dataclass(frozen=True)
class FakeQuestion:
    scene: int
    suite: str
    question: str
    answer: str


class FakeWorld:
    """Scene k of every suite is a plain image whose red and green values encode k, so that suites share images."""

    def __init__(self, extra: dict[str, str] | None = None) -> None:
        self.groups = {**SUITES, **(extra or {})}

    def suites(self) -> list[str]:
        return list(self.groups)

    def suite_group(self, name: str) -> str:
        return self.groups[name]

    def suite(self, name: str, count: int) -> list[FakeQuestion]:
        answers = ANSWERS.get(name, ("red",))
        return [FakeQuestion(k, name, f"which {name} is it ?", answers[k % len(answers)]) for k in range(count)]

    def images(self, scenes: list[int]) -> np.ndarray:
        pixels = np.zeros((len(scenes), 8, 8, 3), dtype=np.uint8)
        pixels[..., 0] = (np.asarray(scenes) % 256)[:, None, None]
        pixels[..., 1] = (np.asarray(scenes) // 256)[:, None, None]
        return pixels


class FakeEncoder:
    """Writes the scene's number, decoded from the image, to the first coordinate; records the size of each batch."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        self.batches.append(len(images))
        rows = np.zeros((len(images), 4), dtype=np.float32)
        rows[:, 0] = [image.getpixel((0, 0))[0] + 256 * image.getpixel((0, 0))[1] for image in images]
        return rows


class FakeModel:
    """The folder's name selects the behaviour: `blind` is text-only, `yes` always says yes, others are correct."""

    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour
        self.projector = None if behaviour == "blind" else torch.nn.Identity()

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", dtype: torch.dtype | None = None) -> "FakeModel":
        return cls(Path(folder).name)

    def generate(self, prompts: list[str], embeddings: torch.Tensor | None, max_new_tokens: int = 4) -> list[str]:
        if self.behaviour == "yes" or embeddings is None:
            return ["Yes.\nNo."] * len(prompts)
        answers = [ANSWERS[prompt.split()[1]] for prompt in prompts]
        scenes = embeddings[:, 0].long().tolist()
        return [options[scene % len(options)] for options, scene in zip(answers, scenes, strict=True)]
