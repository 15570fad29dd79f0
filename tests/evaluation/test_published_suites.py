"""The paper's suites: they exist in lmms-eval, its task code runs on small copies, and answers become 0 or 1."""

import json
from pathlib import Path
from typing import ClassVar

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from revision.config.evaluation import PhotographCaptions, PublishedSuites
from revision.errors import ConfigError, DataError
from revision.evaluation.published_suites import (
    PublishedSuite,
    data_files,
    look_up,
    read_published_suites,
    read_written_suites,
    task_file,
    task_settings,
    used_suites,
    write_published,
)
from revision.evaluation.run import Checkpoint, evaluate
from revision.evaluation.tasks.utils import letters, score_letters
from revision.mllm.model import ReVisionModel

REAL_MODEL = ReVisionModel  # the tests of this folder replace it by fakes

CONFIG = Path(__file__).parents[2] / "config"
SUITES = {suite.name: suite for suite in read_published_suites(CONFIG / "suites.yaml")}
PUBLISHED = yaml.safe_load((CONFIG / "published.yaml").read_text())
ROWS = 6


def shade(n: int) -> Image.Image:
    return Image.new("RGB", (8, 8), (n, 0, 0))


def rows_of(name: str) -> list[dict]:
    """A few questions with the columns of a suite's data set."""
    n = range(ROWS)
    if name == "pope":
        return [
            {"id": str(k), "question_id": str(k), "question": f"Is there a cat {k}?", "answer": ("yes", "no")[k % 2],
             "image_source": f"COCO_{k}", "image": shade(k), "category": "random"} for k in n
        ]  # fmt: skip
    if name == "mmstar":
        return [
            {"index": k, "question": f"What? Options: A: a, B: b, C: c, D: d {k}", "image": shade(k),
             "answer": "ABCD"[k % 4], "category": "math", "meta_info": {"source": "x"},
             "l2_category": ("geometry", "statistical reasoning")[k % 2]}
            for k in n
        ]  # fmt: skip
    if name == "mme":
        return [
            {"question_id": f"existence/{k // 2}.jpg", "image": shade(k // 2),
             "question": f"Is it {k}? Please answer yes or no.", "answer": ("Yes", "No")[k % 2],
             "category": ("existence", "code_reasoning")[k // 2 % 2]} for k in n
        ]  # fmt: skip
    if name == "mmmu_val":
        return [
            {"id": f"validation_Art_{k}", "question": "<image 1> which?" + (" <image 2>" if k == 2 else ""),
             "options": "['x', 'y']", "answer": "AB"[k % 2], "question_type": "multiple-choice",
             "image_1": shade(k), "image_2": shade(k)} for k in n
        ]  # fmt: skip
    if name == "logicvista":
        return [{"question": f"Which of A, B, C, D? {k}", "answer": ("A", "B, D")[k % 2], "image": shade(k)} for k in n]
    if name == "crpe_relation":
        return [
            {"image": shade(k), "text": f"What is it?\nA. cup {k}\nB. dog\nC. car", "correct_option": "AB"[k % 2]}
            for k in n
        ]  # fmt: skip
    assert name == "hallusion_bench_image"
    return [
        {"category": "VD", "subcategory": "chart", "visual_input": "1", "set_id": "0", "figure_id": str(k // 2),
         "question_id": str(k % 2), "question": f"Is it {k}?", "gt_answer": str(k % 2), "gt_answer_details": "so",
         "image": shade(k)}
        for k in n
    ]  # fmt: skip


TRIED = ("mme", "mmstar", "mmmu_val", "logicvista", "crpe_relation", "pope", "hallusion_bench_image")


class ShadeEncoder:
    """Writes the image's red value to the first coordinate."""

    def encode_images(self, images):
        return np.array([[image.getpixel((0, 0))[0], 0, 0, 0] for image in images], dtype=np.float32)


class ConstantModel:
    """Always answers `Yes` to questions for yes or no, and `B` to others; records prompts and limits."""

    asked: ClassVar[list[tuple[str, int]]] = []
    projector = object()

    @classmethod
    def load(cls, folder, device, dtype):
        return cls()

    def generate(self, prompts, embeddings, max_new_tokens):
        self.asked += [(prompt, max_new_tokens) for prompt in prompts]
        yes_no = ("Is ", "Is it")
        return ["Yes" if prompt.startswith(yes_no) else "B" for prompt in prompts]


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    for name in TRIED:
        rows = rows_of(name)
        suite_folder = folder / "data" / name
        suite_folder.mkdir(parents=True)
        datasets.Dataset.from_list(rows).to_parquet(suite_folder / "test.parquet")
    tasks = write_published([SUITES[name] for name in TRIED], folder / "tasks", folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("revision.mllm.model.ReVisionModel", ConstantModel)
        ConstantModel.asked.clear()
        answers = evaluate([Checkpoint("m", 0, 3, folder)], tasks, ShadeEncoder(), folder / "answers").to_pandas()
    return answers, tasks, dict(ConstantModel.asked)


def test_the_eleven_suites_have_the_papers_order_and_groups():
    assert [suite.published for suite in SUITES.values()] == PUBLISHED["benchmarks"]
    groups = {}
    for suite in SUITES.values():
        groups.setdefault(suite.group, []).append(suite.published)
    assert groups == PUBLISHED["benchmark_groups"]


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_is_a_task_of_lmms_eval_with_the_configured_metrics(name):
    suite = SUITES[name]
    settings = task_settings(suite)
    assert settings["task"] == name and settings["output_type"] == "generate_until"
    metrics = {metric["metric"] for metric in settings["metric_list"]}
    assert set(suite.correct.metrics) <= metrics


def test_the_splits_are_the_papers():
    assert {name: task_settings(suite)["test_split"] for name, suite in SUITES.items()} == {
        "mme": "test", "mmstar": "val", "scienceqa_img": "test", "realworldqa": "test", "mmmu_val": "validation",
        "mmmu_pro_standard": "test", "visulogic": "train", "logicvista": "test", "crpe_relation": "test",
        "pope": "test", "hallusion_bench_image": "image",
    }  # fmt: skip
    assert [name for name, suite in SUITES.items() if suite.one_image] == ["mmmu_val", "mmmu_pro_standard"]
    assert any("validation" in pattern for pattern in SUITES["scienceqa_img"].files)


def test_answers_are_scored_by_the_code_of_the_tasks(scored):
    answers, _, _ = scored
    right = {name: answers[answers.suite == name].correct.tolist() for name in TRIED}
    assert right["pope"] == right["mme"] == [1, 0, 1, 0, 1, 0]
    assert right["mmstar"] == [0, 1, 0, 0, 0, 1] and right["crpe_relation"] == [0, 1, 0, 1, 0, 1]
    assert right["mmmu_val"] == [0, 1, 1, 0, 1]  # question 2 has two images
    assert right["logicvista"] == [0] * 6 and right["hallusion_bench_image"] == [0, 1, 0, 1, 0, 1]
    assert answers.question.tolist()[:2] == ["mme-000000", "mme-000001"] and not answers.question.duplicated().any()
    assert set(answers[answers.suite == "pope"].prediction) == {"Yes"}


def test_prompts_and_answer_lengths_are_those_of_the_tasks(scored):
    asked = scored[2]
    assert asked["Is there a cat 0?\nAnswer the question using a single word or phrase."] == 128
    assert asked["Is it 0?\nAnswer the question using a single word or phrase."] == 16
    (star,) = [
        length for prompt, length in asked.items() if prompt.startswith("What? Options: A: a, B: b, C: c, D: d 0")
    ]
    assert star == 1024


def test_a_real_tiny_model_answers_real_tasks(scored, tmp_path, monkeypatch):
    from revision.mllm.language_models.trained import LanguageModelSettings, new_llm, word_tokenizer

    tokenizer = word_tokenizer(["is", "there", "a", "cat", "yes", "no", "what"])
    model = REAL_MODEL(new_llm(LanguageModelSettings(hidden_size=16, layers=1, heads=2), tokenizer, 0), tokenizer, 4)
    model.save(tmp_path / "tiny")
    monkeypatch.setattr("revision.mllm.model.ReVisionModel", REAL_MODEL)
    files = []
    for name in ("a", "b"):
        out = tmp_path / name
        evaluate([Checkpoint("tiny", 0, 0, tmp_path / "tiny")], scored[1], ShadeEncoder(), out,
                 suites=["pope", "mmstar"], limit=2)  # fmt: skip
        files.append(out.read_bytes())
    assert files[0] == files[1]
    answers = pq.read_table(tmp_path / "a").to_pandas()
    assert answers.question.tolist() == ["pope-000000", "pope-000001", "mmstar-000000", "mmstar-000001"]
    assert answers.correct.isin([0, 1]).all()


def test_a_question_can_be_looked_up(scored):
    question = look_up(scored[1], "pope", ["pope-000003"])[0]
    assert question["text"].startswith("Is there a cat 3?") and question["answer"] == "no"
    assert question["image"].startswith(b"\x89PNG")
    assert [suite.name for suite in read_written_suites(scored[1], ["pope"])] == ["pope"]
    with pytest.raises(ConfigError, match="unknown suite vqa; the suites are mme, mmstar"):
        read_written_suites(scored[1], ["vqa"])


def test_without_local_data_tasks_use_the_hub_without_a_token(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    write_published(list(SUITES.values()), tmp_path / "tasks")
    pope = yaml.safe_load((tmp_path / "tasks/pope.yaml").read_text())
    assert pope["dataset_kwargs"] == {"revision": SUITES["pope"].revision} and "dataset_path" not in pope
    assert yaml.safe_load((tmp_path / "tasks/visulogic.yaml").read_text())["dataset_kwargs"] == {
        "data_files": "data.jsonl"
    }
    science = yaml.safe_load((tmp_path / "tasks/scienceqa_img.yaml").read_text())
    assert science["dataset_name"] is None and len(science["dataset_kwargs"]["data_files"]["test"]) == 2
    about = {"name": "pope", "file": "pope/pope.yaml", "group": "hallucination", "published": "POPE"}
    about["correct"] = {"metrics": ["x"]}
    pinned = PublishedSuite(**about, revision="f" * 40)
    write_published([pinned], tmp_path / "tasks")
    assert yaml.safe_load((tmp_path / "tasks/pope.yaml").read_text())["dataset_kwargs"] == {"revision": "f" * 40}
    assert len(json.loads((tmp_path / "tasks/published.json").read_text())) == 1


def test_the_hubs_cache_is_read_as_files_without_a_network_or_a_login(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    suite = SUITES["pope"]
    assert data_files(suite) == []
    snapshot = tmp_path / "datasets--lmms-lab-encoder--POPE/snapshots" / suite.revision
    for part in ("Full/adversarial-00000-of-00001", "data/test-00000-of-00002", "data/test-00001-of-00002"):
        (snapshot / f"{part}.parquet").parent.mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_list(rows_of("pope")[:2]).to_parquet(snapshot / f"{part}.parquet")
    assert [path.name for path in data_files(suite)] == ["test-00000-of-00002.parquet", "test-00001-of-00002.parquet"]
    write_published([suite], tmp_path / "tasks", answer_tokens=16)
    task = yaml.safe_load((tmp_path / "tasks/pope.yaml").read_text())
    assert task["dataset_path"] == "parquet" and set(task["dataset_kwargs"]) == {"data_files"}
    assert task["generation_kwargs"]["max_new_tokens"] == 16 and task["generation_kwargs"]["num_beams"] == 1
    monkeypatch.setattr("revision.mllm.model.ReVisionModel", ConstantModel)
    ConstantModel.asked.clear()
    answers = evaluate([Checkpoint("m", 0, 3, tmp_path)], tmp_path / "tasks", ShadeEncoder(), tmp_path / "answers")
    assert answers["correct"].to_pylist() == [1, 0, 1, 0] and {length for _, length in ConstantModel.asked} == {16}
    science = tmp_path / "datasets--lmms-lab-encoder--ScienceQA/snapshots" / SUITES["scienceqa_img"].revision
    for part in (
        "ScienceQA-IMG/test-0",
        "ScienceQA-IMG/train-0",
        "ScienceQA-IMG/validation-0",
        "ScienceQA-FULL/test-0",
    ):
        (science / f"{part}.parquet").parent.mkdir(parents=True, exist_ok=True)
        (science / f"{part}.parquet").touch()
    assert [path.name for path in data_files(SUITES["scienceqa_img"])] == ["validation-0.parquet", "test-0.parquet"]


def test_some_suites_of_a_file_are_chosen_by_name():
    settings = PublishedSuites(kind="published", file=str(CONFIG / "suites.yaml"), names=["pope", "mme"])
    assert [suite.name for suite in used_suites(settings)] == ["pope", "mme"]
    with pytest.raises(ConfigError, match=r"suites\.yaml, names: 'pop' does not exist \(did you mean pope\?\)"):
        used_suites(settings.model_copy(update={"names": ["pop"]}))


def test_photographs_are_captioned_with_floors_and_scored_by_cider(tmp_path, monkeypatch):
    captions = PhotographCaptions(file="coco_cap/coco2017_cap_val.yaml", files=["data/val-*.parquet"], count=3)
    references = ["a cat sits on a mat", "a dog runs", "two birds on a wire", "a red bus"]
    rows = [
        {"question_id": f"00000000000{k}.jpg", "image": shade(k), "question": "Please caption it", "id": k,
         "answer": [f"{text.capitalize()}.", text]} for k, text in enumerate(references)
    ]  # fmt: skip
    (tmp_path / "data/captioning/data").mkdir(parents=True)
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "data/captioning/data/val-00000-of-00001.parquet")
    with pytest.raises(DataError, match="4 photographs in 1 files, but 5 to caption; download"):
        write_published([], tmp_path / "x", tmp_path / "data", captions=captions.model_copy(update={"count": 5}))
    tasks = write_published([SUITES["pope"]], tmp_path / "tasks", scored_data(tmp_path), captions=captions)

    class Captioner(ConstantModel):
        """Writes the reference of its image, with a full stop, as COCO's annotators do."""

        def generate(self, prompts, embeddings, max_new_tokens):
            if embeddings is None:
                return ["nothing."] * len(prompts)
            return [f"{references[round(float(row[0])) % 4]}." for row in embeddings]

    monkeypatch.setattr("revision.mllm.model.ReVisionModel", Captioner)
    evaluate([Checkpoint("stage1/m", 0, 3, tmp_path)], tasks, ShadeEncoder(), tmp_path / "answers",
             captions=tmp_path / "captions")  # fmt: skip
    table = pq.read_table(tmp_path / "captions").to_pandas()
    assert table.image.unique().tolist() == ["000000000000.jpg", "000000000001.jpg", "000000000002.jpg"]
    mean = table.groupby("condition").cider.mean()
    assert (table[table.condition == "own"].cider > 5).all()  # equal texts without punctuation; 10 if all are long
    assert mean["none"] == 0 and mean["own"] > 2 * max(mean["mean"], mean["other"])
    assert table.object_f1.isna().all() and table.prediction.iloc[0].endswith(".")


def scored_data(folder: Path) -> Path:
    """Write the questions of a suite beside the photographs and return the folder of both."""
    (folder / "data/pope").mkdir()
    datasets.Dataset.from_list(rows_of("pope")).to_parquet(folder / "data/pope/test.parquet")
    return folder / "data"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds list, expected keys with values"),
        ("pope: {file: pope/pope.yaml}", r"suite pope, group: missing\n.*, published: missing\n.*, correct: missing"),
        ("pope: {files: x, size: 3}", "suite pope: unknown key size"),
        ("pope: [", "not readable as YAML"),
    ],
)
def test_invalid_suite_files(tmp_path, text, message):
    (tmp_path / "suites.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_published_suites(tmp_path / "suites.yaml")


def test_missing_tasks_empty_folders_and_unusable_metrics_raise(tmp_path):
    suite = PublishedSuite(
        name="gone", file="gone/gone.yaml", group="general", published="Gone", correct={"metrics": ["score"]}
    )
    with pytest.raises(ConfigError, match=r"gone\.yaml does not exist; correct `file`"):
        task_file(suite)
    (tmp_path / "data/pope").mkdir(parents=True)
    with pytest.raises(DataError, match="no Parquet file; put the questions of pope there"):
        write_published([SUITES["pope"]], tmp_path / "tasks", tmp_path / "data")
    with pytest.raises(DataError, match=r"question 4: score is 0\.5, not 0 or 1"):
        suite.is_right({"doc_id": 4, "score": 0.5}, None)
    with pytest.raises(DataError, match="the task gave no score"):
        suite.is_right({"doc_id": 4}, None)


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        ("A", {"A"}),
        ("(b)", {"B"}),
        ("A, C", {"A", "C"}),
        ("The answer is D.", {"D"}),
        ("none of it", set()),
        ("", set()),
    ],
)
def test_letters_of_an_answer(answer, options):
    assert letters(answer) == options


def test_all_letters_must_match():
    assert score_letters({"answer": "A, C"}, ["A,C"]) == {"accuracy": 1.0}
    assert score_letters({"answer": "A, C"}, ["A"]) == {"accuracy": 0.0}
