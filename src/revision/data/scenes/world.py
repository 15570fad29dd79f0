"""The built-in world: scenes, images, captions and questions, each a function of (seed, split, index)."""

from collections.abc import Collection

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
    """Return the mention probabilities of a kind of caption.

    Parameters
    ----------
    settings : WorldSettings
        Probabilities of short and long captions.
    kind : {"short", "long", "full"}
        Kind of caption; full captions mention everything.

    Returns
    -------
    Mentions
        The probabilities.
    """
    if kind == "full":
        return Mentions(1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0)
    names = ("objects", "colour", "size", "cell", "relation", "place", "count")
    chances = {name: getattr(settings, f"{kind}_{name}") for name in names}
    return Mentions(**chances, phrases=settings.long_phrases if kind == "long" else 0)


def _existing(what: str, name: str, names: Collection[str]) -> str:
    """Return `name`. Raises ConfigError if it is not among `names`."""
    if name not in names:
        raise ConfigError(f"unknown {what} {name!r}; use one of {', '.join(names)}")
    return name


class World:
    """A generator of scenes with images and texts. It is stateless: results depend on settings and index alone.

    Scenes of different splits never have the same content (place, objects, sizes, cells), as each split has its own
    bucket of content fingerprints.

    Parameters
    ----------
    settings : WorldSettings, optional
        Seed, image size and mention probabilities. Default: `WorldSettings()`.
    """

    def __init__(self, settings: WorldSettings | None = None) -> None:
        self.settings = settings or WorldSettings()

    def scenes(self, split: str, start: int, count: int, domain: str = "general") -> list[Scene]:
        """Draw consecutive scenes of a split.

        Parameters
        ----------
        split : str
            One of `SPLITS`.
        start, count : int
            Index of the first scene and number of scenes.
        domain : {"general", "scan"}
            Domain of the scenes.

        Returns
        -------
        list of Scene
            The scenes.

        Raises
        ------
        ConfigError
            If split or domain is unknown.
        """
        bucket = SPLITS.index(_existing("split", split, SPLITS))
        _existing("domain", domain, DOMAINS)
        seed, odd_share = self.settings.seed, self.settings.odd_share
        return [
            draw_scene((seed, "scene", domain, split, index), domain, bucket, len(SPLITS), odd_share)
            for index in range(start, start + count)
        ]

    def image(self, scene: Scene) -> Image.Image:
        """Draw a scene as an RGB image of `image_size` x `image_size` pixels."""
        return draw(scene, self.settings)

    def images(self, scenes: list[Scene]) -> np.ndarray:
        """Draw n scenes as an array of shape (n, s, s, 3), uint8."""
        return draw_all(scenes, self.settings)

    def captions(self, scenes: list[Scene], kind: str = "short", variant: int = 0) -> list[str]:
        """Write one caption per scene.

        Parameters
        ----------
        scenes : list of Scene
            The scenes.
        kind : {"short", "long", "full"}
            Kind of caption. Short and long captions mention only part of a scene.
        variant : int
            Index of the caption among those of a scene, which differ in content and wording.

        Returns
        -------
        list of str
            The captions.

        Raises
        ------
        ConfigError
            If the kind is unknown.
        """
        mentions = mentions_of(self.settings, _existing("caption kind", kind, KINDS))
        return [caption(scene, mentions, Draws(kind, variant, scene.key, scene.content().hex())) for scene in scenes]

    def suites(self) -> list[str]:
        """List the names of the evaluation suites."""
        return list(SUITES)

    def suite_group(self, name: str) -> str:
        """Return the group of a suite: general, reasoning or hallucination."""
        return SUITES[_existing("suite", name, SUITES)].group

    def chance(self, name: str) -> float:
        """Return the accuracy of guessing among the possible answers of a question, without the image."""
        return 1 / SUITES[_existing("suite", name, SUITES)].choices

    def suite(self, name: str, count: int, split: str = "evaluation") -> list[Question]:
        """Return the first questions of a suite.

        Parameters
        ----------
        name : str
            Name of the suite.
        count : int
            Number of questions. Answers are exactly balanced if it is a multiple of 1 / chance(name).
        split : str
            One of `SPLITS`.

        Returns
        -------
        list of Question
            The questions.

        Raises
        ------
        ConfigError
            If suite or split is unknown.
        """
        suite = SUITES[_existing("suite", name, SUITES)]
        return [self._question(suite, split, index) for index in range(count)]

    def instructions(self, split: str, start: int, count: int) -> list[Question]:
        """Return consecutive questions of a split, which cycle through the suites.

        Parameters
        ----------
        split : str
            One of `SPLITS`.
        start, count : int
            Index of the first question and number of questions.

        Returns
        -------
        list of Question
            The questions.

        Raises
        ------
        ConfigError
            If the split is unknown.
        """
        names = self.suites()
        return [
            self._question(SUITES[names[index % len(names)]], split, index // len(names))
            for index in range(start, start + count)
        ]

    def reading(self, split: str, start: int, count: int) -> list[tuple[str, str, str]]:
        """Return text-only reading comprehension examples for the questions of `instructions`.

        Parameters
        ----------
        split : str
            One of `SPLITS`.
        start, count : int
            Index of the first example and number of examples.

        Returns
        -------
        list of (str, str, str)
            Full caption, question and answer.
        """
        questions = self.instructions(split, start, count)
        texts = self.captions([question.scene for question in questions], "full")
        return [(text, question.question, question.answer) for text, question in zip(texts, questions, strict=True)]

    def vocabulary(self) -> list[str]:
        """List every word that occurs in texts of the world, sorted."""
        words = {"a", "at", "the", "and", "in", "with", ".", "?", *NUMBERS}
        for domain in DOMAINS.values():
            groups = ("nouns", "places", "shapes", "colours", "sizes", "cells", "relations", "phrases")
            for text in (text for group in groups for text in getattr(domain, group)):
                words.update(text.split())
        for suite in SUITES.values():
            # Questions add only a few words to those of the lexicon, so that 64 draws per suite contain all of them.
            for block in range(64):
                arguments = suite.arguments(Draws("vocabulary", block))
                words.update(suite.text(arguments).split(), *(answer.split() for answer in suite.answers(arguments)))
        return sorted(words)

    def _question(self, suite: Suite, split: str, index: int) -> Question:
        """Return a question. A block of `choices` indices has one text, with every answer once, in random order."""
        bucket = SPLITS.index(_existing("split", split, SPLITS))
        block, turn = divmod(index, suite.choices)
        draws = Draws(self.settings.seed, "question", suite.name, split, block)
        arguments = suite.arguments(draws)
        answer = draws.shuffled(suite.answers(arguments))[turn]
        scene = draw_scene(
            (self.settings.seed, "asked", suite.name, split, index),
            "general",
            bucket,
            len(SPLITS),
            self.settings.odd_share,
            edit=lambda draft, draws: suite.edit(draft, draws, arguments, answer),
            accept=lambda scene: suite.truth(scene, arguments) == answer,
        )
        return Question(scene, suite.name, suite.text(arguments), answer)
