"""The built-in world: deterministic, addressable scenes, disjoint splits and balanced answers."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from revision.data.scenes import KINDS, SPLITS, World, WorldSettings
from revision.data.scenes.lexicon import GENERAL, SCAN
from revision.data.scenes.scene import draw_scene
from revision.errors import ConfigError, RevisionError

WORLD = World()
DOMAINS = {"general": GENERAL, "scan": SCAN}
DIGEST = """
import sys
from hashlib import sha256
from revision.data.scenes import World
w = World()
s = w.scenes("paired", 5, 20) + w.scenes("paired", 5, 5, "scan")
questions = [repr(q) for q in w.instructions("instruct", 3, 22)]
text = "|".join(w.captions(s, "short") + w.captions(s, "long", 2) + questions)
print(sha256(text.encode() + w.images(s).tobytes()).hexdigest())
"""


@pytest.mark.parametrize("domain", DOMAINS)
def test_scene_depends_on_its_index_alone(domain):
    block = WORLD.scenes("paired", 100, 30, domain)
    assert WORLD.scenes("paired", 117, 1, domain) == [block[17]]
    assert World(WorldSettings()).scenes("paired", 110, 5, domain) == block[10:15]
    assert World(WorldSettings(seed=1)).scenes("paired", 100, 30, domain) != block


def test_bytes_do_not_depend_on_the_hash_seed_of_the_process():
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1


@pytest.mark.parametrize("domain", DOMAINS)
def test_splits_share_no_content(domain):
    contents = {split: {scene.content() for scene in WORLD.scenes(split, 0, 400, domain)} for split in SPLITS}
    for split in SPLITS:
        for other in SPLITS:
            assert split == other or not contents[split] & contents[other]


def test_questions_stay_in_their_split():
    asked = {split: {q.scene.content() for q in WORLD.instructions(split, 0, 220)} for split in SPLITS}
    scenes = {split: {s.content() for s in WORLD.scenes(split, 0, 400)} for split in SPLITS}
    for split in SPLITS:
        for other in SPLITS:
            assert split == other or not asked[split] & (asked[other] | scenes[other])


@pytest.mark.parametrize("domain", DOMAINS)
def test_scenes_are_valid_and_frequencies_are_as_documented(domain):
    lexicon = DOMAINS[domain]
    scenes = WORLD.scenes("text", 0, 4000, domain)
    for scene in scenes:
        cells = [thing.cell for thing in scene.objects]
        assert cells == sorted(set(cells)) and 1 <= len(cells) <= 3
    counts = Counter(len(scene.objects) for scene in scenes)
    assert all(abs(counts[k] / 4000 - 1 / 3) < 0.03 for k in (1, 2, 3))
    singles = [s for s in scenes if len(s.objects) == 1]
    preferred = np.mean([s.objects[0].shape in lexicon.preferred(s.place) for s in singles])
    expected = []
    for place in range(len(lexicon.places)):
        weights = [w * (4 if k in lexicon.preferred(place) else 1) for k, w in enumerate(lexicon.popularity)]
        expected.append(sum(weights[k] for k in set(lexicon.preferred(place))) / sum(weights))
    assert preferred == pytest.approx(np.mean(expected), abs=0.06)


def test_images_show_the_content():
    scene = WORLD.scenes("paired", 0, 1)[0]
    image = np.asarray(WORLD.image(scene))
    assert image.shape == (32, 32, 3) and np.array_equal(WORLD.images([scene])[0], image)
    for thing in scene.objects:
        row, column = divmod(thing.cell, 2)
        quadrant = image[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16].reshape(-1, 3)
        other = replace(scene, objects=tuple(o for o in scene.objects if o != thing))
        assert (quadrant == GENERAL.paint[thing.colour]).all(axis=1).sum() >= 4
        assert not np.array_equal(WORLD.images([other])[0], image)
    grey = WORLD.images(WORLD.scenes("paired", 0, 20, "scan"))
    assert np.ptp(grey.astype(int), axis=-1).max() == 0


def test_captions_mention_only_part_of_the_content_and_nothing_else():
    scenes = WORLD.scenes("text", 0, 1500)
    fractions = {}
    for kind in KINDS:
        mentioned = possible = 0
        for scene, text in zip(scenes, WORLD.captions(scenes, kind), strict=True):
            words = text.split()
            shapes = Counter(word for word in words if word in GENERAL.shapes)
            assert not shapes - Counter(GENERAL.shapes[thing.shape] for thing in scene.objects)
            assert {w for w in words if w in GENERAL.places} <= {GENERAL.places[scene.place]}
            mentioned, possible = mentioned + shapes.total(), possible + len(scene.objects)
        fractions[kind] = mentioned / possible
    others = 1 - 1 / np.mean([len(scene.objects) for scene in scenes])
    assert fractions["full"] == 1
    assert fractions["short"] == pytest.approx(1 - others * (1 - WORLD.settings.short_objects), abs=0.03)
    assert fractions["long"] == pytest.approx(1 - others * (1 - WORLD.settings.long_objects), abs=0.03)


def test_full_captions_identify_scenes_and_variants_differ():
    scenes = list({scene.content(): scene for scene in WORLD.scenes("text", 0, 1000)}.values())
    facts = {frozenset(Counter(text.replace("with", "in").split()).items()) for text in WORLD.captions(scenes, "full")}
    assert len(facts) > 0.97 * len(scenes)
    first, second = WORLD.captions(scenes, "short", 0), WORLD.captions(scenes, "short", 1)
    assert np.mean([a != b for a, b in zip(first, second, strict=True)]) > 0.8


def test_long_captions_have_non_visual_phrases():
    scenes = WORLD.scenes("text", 0, 500)
    fractions = {
        kind: np.mean([any(p in text for p in GENERAL.phrases) for text in WORLD.captions(scenes, kind)])
        for kind in KINDS
    }
    assert fractions["short"] == fractions["full"] == 0
    assert fractions["long"] == pytest.approx(WORLD.settings.long_phrases / (WORLD.settings.long_phrases + 1), abs=0.07)


def test_vocabulary_covers_every_text_and_is_small():
    scenes = WORLD.scenes("text", 0, 600) + WORLD.scenes("text", 0, 600, "scan")
    texts = [text for kind in KINDS for text in WORLD.captions(scenes, kind)]
    questions = WORLD.instructions("instruct", 0, 1100)
    texts += [text for q in questions for text in (q.question, q.answer)]
    used = {word for text in texts for word in text.split()}
    assert used <= set(WORLD.vocabulary()) and len(WORLD.vocabulary()) <= 250
    assert WORLD.vocabulary() == sorted(set(WORLD.vocabulary()))
    own = {word for group in (SCAN.places, SCAN.shapes, SCAN.colours, SCAN.sizes) for word in group}
    assert not own & {word for q in questions for word in q.question.split()}


def test_eleven_suites_in_three_groups():
    groups = Counter(WORLD.suite_group(name) for name in WORLD.suites())
    assert groups == {"general": 4, "reasoning": 3, "hallucination": 4}


@pytest.mark.parametrize("name", World().suites())
def test_answers_are_balanced_within_every_question_text(name):
    choices = round(1 / WORLD.chance(name))
    questions = WORLD.suite(name, 48 * choices)
    by_text: dict[str, Counter] = {}
    for q in questions:
        by_text.setdefault(q.question, Counter())[q.answer] += 1
        assert len(q.question.split()) <= 12 and len(q.answer.split()) <= 2
    for text, answers in by_text.items():
        assert len(answers) == choices and len(set(answers.values())) == 1, text
    best_blind_guess = sum(max(answers.values()) for answers in by_text.values()) / len(questions)
    assert best_blind_guess == pytest.approx(WORLD.chance(name))


def _answer(q):
    """Derive the answer from the scene, independently of the code of the suites."""
    things = [
        dict(shape=GENERAL.shapes[o.shape], colour=GENERAL.colours[o.colour], large=o.size, at=divmod(o.cell, 2))
        for o in q.scene.objects
    ]
    words = q.question.split()
    named = [next(t for t in things if t["shape"] == w) for w in words if w in {t["shape"] for t in things}]
    if q.suite == "count":
        return ("one", "two", "three")[len(things) - 1]
    if q.suite == "place":
        return GENERAL.places[q.scene.place]
    if q.suite == "colour":
        return named[0]["colour"]
    if q.suite == "shape":
        return next(t["shape"] for t in things if t["colour"] == words[3])
    if q.suite == "comparison":
        return max(things, key=lambda t: t["large"])["shape"]
    if q.suite == "majority":
        values = [t[words[1]] for t in things]
        return max(values, key=values.count)
    if q.suite == "side":
        inside = {"left": (1, 0), "right": (1, 1), "top": (0, 0), "bottom": (0, 1)}
        axis, wanted = inside[words[-2]]
        return next(t["shape"] for t in things if t["at"][axis] == wanted)
    if q.suite.startswith("existence"):
        return "yes" if named else "no"
    raise AssertionError(q.suite)


def test_answers_are_correct():
    for q in WORLD.instructions("evaluation", 0, 1100):
        assert _answer(q) == q.answer, q


def test_adversarial_questions_ask_for_shapes_that_the_place_prefers():
    for q in WORLD.suite("existence_adversarial", 100):
        assert GENERAL.shapes.index(q.question.split()[3]) in GENERAL.preferred(q.scene.place)
    popular = {q.question.split()[3] for q in WORLD.suite("existence_popular", 200)}
    counts = Counter(GENERAL.shapes[o.shape] for s in WORLD.scenes("text", 0, 3000) for o in s.objects)
    assert popular == {name for name, _ in counts.most_common(3)}


def test_reading_returns_the_full_caption_of_the_questions_scene():
    for (text, question, answer), q in zip(
        WORLD.reading("language", 0, 44), WORLD.instructions("language", 0, 44), strict=True
    ):
        assert (question, answer) == (q.question, q.answer)
        assert text == WORLD.captions([q.scene], "full")[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: WORLD.scenes("training", 0, 1), "unknown split 'training'; use one of encoder, text, paired"),
        (lambda: WORLD.scenes("text", 0, 1, "medical"), "general, scan"),
        (lambda: WORLD.captions([], "tiny"), "short, long, full"),
        (lambda: WORLD.suite("colours", 1), "colour, shape"),
    ],
)
def test_unknown_names_are_reported_with_the_existing_ones(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_settings_are_plain_data():
    settings = WorldSettings(seed=3, short_place=0.2)
    assert WorldSettings(**json.loads(json.dumps(vars(settings)))) == settings
    assert sha256(repr(settings).encode()).hexdigest() != sha256(repr(WorldSettings()).encode()).hexdigest()


def test_a_condition_that_no_scene_meets_is_reported():
    with pytest.raises(
        RevisionError, match=r"scene \('probe', 3\): no scene meets the condition after \d+ drafts; relax"
    ):
        draw_scene(("probe", 3), "general", 0, 1, 0.0, accept=lambda scene: False)


def test_grounds_and_objects_fade_by_their_own_degrees():
    scenes = WORLD.scenes("text", 0, 300)
    sharp = WORLD.images(scenes).astype(float)
    faded = World(WorldSettings(fade=0.9)).images(scenes).astype(float)
    mixed = World(WorldSettings(ground_mix=0.5)).images(scenes).astype(float)
    empty = [s.__class__(s.domain, s.place, (), s.key) for s in scenes]
    ground = WORLD.images(empty).astype(float)
    # An object is its own colour times its opacity, plus the ground: the ratio of contrasts is one opacity per object.
    contrast, full = np.abs(faded - ground).sum((1, 2, 3)), np.abs(sharp - ground).sum((1, 2, 3))
    opacity = contrast / full
    assert 0.1 - 0.02 < opacity.min() < 0.25 and opacity.max() == pytest.approx(1, abs=0.02)
    assert 0.45 < opacity.mean() < 0.65
    share = np.abs(mixed - sharp).mean((1, 2, 3))
    assert share.min() == 0 and 0 < np.median(share) < share.max()
