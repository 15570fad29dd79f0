"""The two domains of the built-in world: their vocabulary, colours and frequencies."""

from dataclasses import dataclass
from functools import cached_property

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Domain:
    """The possible contents of a domain's images, as text and RGB colours.

    Scenes store an attribute as its index in the tuple. Shapes differ in frequency, and each place prefers two shapes,
    so that questions can ask for frequent or co-occurring shapes, as in POPE.

    Attributes
    ----------
    name : str
        Name of the domain.
    nouns : (str, str)
        Singular and plural of the word for an object.
    places, ground : tuple
        Names of the places and their ground colours.
    shapes, popularity : tuple
        Names of the shapes and their relative frequencies.
    colours, paint : tuple
        Names of the colours and their RGB values.
    sizes, cells, relations : tuple of str
        Names of the sizes, quadrants and spatial relations.
    phrases : tuple of str
        Non-visual phrases.
    preference : int
        Factor by which a place prefers its two shapes.
    """

    name: str
    nouns: tuple[str, str]
    places: tuple[str, ...]
    ground: tuple[Colour, ...]
    shapes: tuple[str, ...]
    popularity: tuple[int, ...]
    colours: tuple[str, ...]
    paint: tuple[Colour, ...]
    sizes: tuple[str, str]
    cells: tuple[str, str, str, str]
    relations: tuple[str, str, str, str]
    phrases: tuple[str, ...]
    preference: int = 4

    def preferred(self, place: int) -> tuple[int, int]:
        """Return the two shapes that a place prefers."""
        return place % len(self.shapes), (place + 3) % len(self.shapes)

    @cached_property
    def shape_tables(self) -> list[list[int]]:
        """List, for each place, the shapes repeated by weight, so that a uniform pick has the right frequencies."""
        tables = []
        for place in range(len(self.places)):
            table: list[int] = []
            for shape, weight in enumerate(self.popularity):
                table += [shape] * (weight * (self.preference if shape in self.preferred(place) else 1))
            tables.append(table)
        return tables

    @cached_property
    def popular(self) -> tuple[int, ...]:
        """Return the three most frequent shapes over all places."""
        counts = [
            sum(table.count(shape) / len(table) for table in self.shape_tables) for shape in range(len(self.shapes))
        ]
        return tuple(sorted(range(len(self.shapes)), key=lambda shape: -counts[shape])[:3])


GENERAL = Domain(
    name="general",
    nouns=("shape", "shapes"),
    places=("desert", "meadow", "sea", "snow", "forest", "city", "cave", "garden"),
    ground=(
        (206, 178, 126), (126, 164, 96), (92, 142, 176), (196, 208, 220),
        (66, 98, 76), (128, 128, 134), (98, 76, 70), (176, 140, 168),
    ),
    shapes=("circle", "square", "triangle", "star", "cross", "ring", "heart", "moon"),
    popularity=(4, 4, 3, 3, 2, 2, 2, 2),
    colours=("red", "green", "blue", "yellow", "purple", "orange", "white", "black"),
    paint=(
        (226, 24, 32), (20, 190, 40), (28, 52, 232), (252, 232, 20),
        (150, 20, 190), (255, 132, 0), (255, 255, 255), (8, 8, 8),
    ),
    sizes=("small", "large"),
    cells=("top left", "top right", "bottom left", "bottom right"),
    relations=("left of", "right of", "above", "below"),
    phrases=(
        "it was a quiet morning", "my friend made this for me", "everyone loves the mood",
        "a memory worth keeping", "the artist was thinking about home", "it feels calm and hopeful",
        "this won a prize last year", "nobody knows why", "it took two hours to make", "perfect for a gift",
        "people say it brings luck", "we will never forget that day",
    ),
)  # fmt: skip

SCAN = Domain(
    name="scan",
    nouns=("finding", "findings"),
    places=("chest", "skull", "knee", "hand", "spine", "pelvis"),
    ground=((38, 38, 38), (62, 62, 62), (50, 50, 50), (30, 30, 30), (72, 72, 72), (56, 56, 56)),
    shapes=("nodule", "fracture", "cyst", "lesion", "stone", "screw"),
    popularity=(4, 3, 3, 2, 2, 1),
    colours=("faint", "hazy", "dense", "bright"),
    paint=((118, 118, 118), (158, 158, 158), (202, 202, 202), (250, 250, 250)),
    sizes=("mild", "severe"),
    cells=("upper medial", "upper lateral", "lower medial", "lower lateral"),
    relations=("medial to", "lateral to", "superior to", "inferior to"),
    phrases=(
        "clinical correlation is advised", "patient reports pain", "follow up within six weeks",
        "history of surgery", "referred by the family doctor", "no prior study for review",
    ),
)  # fmt: skip

DOMAINS = {domain.name: domain for domain in (GENERAL, SCAN)}
NUMBERS = ("one", "two", "three")
