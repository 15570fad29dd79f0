"""Scenes, the contents of images as small integers, and how they are drawn at random."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, permutations, product
from typing import NamedTuple

from revision.data.scenes.draws import Draws, fingerprint
from revision.data.scenes.lexicon import DOMAINS, NUMBERS, Domain
from revision.errors import RevisionError

CELLS = 4
ARRANGEMENTS = 64
DRAFTS = 1000
ORDERS = tuple(permutations(range(CELLS)))
_BITS = tuple(product(range(2), repeat=CELLS))


def _content(domain: str, place: int, objects: tuple[tuple[int, ...], ...]) -> bytes:
    return bytes((len(domain), place, *chain.from_iterable(objects)))


class Object(NamedTuple):
    """An object, given by indices into the tuples of its domain; cells are the quadrants, row by row."""

    cell: int
    shape: int
    colour: int
    size: int


@dataclass(frozen=True, slots=True)
class Scene:
    """The content of an image: a place and one to four objects in different cells.

    Attributes
    ----------
    domain : str
        Name of the domain.
    place : int
        Index of the place.
    objects : tuple of Object
        The objects, sorted by cell.
    key : int
        Identifies this instance of the content: determines pixel jitter and the wording of captions.
    """

    domain: str
    place: int
    objects: tuple[Object, ...]
    key: int

    def content(self) -> bytes:
        """Encode everything the image shows except its jitter; splits share no content."""
        return _content(self.domain, self.place, self.objects)

    def only(self, *, shape: int | None = None, colour: int | None = None) -> Object | None:
        """Return the object with a shape or colour, or None if there is no such object or more than one.

        Parameters
        ----------
        shape, colour : int, optional
            Required shape and colour. Default: any.
        """
        matches = [
            thing
            for thing in self.objects
            if (shape is None or thing.shape == shape) and (colour is None or thing.colour == colour)
        ]
        return matches[0] if len(matches) == 1 else None


@dataclass
class Draft:
    """A scene whose objects have no cells and sizes yet; `shapes` and `colours` have one entry per object."""

    place: int
    shapes: list[int] = field(default_factory=list)
    colours: list[int] = field(default_factory=list)


def draft(draws: Draws, domain: Domain, odd_share: float, count: int, place: int | None = None) -> Draft:
    """Draw place, shapes and colours of a scene.

    Parameters
    ----------
    draws : Draws
        Source of randomness.
    domain : Domain
        Domain of the scene.
    odd_share : float
        Probability that all but one of three or four objects have the same colour (or shape).
    count : int
        Number of objects.
    place : int, optional
        Index of the place. Default: drawn at random.

    Returns
    -------
    Draft
        The draft.
    """
    if place is None:
        place = draws.pick(len(domain.places))
    table = domain.shape_tables[place]
    result = Draft(
        place,
        [table[draws.pick(len(table))] for _ in range(count)],
        [draws.pick(len(domain.colours)) for _ in range(count)],
    )
    if count > 2 and draws.chance(odd_share):
        values = result.colours if draws.pick(2) else result.shapes
        values[1:] = [values[1]] * (count - 1)
    return result


def draw_scene(
    address: tuple[int | str, ...],
    domain_name: str,
    bucket: int,
    buckets: int,
    odd_share: float,
    edit: Callable[[Draft, Draws], Draft] | None = None,
    accept: Callable[[Scene], bool] | None = None,
) -> Scene:
    """Draw a scene that meets a condition and belongs to a bucket of content fingerprints.

    Cells and sizes are drawn again, and then whole drafts, with the same number of objects, until a scene is accepted
    and its content is in the bucket.

    Parameters
    ----------
    address : tuple of int or str
        Address of the random draws.
    domain_name : str
        Name of the domain.
    bucket, buckets : int
        Required fingerprint of the content, modulo the number of buckets.
    odd_share : float
        See `draft`.
    edit : callable, optional
        Changes a draft so that `accept` becomes likely.
    accept : callable, optional
        Condition on the scene.

    Returns
    -------
    Scene
        The first scene that meets the condition.

    Raises
    ------
    RevisionError
        If no scene is accepted after `DRAFTS` drafts.
    """
    domain = DOMAINS[domain_name]
    draws = Draws(*address)
    key, count = draws.pick(1 << 48), 1 + draws.pick(len(NUMBERS))
    for _ in range(DRAFTS):
        plan = draft(draws, domain, odd_share, count)
        if edit is not None:
            plan = edit(plan, draws)
        for _ in range(ARRANGEMENTS):
            sizes, order = divmod(draws.pick(len(ORDERS) << CELLS), len(ORDERS))
            layout = zip(ORDERS[order], plan.shapes, plan.colours, _BITS[sizes], strict=False)
            objects = tuple(sorted(layout))
            if fingerprint(_content(domain_name, plan.place, objects)) % buckets == bucket:
                scene = Scene(domain_name, plan.place, tuple(Object(*thing) for thing in objects), key)
                if accept is None or accept(scene):
                    return scene
    raise RevisionError(f"scene {address}: no scene meets the condition after {DRAFTS} drafts; relax the condition")
