"""Settings of the built-in world."""

from typing import Annotated

from pydantic import Field

from revision.config.base import Fraction, Natural, Settings


class WorldSettings(Settings):
    """What the world is like. Probabilities are per object or per caption; `image_size` is in pixels.

    Short and long captions mention part of a scene: that is the information imbalance from which a gap arises.
    """

    seed: int = 0
    image_size: Annotated[int, Field(ge=16)] = 32
    odd_share: Fraction = 0.4
    short_objects: Fraction = 0.5
    short_colour: Fraction = 0.9
    short_size: Fraction = 0.15
    short_cell: Fraction = 0.2
    short_relation: Fraction = 0.3
    short_place: Fraction = 0.5
    short_count: Fraction = 0.15
    long_objects: Fraction = 0.85
    long_colour: Fraction = 0.95
    long_size: Fraction = 0.5
    long_cell: Fraction = 0.5
    long_relation: Fraction = 0.4
    long_place: Fraction = 0.8
    long_count: Fraction = 0.5
    long_phrases: Natural = 3
