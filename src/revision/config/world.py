"""Settings of the generated scenes."""

from typing import Annotated

from pydantic import Field

from revision.config.base import Fraction, Natural, Settings


class WorldSettings(Settings):
    """Settings of the generated scenes and their captions.

    Captions mention part of a scene, with these probabilities per object or per caption. This information imbalance
    is one of the causes of the modality gap.

    Attributes
    ----------
    seed : int
        Seed of all scenes.
    image_size : int
        Side of an image in pixels.
    ground_mix : float
        Largest share of another place's colour in the ground of an image; each image has its own.
    fade : float
        Largest transparency of an object; each object has its own.
    odd_share : float
        Fraction of the scenes of three or four objects in which all objects but one agree in colour or shape.
    short_objects, long_objects : float
        Probability that a caption mentions an object.
    short_colour, short_size, short_cell, long_colour, long_size, long_cell : float
        Probability that it mentions the colour, size or position of an object.
    short_relation, short_place, short_count, long_relation, long_place, long_count : float
        Probability that it mentions a relation, the scene's place, or the number of objects.
    long_phrases : int
        Largest number of phrases in a long caption that are not about the image.
    """

    seed: int = 0
    image_size: Annotated[int, Field(ge=16)] = 32
    ground_mix: Fraction = 0.0
    fade: Fraction = 0.0
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
