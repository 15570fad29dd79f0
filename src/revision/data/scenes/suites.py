"""Questions with known answers in the paper's three groups: general, reasoning, hallucination.

A question's words are drawn first and its right answer second, each answer of a question equally often; the scene is
then made to fit. So the answers of every question text are balanced, and the question alone tells nothing.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from revision.data.scenes.draws import Draws
from revision.data.scenes.language import relation_between
from revision.data.scenes.lexicon import GENERAL, NUMBERS
from revision.data.scenes.scene import Draft, Scene, draft

Arguments = tuple[int, ...]
SHAPES, COLOURS, PLACES, RELATIONS = GENERAL.shapes, GENERAL.colours, GENERAL.places, GENERAL.relations
YES_NO = ("yes", "no")


@dataclass(frozen=True)
class Question:
    """A question about a scene, its suite and the only right answer."""

    scene: Scene
    suite: str
    question: str
    answer: str


@dataclass(frozen=True)
class Suite:
    """A family of questions.

    `arguments` draws what is asked, `text` words it, `answers` lists the possible answers (always `choices` many),
    `edit` moves a draft towards an answer, `truth` reads the answer off a scene (None: the question does not apply).
    """

    name: str
    group: str
    choices: int
    arguments: Callable[[Draws], Arguments]
    text: Callable[[Arguments], str]
    answers: Callable[[Arguments], tuple[str, ...]]
    edit: Callable[[Draft, Draws, Arguments, str], Draft]
    truth: Callable[[Scene, Arguments], str | None]


def _put(plan: Draft, draws: Draws, wanted: list[tuple[int | None, int | None]]) -> None:
    """Give the first objects the wanted (shape, colour); None keeps what was drawn. Adds objects if need be."""
    table = GENERAL.shape_tables[plan.place]
    while len(plan.shapes) < len(wanted):
        plan.shapes.append(table[draws.pick(len(table))])
        plan.colours.append(draws.pick(len(COLOURS)))
    for index, (shape, colour) in enumerate(wanted):
        plan.shapes[index] = plan.shapes[index] if shape is None else shape
        plan.colours[index] = plan.colours[index] if colour is None else colour


def _keep_out(values: list[int], start: int, banned: tuple[int, ...], table: list[int], draws: Draws) -> None:
    """Draw the values from `start` on again until none is banned."""
    for index in range(start, len(values)):
        while values[index] in banned:
            values[index] = table[draws.pick(len(table))]


def _two_shapes(draws: Draws) -> Arguments:
    first = draws.pick(len(SHAPES))
    return first, (first + 1 + draws.pick(len(SHAPES) - 1)) % len(SHAPES)


def _edit_colour(plan: Draft, draws: Draws, asked: Arguments, answer: str) -> Draft:
    _put(plan, draws, [(asked[0], COLOURS.index(answer))])
    _keep_out(plan.shapes, 1, asked, GENERAL.shape_tables[plan.place], draws)
    return plan


def _edit_shape(plan: Draft, draws: Draws, asked: Arguments, answer: str) -> Draft:
    _put(plan, draws, [(SHAPES.index(answer), asked[0])])
    _keep_out(plan.colours, 1, asked, list(range(len(COLOURS))), draws)
    return plan


def _edit_count(plan: Draft, draws: Draws, asked: Arguments, answer: str) -> Draft:
    count = NUMBERS.index(answer) + 1
    _put(plan, draws, [(None, None)] * count)
    del plan.shapes[count:], plan.colours[count:]
    return plan


def _edit_place(plan: Draft, draws: Draws, asked: Arguments, answer: str) -> Draft:
    return draft(draws, GENERAL, 0.0, len(plan.shapes), PLACES.index(answer))


def _edit_pair(plan: Draft, draws: Draws, asked: Arguments, answer: str) -> Draft:
    pair = asked[:2]
    _put(plan, draws, [(pair[0], None), (pair[1], None)])
    _keep_out(plan.shapes, 2, pair, GENERAL.shape_tables[plan.place], draws)
    return plan


def _edit_odd(plan: Draft, draws: Draws, asked: Arguments, answer: str) -> Draft:
    _put(plan, draws, [(None, None)] * 3)
    values, words = (plan.colours, COLOURS) if asked[0] else (plan.shapes, SHAPES)
    odd = words.index(answer)
    common = (odd + 1 + draws.pick(len(words) - 1)) % len(words)
    values[:] = [odd] + [common] * (len(values) - 1)
    return plan


def _edit_existence(plan: Draft, draws: Draws, asked: Arguments, answer: str) -> Draft:
    if answer == "yes":
        _put(plan, draws, [(asked[0], None)])
    else:
        _keep_out(plan.shapes, 0, asked, GENERAL.shape_tables[plan.place], draws)
    return plan


def _edit_suggested(plan: Draft, draws: Draws, asked: Arguments, answer: str) -> Draft:
    """Move to a place that prefers the shape asked for, then decide whether it is there."""
    places = [place for place in range(len(PLACES)) if asked[0] in GENERAL.preferred(place)]
    plan = draft(draws, GENERAL, 0.0, len(plan.shapes), places[draws.pick(len(places))])
    return _edit_existence(plan, draws, asked, answer)


def _larger(scene: Scene, asked: Arguments) -> str | None:
    first, second = (scene.only(shape=shape) for shape in asked)
    if first is None or second is None or first.size == second.size:
        return None
    return SHAPES[(first if first.size > second.size else second).shape]


def _relation(scene: Scene, first: int, second: int, vertical: bool) -> str | None:
    one, other = scene.only(shape=first), scene.only(shape=second)
    relation = None if one is None or other is None else relation_between(one, other, vertical)
    return None if relation is None else RELATIONS[relation]


def _false_relation(scene: Scene, asked: Arguments) -> str | None:
    found = _relation(scene, asked[0], asked[1], asked[2] > 1)
    return None if found is None else YES_NO[found != RELATIONS[asked[2]]]


def _odd(scene: Scene, asked: Arguments) -> str | None:
    words = COLOURS if asked[0] else SHAPES
    counts = Counter(thing.colour if asked[0] else thing.shape for thing in scene.objects).most_common()
    if len(scene.objects) < 3 or len(counts) != 2 or counts[1][1] != 1:
        return None
    return words[counts[1][0]]


def _only_colour(scene: Scene, asked: Arguments) -> str | None:
    thing = scene.only(shape=asked[0])
    return None if thing is None else COLOURS[thing.colour]


def _only_shape(scene: Scene, asked: Arguments) -> str | None:
    thing = scene.only(colour=asked[0])
    return None if thing is None else SHAPES[thing.shape]


def _exists(scene: Scene, asked: Arguments) -> str:
    return YES_NO[all(thing.shape != asked[0] for thing in scene.objects)]


def _exists_adversarial(scene: Scene, asked: Arguments) -> str | None:
    return _exists(scene, asked) if asked[0] in GENERAL.preferred(scene.place) else None


ALL_SHAPES = tuple(range(len(SHAPES)))
AXES = (("left of", "right of"), ("above", "below"))


def _nothing(draws: Draws) -> Arguments:
    return ()


def _one_of(values: tuple[int, ...]) -> Callable[[Draws], Arguments]:
    """Draws one of the values, each equally often."""
    return lambda draws: (values[draws.pick(len(values))],)


def _two_shapes_and(count: int) -> Callable[[Draws], Arguments]:
    """Draws two different shapes and a number below `count`."""
    return lambda draws: (*_two_shapes(draws), draws.pick(count))


def _always(answers: tuple[str, ...]) -> Callable[[Arguments], tuple[str, ...]]:
    """The same answers for whatever is asked."""
    return lambda asked: answers


def _existence(
    kind: str,
    shapes: tuple[int, ...],
    edit: Callable[[Draft, Draws, Arguments, str], Draft] = _edit_existence,
    truth: Callable[[Scene, Arguments], str | None] = _exists,
) -> Suite:
    """POPE's question; `shapes` are asked for, `edit` and `truth` may demand that the scene suggests the shape."""
    return Suite(
        name=f"existence_{kind}",
        group="hallucination",
        choices=2,
        arguments=_one_of(shapes),
        text=lambda asked: f"is there a {SHAPES[asked[0]]} ?",
        answers=_always(YES_NO),
        edit=edit,
        truth=truth,
    )


def _ask_relation(asked: Arguments) -> str:
    first, second, axis = asked
    return f"is the {SHAPES[first]} {AXES[axis][0]} or {AXES[axis][1]} the {SHAPES[second]} ?"


_SUITES = (
    Suite(
        name="colour",
        group="general",
        choices=len(COLOURS),
        arguments=_one_of(ALL_SHAPES),
        text=lambda asked: f"what colour is the {SHAPES[asked[0]]} ?",
        answers=_always(COLOURS),
        edit=_edit_colour,
        truth=_only_colour,
    ),
    Suite(
        name="shape",
        group="general",
        choices=len(SHAPES),
        arguments=_one_of(tuple(range(len(COLOURS)))),
        text=lambda asked: f"which shape is {COLOURS[asked[0]]} ?",
        answers=_always(SHAPES),
        edit=_edit_shape,
        truth=_only_shape,
    ),
    Suite(
        name="count",
        group="general",
        choices=len(NUMBERS),
        arguments=_nothing,
        text=lambda asked: "how many shapes are there ?",
        answers=_always(NUMBERS),
        edit=_edit_count,
        truth=lambda scene, asked: NUMBERS[len(scene.objects) - 1],
    ),
    Suite(
        name="place",
        group="general",
        choices=len(PLACES),
        arguments=_nothing,
        text=lambda asked: "which place is this ?",
        answers=_always(PLACES),
        edit=_edit_place,
        truth=lambda scene, asked: PLACES[scene.place],
    ),
    Suite(
        name="comparison",
        group="reasoning",
        choices=2,
        arguments=_two_shapes,
        text=lambda asked: f"which is larger the {SHAPES[asked[0]]} or the {SHAPES[asked[1]]} ?",
        answers=lambda asked: (SHAPES[asked[0]], SHAPES[asked[1]]),
        edit=_edit_pair,
        truth=_larger,
    ),
    Suite(
        name="relation",
        group="reasoning",
        choices=2,
        arguments=_two_shapes_and(len(AXES)),
        text=_ask_relation,
        answers=lambda asked: AXES[asked[2]],
        edit=_edit_pair,
        truth=lambda scene, asked: _relation(scene, asked[0], asked[1], vertical=bool(asked[2])),
    ),
    Suite(
        name="odd_one_out",
        group="reasoning",
        choices=len(COLOURS),
        arguments=_one_of((0, 1)),
        text=lambda asked: f"which {('shape', 'colour')[asked[0]]} is the odd one out ?",
        answers=lambda asked: (SHAPES, COLOURS)[asked[0]],
        edit=_edit_odd,
        truth=_odd,
    ),
    _existence("random", ALL_SHAPES),
    _existence("popular", GENERAL.popular),
    _existence("adversarial", ALL_SHAPES, _edit_suggested, _exists_adversarial),
    Suite(
        name="false_relation",
        group="hallucination",
        choices=2,
        arguments=_two_shapes_and(len(RELATIONS)),
        text=lambda asked: f"is the {SHAPES[asked[0]]} {RELATIONS[asked[2]]} the {SHAPES[asked[1]]} ?",
        answers=_always(YES_NO),
        edit=_edit_pair,
        truth=_false_relation,
    ),
)

SUITES = {suite.name: suite for suite in _SUITES}
