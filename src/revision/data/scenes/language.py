"""Captions: short and long ones mention only part of a scene, full ones everything."""

from dataclasses import dataclass

from revision.data.scenes.draws import Draws
from revision.data.scenes.lexicon import DOMAINS, NUMBERS, Domain
from revision.data.scenes.scene import Object, Scene


@dataclass(frozen=True)
class Mentions:
    """How likely a caption mentions each thing (probabilities), and how many non-visual phrases it carries at most."""

    objects: float
    colour: float
    size: float
    cell: float
    relation: float
    place: float
    count: float
    phrases: int


def noun_phrase(domain: Domain, thing: Object, mentions: Mentions, draws: Draws) -> str:
    """An object in words, such as "a large red star at the top left"."""
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
    """0 left of, 1 right of, 2 above, 3 below; None if the two share the row or column in question."""
    a, b = (first.cell // 2, second.cell // 2) if vertical else (first.cell % 2, second.cell % 2)
    return None if a == b else 2 * vertical + (a > b)


def caption(scene: Scene, mentions: Mentions, draws: Draws) -> str:
    """Describe `scene`: lower-case words, sentences apart by a full stop."""
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
    said = draws.pick(mentions.phrases + 1) if mentions.phrases else 0
    asides = draws.shuffled(domain.phrases)[:said]
    return " . ".join(draws.shuffled([text, *asides]))


def nonvisual_share(text: str, domain: str = "general") -> float:
    """Share of the words of a caption, full stops aside, that belong to phrases no image can show (figure 11)."""
    parts = text.split(" . ")
    words = [len(part.split()) for part in parts]
    phrases = DOMAINS[domain].phrases
    return sum(count for part, count in zip(parts, words, strict=True) if part in phrases) / sum(words)
