"""Questions with known answers in the paper's three groups: general, reasoning, hallucination.

The text of a question is drawn first, then its correct answer, each possible answer equally often, and then a scene
that fits. The answers of every question text are therefore balanced, and the text alone gives no information.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from revision.data.scenes.draws import Draws
from revision.data.scenes.lexicon import GENERAL, NUMBERS
from revision.data.scenes.scene import Draft, Object, Scene, draft

Arguments = tuple[int, ...]
SHAPES, COLOURS, PLACES = GENERAL.shapes, GENERAL.colours, GENERAL.places
YES_NO = ("yes", "no")


@dataclass(frozen=True)
class Question:
    """A question about a scene.

    Attributes
    ----------
    scene : Scene
        The scene.
    suite : str
        Name of its suite.
    question, answer : str
        The question and its only correct answer.
    """

    scene: Scene
    suite: str
    question: str
    answer: str


@dataclass(frozen=True)
class Suite:
    """A family of questions.

    Attributes
    ----------
    name, group : str
        Name of the suite and its group.
    choices : int
        Number of possible answers.
    arguments : callable
        Draws the arguments of a question, such as the indices of shapes.
    text, answers : callable
        Return the question and its possible answers for given arguments.
    edit : callable
        Changes a draft so that a given answer becomes correct.
    truth : callable
        Returns the correct answer for a scene, or None if the question does not apply.
    """

    name: str
    group: str
    choices: int
    arguments: Callable[[Draws], Arguments]
    text: Callable[[Arguments], str]
    answers: Callable[[Arguments], tuple[str, ...]]
    edit: Callable[[Draft, Draws, Arguments, str], Draft]
    truth: Callable[[Scene, Arguments], str | None]


def _set_first(plan: Draft, draws: Draws, wanted: list[tuple[int | None, int | None]]) -> None:
    """Set shape and colour of the first objects, adding objects if necessary; None keeps a drawn value."""
    table = GENERAL.shape_tables[plan.place]
    while len(plan.shapes) < len(wanted):
        plan.shapes.append(table[draws.pick(len(table))])
        plan.colours.append(draws.pick(len(COLOURS)))
    for index, (shape, colour) in enumerate(wanted):
        plan.shapes[index] = plan.shapes[index] if shape is None else shape
        plan.colours[index] = plan.colours[index] if colour is None else colour


def _exclude(values: list[int], start: int, excluded: tuple[int, ...], table: list[int], draws: Draws) -> None:
    """Redraw the values from `start` on until none is excluded."""
    for index in range(start, len(values)):
        while values[index] in excluded:
            values[index] = table[draws.pick(len(table))]


def _edit_colour(plan: Draft, draws: Draws, arguments: Arguments, answer: str) -> Draft:
    _set_first(plan, draws, [(arguments[0], COLOURS.index(answer))])
    _exclude(plan.shapes, 1, arguments, GENERAL.shape_tables[plan.place], draws)
    return plan


def _edit_shape(plan: Draft, draws: Draws, arguments: Arguments, answer: str) -> Draft:
    _set_first(plan, draws, [(SHAPES.index(answer), arguments[0])])
    _exclude(plan.colours, 1, arguments, list(range(len(COLOURS))), draws)
    return plan


def _edit_count(plan: Draft, draws: Draws, arguments: Arguments, answer: str) -> Draft:
    count = NUMBERS.index(answer) + 1
    _set_first(plan, draws, [(None, None)] * count)
    del plan.shapes[count:], plan.colours[count:]
    return plan


def _edit_place(plan: Draft, draws: Draws, arguments: Arguments, answer: str) -> Draft:
    return draft(draws, GENERAL, 0.0, len(plan.shapes), PLACES.index(answer))


def _edit_present(plan: Draft, draws: Draws, arguments: Arguments, answer: str) -> Draft:
    """Give the scene an object of the shape that is the answer, and another one."""
    _set_first(plan, draws, [(SHAPES.index(answer), None), (None, None)])
    return plan


def _edit_majority(plan: Draft, draws: Draws, arguments: Arguments, answer: str) -> Draft:
    _set_first(plan, draws, [(None, None)] * 3)
    values, names = (plan.colours, COLOURS) if arguments[0] else (plan.shapes, SHAPES)
    common = names.index(answer)
    odd = (common + 1 + draws.pick(len(names) - 1)) % len(names)
    values[:] = [odd] + [common] * (len(values) - 1)
    return plan


def _edit_existence(plan: Draft, draws: Draws, arguments: Arguments, answer: str) -> Draft:
    if answer == "yes":
        _set_first(plan, draws, [(arguments[0], None)])
    else:
        _exclude(plan.shapes, 0, arguments, GENERAL.shape_tables[plan.place], draws)
    return plan


def _edit_crowded(plan: Draft, draws: Draws, arguments: Arguments, answer: str) -> Draft:
    """Give the scene three objects, then add or remove the shape in question."""
    _set_first(plan, draws, [(None, None)] * len(NUMBERS))
    return _edit_existence(plan, draws, arguments, answer)


def _edit_suggested(plan: Draft, draws: Draws, arguments: Arguments, answer: str) -> Draft:
    """Move the scene to a place that prefers the shape in question, then add or remove the shape."""
    places = [place for place in range(len(PLACES)) if arguments[0] in GENERAL.preferred(place)]
    plan = draft(draws, GENERAL, 0.0, len(plan.shapes), places[draws.pick(len(places))])
    return _edit_existence(plan, draws, arguments, answer)


def _the_shape(things: list[Object], scene: Scene) -> str | None:
    """Return the shape of the only one of `things`, in a scene of several objects."""
    return SHAPES[things[0].shape] if len(things) == 1 < len(scene.objects) else None


def _larger(scene: Scene, arguments: Arguments) -> str | None:
    return _the_shape([thing for thing in scene.objects if thing.size], scene)


def _side(scene: Scene, arguments: Arguments) -> str | None:
    axis, second = divmod(arguments[0], 2)
    return _the_shape([thing for thing in scene.objects if divmod(thing.cell, 2)[1 - axis] == second], scene)


def _majority(scene: Scene, arguments: Arguments) -> str | None:
    names = COLOURS if arguments[0] else SHAPES
    counts = Counter(thing.colour if arguments[0] else thing.shape for thing in scene.objects).most_common()
    if len(counts) != 2 or counts[0][1] == counts[1][1]:
        return None
    return names[counts[0][0]]


def _only_colour(scene: Scene, arguments: Arguments) -> str | None:
    thing = scene.only(shape=arguments[0])
    return None if thing is None else COLOURS[thing.colour]


def _only_shape(scene: Scene, arguments: Arguments) -> str | None:
    thing = scene.only(colour=arguments[0])
    return None if thing is None else SHAPES[thing.shape]


def _exists(scene: Scene, arguments: Arguments) -> str:
    return YES_NO[all(thing.shape != arguments[0] for thing in scene.objects)]


def _exists_adversarial(scene: Scene, arguments: Arguments) -> str | None:
    return _exists(scene, arguments) if arguments[0] in GENERAL.preferred(scene.place) else None


def _exists_crowded(scene: Scene, arguments: Arguments) -> str | None:
    return _exists(scene, arguments) if len(scene.objects) == len(NUMBERS) else None


ALL_SHAPES = tuple(range(len(SHAPES)))
SIDES = ("left", "right", "top", "bottom")


def _no_arguments(draws: Draws) -> Arguments:
    return ()


def _one_of(values: tuple[int, ...]) -> Callable[[Draws], Arguments]:
    """Draw one of the values, each equally often."""
    return lambda draws: (values[draws.pick(len(values))],)


def _fixed_answers(answers: tuple[str, ...]) -> Callable[[Arguments], tuple[str, ...]]:
    """Give the same possible answers for all arguments."""
    return lambda arguments: answers


def _existence(
    kind: str,
    shapes: tuple[int, ...],
    edit: Callable[[Draft, Draws, Arguments, str], Draft] = _edit_existence,
    truth: Callable[[Scene, Arguments], str | None] = _exists,
) -> Suite:
    """Create a suite of POPE's question about one of `shapes`; `edit` and `truth` may restrict the scenes."""
    return Suite(
        name=f"existence_{kind}",
        group="hallucination",
        choices=2,
        arguments=_one_of(shapes),
        text=lambda arguments: f"is there a {SHAPES[arguments[0]]} ?",
        answers=_fixed_answers(YES_NO),
        edit=edit,
        truth=truth,
    )


_SUITES = (
    Suite(
        name="colour",
        group="general",
        choices=len(COLOURS),
        arguments=_one_of(ALL_SHAPES),
        text=lambda arguments: f"what colour is the {SHAPES[arguments[0]]} ?",
        answers=_fixed_answers(COLOURS),
        edit=_edit_colour,
        truth=_only_colour,
    ),
    Suite(
        name="shape",
        group="general",
        choices=len(SHAPES),
        arguments=_one_of(tuple(range(len(COLOURS)))),
        text=lambda arguments: f"which shape is {COLOURS[arguments[0]]} ?",
        answers=_fixed_answers(SHAPES),
        edit=_edit_shape,
        truth=_only_shape,
    ),
    Suite(
        name="count",
        group="general",
        choices=len(NUMBERS),
        arguments=_no_arguments,
        text=lambda arguments: "how many shapes are there ?",
        answers=_fixed_answers(NUMBERS),
        edit=_edit_count,
        truth=lambda scene, arguments: NUMBERS[len(scene.objects) - 1],
    ),
    Suite(
        name="place",
        group="general",
        choices=len(PLACES),
        arguments=_no_arguments,
        text=lambda arguments: "which place is this ?",
        answers=_fixed_answers(PLACES),
        edit=_edit_place,
        truth=lambda scene, arguments: PLACES[scene.place],
    ),
    Suite(
        name="comparison",
        group="reasoning",
        choices=len(SHAPES),
        arguments=_no_arguments,
        text=lambda arguments: "which shape is larger than the others ?",
        answers=_fixed_answers(SHAPES),
        edit=_edit_present,
        truth=_larger,
    ),
    Suite(
        name="side",
        group="reasoning",
        choices=len(SHAPES),
        arguments=_one_of(tuple(range(len(SIDES)))),
        text=lambda arguments: f"which shape is alone on the {SIDES[arguments[0]]} ?",
        answers=_fixed_answers(SHAPES),
        edit=_edit_present,
        truth=_side,
    ),
    Suite(
        name="majority",
        group="reasoning",
        choices=len(COLOURS),
        arguments=_one_of((0, 1)),
        text=lambda arguments: f"which {('shape', 'colour')[arguments[0]]} is the most common ?",
        answers=lambda arguments: (SHAPES, COLOURS)[arguments[0]],
        edit=_edit_majority,
        truth=_majority,
    ),
    _existence("random", ALL_SHAPES),
    _existence("popular", GENERAL.popular),
    _existence("adversarial", ALL_SHAPES, _edit_suggested, _exists_adversarial),
    _existence("crowded", ALL_SHAPES, _edit_crowded, _exists_crowded),
)

SUITES = {suite.name: suite for suite in _SUITES}
