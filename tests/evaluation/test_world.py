"""The suites of generated scenes: an oracle is always correct, and a constant answer is at chance."""

import numpy as np
import pytest

from revision.data.scenes import World, WorldSettings
from revision.evaluation.run import Checkpoint, evaluate
from revision.evaluation.suites import read_suites, write_tasks

COUNT = 24


class ImageNumbers:
    """Numbers images by their content, in the order of their first appearance."""

    def __init__(self):
        self.images = {}

    def encode_images(self, images):
        numbers = [self.images.setdefault(image.tobytes(), len(self.images)) for image in images]
        return np.array(numbers, dtype=np.float32)[:, None]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    world = World(WorldSettings(seed=5, image_size=24))
    encoder = ImageNumbers()
    right = {}
    for name in world.suites():
        for question in world.suite(name, COUNT):
            (number,) = encoder.encode_images([world.image(question.scene)])[0]
            right[question.question, number] = question.answer

    class Oracle:
        def __init__(self, folder):
            self.projector = None if folder.name == "blind" else object()

        def generate(self, prompts, embeddings, max_new_tokens):
            if embeddings is None:
                return ["yes"] * len(prompts)
            return [right[key] for key in zip(prompts, embeddings[:, 0].tolist(), strict=True)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("revision.mllm.model.ReVisionModel.load", lambda folder, device, dtype: Oracle(folder))
        tasks = write_tasks(world, folder / "tasks", COUNT)
        checkpoints = [Checkpoint("oracle", 0, 0, folder), Checkpoint("yes", 0, 0, folder / "blind")]
        table = evaluate(checkpoints, tasks, encoder, folder / "answers").to_pandas()
    assert {(suite.name, suite.group) for suite in read_suites(tasks)} == {
        (name, world.suite_group(name)) for name in world.suites()
    }
    return table


def test_the_oracle_is_correct_on_all_three_groups(answers):
    assert answers[answers.method == "oracle"].correct.all()
    assert set(answers.group) == {"general", "reasoning", "hallucination"}


def test_yes_to_everything_is_at_chance_on_existence(answers):
    yes = answers[answers.method == "yes"].groupby("suite").correct.mean()
    existence = [name for name in yes.index if name.startswith("existence")]
    assert len(existence) == 4 and (yes[existence] == 0.5).all()
