"""Captioning: metrics against hand-computed cases and an independent formula, conditions, and lmms-eval's means."""

import math
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from revision.data.images import decode_image
from revision.data.scenes import World, WorldSettings
from revision.data.scenes.lexicon import GENERAL
from revision.errors import ConfigError, DataError
from revision.evaluation.captioning import CAPTIONS, METRICS, VISUAL, caption_scores, cider, content
from revision.evaluation.run import Checkpoint, evaluate
from revision.evaluation.suites import CONDITIONS, write_tasks
from revision.evaluation.tasks.utils import mean_cider, mean_of_defined

COUNT = 9
SCENE = "two shapes and a large red star at the top left above a small blue ring at the bottom left in the sea"


def nan(value):
    return isinstance(value, float) and math.isnan(value)


def test_content_of_a_full_caption_is_that_of_the_scene():
    world = World(WorldSettings(seed=3))
    scenes = world.scenes("evaluation", 0, 200)
    for scene, text in zip(scenes, world.captions(scenes, "full"), strict=True):
        colours = [GENERAL.colours[thing.colour] for thing in scene.objects]
        shapes = [GENERAL.shapes[thing.shape] for thing in scene.objects]
        pairs = {f"{colour} {shape}" for colour, shape in zip(colours, shapes, strict=True)}
        place = {GENERAL.places[scene.place]}
        assert content(text) == {"object": set(shapes), "colour": set(colours), "pair": pairs, "place": place}


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        # One of two objects and of two colours, and the place; the pair is right.
        ("a red star in the sea", dict(object=(1, 1 / 2), colour=(1, 1 / 2), pair=(1, 1 / 2), place=(1, 1))),
        # All objects and colours, bound wrongly.
        ("a blue star and a red ring", dict(object=(1, 1), colour=(1, 1), pair=(0, 0), place=(None, 0))),
        # Colour and shape do not follow each other; a size between article and colour does no harm.
        ("a star and a large red moon", dict(object=(1 / 2, 1 / 2), colour=(1, 1 / 2), pair=(0, 0), place=(None, 0))),
        ("the wild dragon, a small BLUE ring.", dict(object=(1, 1 / 2), colour=(1, 1 / 2), pair=(1, 1 / 2))),
        ("the desert with green", dict(object=(None, 0), colour=(0, 0), pair=(None, 0), place=(0, 0))),
        ("", dict(object=(None, 0), colour=(None, 0), pair=(None, 0), place=(None, 0))),
    ],
)
def test_precision_recall_and_f1_by_hand(caption, expected):
    scores = caption_scores(caption, SCENE)
    assert set(scores) == set(METRICS)
    for kind, (precision, recall) in expected.items():
        value = scores[f"{kind}_precision"]
        assert nan(value) if precision is None else value == precision
        assert scores[f"{kind}_recall"] == recall
        harmonic = 2 * precision * recall / (precision + recall) if precision and recall else 0
        assert scores[f"{kind}_f1"] == pytest.approx(harmonic)


@pytest.mark.parametrize(
    ("caption", "fraction", "any_wrong"),
    [
        ("a star and a ring", 0, 0),
        ("a star and a moon and a moon and a ring", 1 / 2, 1),
        ("a heart", 1, 1),
        ("the sea", None, 0),
    ],
)
def test_hallucinated_objects_by_hand(caption, fraction, any_wrong):
    scores = caption_scores(caption, SCENE)
    assert nan(scores["chair_i"]) if fraction is None else scores["chair_i"] == fraction
    assert scores["chair_s"] == any_wrong


def cider_by_definition(captions, references, n_max=4, sigma=6.0):
    """CIDEr-D after its definition, in dense vectors over all n-grams of one length."""

    def grams(text, n):
        words = text.split()
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    scores = np.zeros(len(captions))
    for n in range(1, n_max + 1):
        index = {}
        for text in [*captions, *(text for texts in references for text in texts)]:
            for gram in grams(text, n):
                index.setdefault(gram, len(index))
        frequency = np.zeros(len(index))
        for texts in references:
            for gram in set().union(*(grams(text, n) for text in texts)):
                frequency[index[gram]] += 1
        weight = np.log(len(references) / np.maximum(frequency, 1))

        def vector(text, n=n, index=index, weight=weight):
            counts = np.zeros(len(index))
            for gram, count in grams(text, n).items():
                counts[index[gram]] = count
            return counts * weight

        for row, (caption, texts) in enumerate(zip(captions, references, strict=True)):
            a = vector(caption)
            for text in texts:
                b = vector(text)
                norms = np.linalg.norm(a) * np.linalg.norm(b)
                cosine = np.minimum(a, b) @ b / norms if norms else 0.0
                length = len(caption.split()) - len(text.split())
                scores[row] += 10 * cosine * math.exp(-(length**2) / (2 * sigma**2)) / len(texts) / n_max
    return scores


def test_cider_is_that_of_the_definition():
    world = World(WorldSettings(seed=4))
    scenes = world.scenes("evaluation", 0, 12)
    references = [list(texts) for texts in zip(*(world.captions(scenes, "short", v) for v in range(5)), strict=True)]
    captions = world.captions(scenes[1:] + scenes[:1], "short", 7)
    captions[:3] = [references[0][0], "a star star star star in the sea", ""]
    scores = cider(captions, references)
    np.testing.assert_allclose(scores, cider_by_definition(captions, references), rtol=1e-9, atol=1e-12)
    assert scores[0] == max(scores) > 2 and scores[2] == 0
    # Texts of fewer than four words have no n-grams of length four.
    long = [[text for text in texts if len(text.split()) > 3][:1] for texts in references]
    np.testing.assert_allclose(cider([texts[0] for texts in long], long), 10)
    items = [{"caption": caption, "references": texts} for caption, texts in zip(captions, references, strict=True)]
    assert mean_cider(items) == pytest.approx(scores.mean())


def test_mean_leaves_undefined_values_out():
    assert mean_of_defined([0.5, float("nan"), 1.0]) == 0.75
    assert nan(mean_of_defined([float("nan")]))


class Numbers:
    """Encodes each of some images as a unit vector of its own."""

    def __init__(self, images):
        self.rows = {image.tobytes(): row for row, image in enumerate(images)}

    def encode_images(self, images):
        return np.eye(len(self.rows), dtype=np.float32)[[self.rows[image.tobytes()] for image in images]]


class Captioner:
    """Writes the text of the image that it reads; of a mean of images, or of nothing, always the same."""

    calls: tuple = ()

    def __init__(self, texts, text_only):
        self.texts, self.projector = texts, None if text_only else torch.nn.Identity()

    def generate(self, prompts, embeddings, max_new_tokens):
        assert (set(prompts) == {""}) == (max_new_tokens == 48)
        type(self).calls += (len(prompts),)
        if embeddings is None:
            return ["a red heart\nand more"] * len(prompts)
        return [self.texts[int(row.argmax())] if row.max() == 1 else "a green moon" for row in embeddings]


@pytest.fixture(scope="module")
def world():
    return World(WorldSettings(seed=5, image_size=24))


@pytest.fixture(scope="module")
def tasks(world, tmp_path_factory):
    return write_tasks(world, tmp_path_factory.mktemp("captioning") / "tasks", 2, ["colour"], captions=COUNT)


@pytest.fixture
def encoder(world, tasks, monkeypatch):
    """The encoder of the task folder's images; every checkpoint is a Captioner."""
    rows = pq.read_table(tasks / "captioning/captioning.parquet").to_pylist()
    questions = world.suite("colour", 2)
    images = [decode_image(row["image"]["bytes"], row["id"]) for row in rows]
    images += [world.image(question.scene) for question in questions]
    texts = [row["scene"] for row in rows] + [question.answer for question in questions]
    monkeypatch.setattr(Captioner, "calls", ())
    monkeypatch.setattr(
        "revision.mllm.model.ReVisionModel.load", lambda folder, *_: Captioner(texts, str(folder) == "blind")
    )
    return Numbers(images)


def test_data_are_held_out_scenes_with_references(world, tasks):
    rows = pq.read_table(tasks / "captioning/captioning.parquet").to_pylist()
    scenes = world.scenes("evaluation", 0, COUNT)
    assert [row["scene"] for row in rows] == world.captions(scenes, "full")
    assert [row["references"][3] for row in rows] == world.captions(scenes, "short", 3)
    assert {len(row["references"]) for row in rows} == {5}
    np.testing.assert_array_equal(decode_image(rows[4]["image"]["bytes"], ""), world.images(scenes)[4])


def test_conditions_of_every_checkpoint(encoder, tasks, tmp_path):
    checkpoints = [Checkpoint("m", 1, 2, "m"), Checkpoint("blind", 1, 2, "blind")]
    evaluate(checkpoints, tasks, encoder, tmp_path / "answers", captions=tmp_path / "captions")
    assert pq.read_schema(tmp_path / "captions").equals(CAPTIONS)
    table = pq.read_table(tmp_path / "captions").to_pandas()
    assert set(table.encoder) == {1} and set(table.seed) == {2} and table.image[3] == "captioning-000003"
    assert {key: len(part) for key, part in table.groupby(["method", "condition"])} == {
        ("m", name): COUNT for name in VISUAL
    } | {("blind", "none"): COUNT}
    predictions = {key: part.prediction.tolist() for key, part in table.groupby(["method", "condition"])}
    own = predictions["m", "own"]
    assert predictions["m", "other"] == own[1:] + own[:1]
    assert set(predictions["m", "mean"]) == {"a green moon"} and set(predictions["m", "none"]) == {"a red heart"}
    mine = table[(table.method == "m") & (table.condition == "own")]
    assert (mine.filter(like="_f1") == 1).all(axis=None) and (mine.chair_i == 0).all()
    references = [row["references"] for row in pq.read_table(tasks / "captioning/captioning.parquet").to_pylist()]
    np.testing.assert_allclose(mine.cider, cider(own, references))
    floor = table[table.condition == "other"]
    assert floor.pair_f1.mean() < 0.5 and floor.cider.mean() < mine.cider.mean()
    # Another image's caption is that image's own, and the mean and no image have one caption each: COUNT + 1 with a
    # visual token, and one without.
    assert sorted(Captioner.calls) == [1, 1, 1, 2, COUNT + 1]


def test_lmms_eval_averages_the_metrics_itself(encoder, tasks, monkeypatch):
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    monkeypatch.setattr("revision.encoders.load_encoder", lambda folder: encoder)
    results = simple_evaluate(
        model="revision",
        model_args="checkpoint=m,encoder=e",
        tasks=[CONDITIONS["own"], CONDITIONS["none"]],
        bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
    )["results"]
    own, none = results["revision_captioning"], results["revision_captioning_none"]
    assert own["object_precision,none"] == own["pair_f1,none"] == 1 and own["chair_s,none"] == 0
    assert nan(none["place_precision,none"]) and none["place_recall,none"] == 0
    assert own["cider,none"] > none["cider,none"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(visual="theirs"), "visual 'theirs' does not exist; there are own, other, mean, none"),
        (dict(visula="own"), "does not know the generation setting visula; it knows max_new_tokens, until"),
    ],
)
def test_unknown_generation_settings_raise(encoder, world, tmp_path, change, message):
    tasks = write_tasks(world, tmp_path / "tasks", 2, ["colour"], captions=2)
    path = tasks / "captioning/mean.yaml"
    task = yaml.safe_load(path.read_text())
    task["generation_kwargs"] |= change
    path.write_text(yaml.safe_dump(task))
    with pytest.raises(ConfigError, match=f"revision_captioning_mean: .*{message}"):
        evaluate([Checkpoint("m", 0, 0, "m")], tasks, encoder, tmp_path / "a", captions=tmp_path / "c")


def test_folder_without_captioning_tasks_raises(world, tmp_path):
    tasks = write_tasks(world, tmp_path / "tasks", 2, ["colour"])
    with pytest.raises(DataError, match=r"own\.yaml: no such captioning task; write the tasks of scenes again"):
        evaluate([Checkpoint("m", 0, 0, "m")], tasks, None, tmp_path / "a", captions=tmp_path / "c")
