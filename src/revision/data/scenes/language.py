"""Captions of scenes. Short and long captions mention only part of a scene, full captions everything."""

from dataclasses import dataclass

from revision.data.scenes.draws import Draws
from revision.data.scenes.lexicon import DOMAINS, NUMBERS, Domain
from revision.data.scenes.scene import Object, Scene


@dataclass(frozen=True)
class Mentions:
    """What a caption mentions.

    Attributes
    ----------
    objects, colour, size, cell, relation, place, count : float
        Probability that a caption mentions another object than the first, an attribute of an object, a relation
        between two objects, the place, and the number of objects.
    phrases : int
        Largest number of non-visual phrases.
    """

    objects: float
    colour: float
    size: float
    cell: float
    relation: float
    place: float
    count: float
    phrases: int


def noun_phrase(domain: Domain, thing: Object, mentions: Mentions, draws: Draws) -> str:
    """Describe an object, such as "a large red star at the top left".

    Parameters
    ----------
    domain : Domain
        Vocabulary of the scene.
    thing : Object
        The object.
    mentions : Mentions
        Probabilities of size, colour and cell.
    draws : Draws
        Source of randomness.

    Returns
    -------
    str
        A noun phrase.
    """
    words = ["a"]
    if draws.chance(mentions.size):
        words.append(domain.sizes[thing.size])
    if draws.chance(mentions.colour):
        words.append(domain.colours[thing.colour])
    words.append(domain.shapes[thing.shape])
    if draws.chance(mentions.cell):
        words.append(f"at the {domain.cells[thing.cell]}")
    return " ".join(words)


def relation_between(first: Object, second: Object, vertical: bool) -> int | None:
    """Return the spatial relation of two objects.

    Parameters
    ----------
    first, second : Object
        The objects.
    vertical : bool
        Whether to compare rows instead of columns.

    Returns
    -------
    int or None
        0 (left of), 1 (right of), 2 (above) or 3 (below); None if both are in the same row or column.
    """
    a, b = (first.cell // 2, second.cell // 2) if vertical else (first.cell % 2, second.cell % 2)
    return None if a == b else 2 * vertical + (a > b)


def caption(scene: Scene, mentions: Mentions, draws: Draws) -> str:
    """Write a caption of a scene.

    Parameters
    ----------
    scene : Scene
        The scene.
    mentions : Mentions
        What the caption mentions.
    draws : Draws
        Source of randomness.

    Returns
    -------
    str
        Lower-case sentences separated by " . ".
    """
    domain = DOMAINS[scene.domain]
    things = draws.shuffled(scene.objects)
    things = [thing for thing in things[1:] if draws.chance(mentions.objects)] + things[:1]
    parts = []
    if draws.chance(mentions.count):
        count = len(scene.objects)
        parts.append(f"{NUMBERS[count - 1]} {domain.nouns[count > 1]}")
    while things:
        first = things.pop()
        phrase = noun_phrase(domain, first, mentions, draws)
        if things and draws.chance(mentions.relation):
            relation = relation_between(first, things[-1], bool(draws.pick(2)))
            if relation is not None:
                phrase += f" {domain.relations[relation]} {noun_phrase(domain, things.pop(), mentions, draws)}"
        parts.append(phrase)
    text = " and ".join(parts)
    if draws.chance(mentions.place):
        place = domain.places[scene.place]
        text = f"{text} in the {place}" if draws.pick(2) else f"the {place} with {text}"
    phrase_count = draws.pick(mentions.phrases + 1) if mentions.phrases else 0
    phrases = draws.shuffled(domain.phrases)[:phrase_count]
    return " . ".join(draws.shuffled([text, *phrases]))


def nonvisual_share(text: str, domain: str = "general") -> float:
    """Compute the fraction of a caption's words that belong to non-visual phrases (Figure 11).

    Parameters
    ----------
    text : str
        A caption; full stops are not counted.
    domain : str
        Domain of the caption, which determines the phrases.

    Returns
    -------
    float
        Fraction in [0, 1].
    """
    parts = text.split(" . ")
    word_counts = [len(part.split()) for part in parts]
    phrases = DOMAINS[domain].phrases
    nonvisual = sum(count for part, count in zip(parts, word_counts, strict=True) if part in phrases)
    return nonvisual / sum(word_counts)
