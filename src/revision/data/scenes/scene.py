"""Scenes: what a image shows, as small integers, and how they are drawn at random."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, permutations, product
from typing import NamedTuple

from revision.data.scenes.draws import Draws, fingerprint
from revision.data.scenes.lexicon import DOMAINS, Domain
from revision.errors import RevisionError

CELLS = 4
ARRANGEMENTS = 64
DRAFTS = 1000
ORDERS = tuple(permutations(range(CELLS)))
_BITS = tuple(product(range(2), repeat=CELLS))


def _content(domain: str, place: int, objects: tuple[tuple[int, ...], ...]) -> bytes:
    return bytes((len(domain), place, *chain.from_iterable(objects)))


class Object(NamedTuple):
    """One object: indices into its domain's words. `cell` counts the quadrants row by row."""

    cell: int
    shape: int
    colour: int
    size: int


@dataclass(frozen=True, slots=True)
class Scene:
    """What a image shows: a place and one to four objects in different cells, sorted by cell.

    `key` names this occurrence: it decides the pixel jitter and the wording of captions, not the content.
    """

    domain: str
    place: int
    objects: tuple[Object, ...]
    key: int

    def content(self) -> bytes:
        """Everything the image shows but its jitter; the splits are disjoint in it."""
        return _content(self.domain, self.place, self.objects)

    def only(self, *, shape: int | None = None, colour: int | None = None) -> Object | None:
        """The one object with this shape or colour; None if there is none or more than one."""
        found = [
            thing
            for thing in self.objects
            if (shape is None or thing.shape == shape) and (colour is None or thing.colour == colour)
        ]
        return found[0] if len(found) == 1 else None


@dataclass
class Draft:
    """A scene before its objects have cells and sizes: shapes and colours in step."""

    place: int
    shapes: list[int] = field(default_factory=list)
    colours: list[int] = field(default_factory=list)


def draft(draws: Draws, domain: Domain, odd_share: float, count: int, place: int | None = None) -> Draft:
    """Draw a place (unless it is given) and shapes and colours of `count` objects.

    With probability `odd_share`, scenes of three or four objects have one colour (or one shape) in all objects but one.
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
    """Draw the scene at `address` whose content falls into `bucket` of `buckets`.

    `edit` moves the draft towards what `accept` demands of the scene; cells and sizes, then whole drafts, are drawn
    again, the number of objects staying, until the scene is accepted and falls into the bucket. Raises RevisionError
    if that never happens.
    """
    domain = DOMAINS[domain_name]
    draws = Draws(*address)
    key, count = draws.pick(1 << 48), 1 + draws.pick(CELLS)
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
    raise RevisionError(f"scene {address}: no scene fits after {DRAFTS} drafts; loosen the question's condition")
