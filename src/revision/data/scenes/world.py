"""The built-in world: scenes, images, captions and questions, all addressable by (seed, split, index)."""

from typing import Any

import numpy as np
from PIL import Image

from revision.config.world import WorldSettings
from revision.data.scenes.drawing import draw, draw_all
from revision.data.scenes.draws import Draws
from revision.data.scenes.language import Mentions, caption
from revision.data.scenes.lexicon import DOMAINS, NUMBERS
from revision.data.scenes.scene import Scene, draw_scene
from revision.data.scenes.suites import SUITES, Question, Suite
from revision.errors import ConfigError

SPLITS = ("encoder", "text", "paired", "instruct", "probe", "validation", "evaluation", "language")
KINDS = ("short", "long", "full")


def mentions_of(settings: WorldSettings, kind: str) -> Mentions:
    """The mention probabilities of captions of this kind."""
    if kind == "full":
        return Mentions(1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0)
    names = ("objects", "colour", "size", "cell", "relation", "place", "count")
    chances = {name: getattr(settings, f"{kind}_{name}") for name in names}
    return Mentions(**chances, phrases=settings.long_phrases if kind == "long" else 0)


def _known(what: str, name: str, existing: Any) -> str:
    if name not in existing:
        raise ConfigError(f"unknown {what} {name!r}; there are {', '.join(existing)}")
    return name


class World:
    """Scenes with images and texts. Stateless: the same settings and index give the same result in every process.

    The splits never share a scene's content (place, objects, sizes, cells): each owns one bucket of fingerprints.
    """

    def __init__(self, settings: WorldSettings | None = None) -> None:
        self.settings = settings or WorldSettings()

    def scenes(self, split: str, start: int, count: int, domain: str = "general") -> list[Scene]:
        """Scenes `start` to `start + count` of a split. Raises ConfigError for an unknown split or domain."""
        bucket = SPLITS.index(_known("split", split, SPLITS))
        _known("domain", domain, DOMAINS)
        seed, odd_share = self.settings.seed, self.settings.odd_share
        return [
            draw_scene((seed, "scene", domain, split, index), domain, bucket, len(SPLITS), odd_share)
            for index in range(start, start + count)
        ]

    def image(self, scene: Scene) -> Image.Image:
        """The scene's image, RGB, image_size x image_size."""
        return draw(scene, self.settings.image_size)

    def images(self, scenes: list[Scene]) -> np.ndarray:
        """The scenes' images: uint8 [n, s, s, 3]."""
        return draw_all(scenes, self.settings.image_size)

    def captions(self, scenes: list[Scene], kind: str = "short", variant: int = 0) -> list[str]:
        """One caption for each scene; another `variant` mentions other parts in other words."""
        mentions = mentions_of(self.settings, _known("caption kind", kind, KINDS))
        return [caption(scene, mentions, Draws(kind, variant, scene.key, scene.content().hex())) for scene in scenes]

    def suites(self) -> list[str]:
        """Names of the evaluation suites."""
        return list(SUITES)

    def suite_group(self, name: str) -> str:
        """The suite's group: general, reasoning or hallucination."""
        return SUITES[_known("suite", name, SUITES)].group

    def chance(self, name: str) -> float:
        """Accuracy of a guess that knows the question and its possible answers but not the image."""
        return 1 / SUITES[_known("suite", name, SUITES)].choices

    def suite(self, name: str, count: int, split: str = "evaluation") -> list[Question]:
        """The first `count` questions of a suite; balanced exactly if `count` is a multiple of 1 / chance(name)."""
        suite = SUITES[_known("suite", name, SUITES)]
        return [self._question(suite, split, index) for index in range(count)]

    def instructions(self, split: str, start: int, count: int) -> list[Question]:
        """Questions `start` to `start + count` of a split, the suites in turn."""
        names = self.suites()
        return [
            self._question(SUITES[names[index % len(names)]], split, index // len(names))
            for index in range(start, start + count)
        ]

    def reading(self, split: str, start: int, count: int) -> list[tuple[str, str, str]]:
        """Reading comprehension from text alone: (full description, question, answer)."""
        questions = self.instructions(split, start, count)
        texts = self.captions([question.scene for question in questions], "full")
        return [(text, question.question, question.answer) for text, question in zip(texts, questions, strict=True)]

    def vocabulary(self) -> list[str]:
        """Every word of every text of the world, sorted."""
        words = {"a", "at", "the", "and", "in", "with", ".", "?", *NUMBERS}
        for domain in DOMAINS.values():
            groups = ("nouns", "places", "shapes", "colours", "sizes", "cells", "relations", "phrases")
            for text in (text for group in groups for text in getattr(domain, group)):
                words.update(text.split())
        for suite in SUITES.values():
            for block in range(64):
                asked = suite.arguments(Draws("vocabulary", block))
                words.update(suite.text(asked).split(), *(answer.split() for answer in suite.answers(asked)))
        return sorted(words)

    def _question(self, suite: Suite, split: str, index: int) -> Question:
        """Question `index`: a run of `choices` indices asks the same, with each answer once, in an order of its own."""
        bucket = SPLITS.index(_known("split", split, SPLITS))
        block, turn = divmod(index, suite.choices)
        draws = Draws(self.settings.seed, "question", suite.name, split, block)
        asked = suite.arguments(draws)
        answer = draws.shuffled(suite.answers(asked))[turn]
        scene = draw_scene(
            (self.settings.seed, "asked", suite.name, split, index),
            "general",
            bucket,
            len(SPLITS),
            self.settings.odd_share,
            edit=lambda plan, more: suite.edit(plan, more, asked, answer),
            accept=lambda scene: suite.truth(scene, asked) == answer,
        )
        return Question(scene, suite.name, suite.text(asked), answer)
