"""The scale for one GPU: readers, settings and stages, on data in the real layout and tiny random models of the same
classes, in bfloat16 and with micro-batches; and the plan of its whole graph."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import transformers as hf
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
sys.path.insert(0, str(Path(__file__).parents[1] / "encoders"))

from datasets_in_small import COLOURS, SHAPES, llava_instruct, llava_pretrain, sharegpt4v
from tiny_models import save_hugging_face

from revision.align import make_aligner
from revision.config import load
from revision.config.evaluation import Checkpoint
from revision.config.training import Stage1Training, Stage2Training
from revision.data.ingest import write_corpus_from
from revision.embeddings import open_embeddings
from revision.encoders.embed import embed_corpus
from revision.encoders.registry import load_encoder
from revision.evaluation.published_suites import used_suites, write_published
from revision.evaluation.run import evaluate
from revision.mllm.language_models.hub import link_language_model
from revision.mllm.train import train_stage1, train_stage2
from revision.planning.preflight import missing

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_precision")]
ROOT = Path(__file__).parents[2]
CONFIG = load(ROOT / "config", "single_gpu")
SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 512, "tie_word_embeddings": True}  # fmt: skip


def save_language_model(family, folder):
    """A tiny Qwen2 or Llama with a byte-level BPE tokenizer and the special tokens of Qwen2.5 or SmolLM2."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([f"a {colour} {shape}" for colour in COLOURS for shape in SHAPES], trainer)
    begin = {"bos_token": "<|im_start|>"} if family == "Llama" else {}  # Qwen2.5 has no token that begins a text
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>", **begin
    )
    torch.manual_seed(0)
    config = getattr(hf, f"{family}Config")(vocab_size=len(tokenizer), **SHAPE)
    getattr(hf, f"{family}ForCausalLM")(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Corpus tables, embeddings and aligned texts, made with the scale's own settings."""
    folder = tmp_path_factory.mktemp("single_gpu")
    data = folder / "data"
    llava_pretrain(data / "lcs/llava/llava_pretrain")
    sharegpt4v(data / "lcs")
    llava_instruct(data / "instruct")
    corpus = CONFIG.corpus.model_copy(update={"root": str(data)})
    for name, table in corpus.tables.items():
        write_corpus_from(corpus.source(name), table.share, 500, folder / f"{name}.parquet", at_most=True)
    save_hugging_face("siglip", folder / "siglip")  # the class of siglip2-base-patch16-224
    encoder_file = Path(CONFIG.encoder.path).name
    settings = (ROOT / "config/encoders" / encoder_file).read_text()
    lines = [line for line in settings.splitlines() if not line.startswith(("model:", "revision:"))]
    (folder / encoder_file).write_text("\n".join([*lines, f"model: {folder / 'siglip'}\n"]))
    encoder = load_encoder(folder / encoder_file)
    for name, column in (("text", "short"), ("text_long", "long"), ("reference", "image"), ("instruct", "image"),
                         ("validation", "image"), ("validation_instruct", "image")):  # fmt: skip
        embed_corpus(encoder, folder / f"{name}.parquet", column, folder / f"{name}_{column}", show_progress=False)
    aligner = make_aligner("realign")
    aligner.fit_stream(open_embeddings(folder / "text_short"), open_embeddings(folder / "reference_image"))
    aligner.transform_stream(open_embeddings(folder / "text_short"), folder / "aligned")
    return folder


@pytest.fixture(params=["Qwen2", "Llama"])
def language_model(request, prepared):
    folder = prepared / request.param
    if not folder.exists():
        save_language_model(request.param, folder)
        link_language_model(str(folder), None, prepared / f"llm_{request.param}")
    return prepared / f"llm_{request.param}"


def loop(stage, **changes):
    """The scale's settings of a stage, with batches of a few rows in micro-batches that do not divide them."""
    small = {"batch_size": 16, "micro_batch_size": 5, "validate_every": 4, "checkpoint_every": 3}
    return getattr(CONFIG, stage).model_copy(update=small | changes)


def stage1(folder, llm, out):
    training = Stage1Training(
        llm=str(llm), embeddings=str(folder / "aligned"), captions=str(folder / "text.parquet"),
        validation_embeddings=str(folder / "validation_image"), validation_captions=str(folder / "validation.parquet"),
        out=str(out),
    )  # fmt: skip
    train_stage1(training, loop("stage1"), CONFIG.projector)


def stage2(folder, start, out):
    training = Stage2Training(
        start=str(start), instructions=str(folder / "instruct.parquet"), embeddings=str(folder / "instruct_image"),
        validation_instructions=str(folder / "validation_instruct.parquet"),
        validation_embeddings=str(folder / "validation_instruct_image"), out=str(out),
    )  # fmt: skip
    train_stage2(training, loop("stage2", epochs=2, batch_size=4, micro_batch_size=3), CONFIG.projector)


def test_the_tables_have_the_rows_of_their_shares(prepared):
    tables = {path.stem: pq.read_table(path).to_pandas() for path in prepared.glob("*.parquet")}
    assert set(tables) == set(CONFIG.corpus.tables)
    short = {name: set(tables[name].id) for name in ("text", "reference", "probe", "validation")}
    assert sum(map(len, short.values())) == len(set.union(*short.values())) == 400
    # Both kinds of captions are split alike; rows of COCO and SAM are left out.
    assert all(set(tables[f"{name}_long"].id) == short[name] for name in ("text", "probe", "validation"))
    assert tables["text_long"].image.str.startswith("llava/llava_pretrain/images/").all()
    questions = tables["instruct"]
    assert questions.image.str.startswith("coco/train2017/").all() and (questions.groupby("image").size() > 1).any()
    assert not set(questions.image) & set(tables["validation_instruct"].image)
    assert not questions.question.str.contains("<image>").any()


def test_both_stages_run_in_bfloat16_and_resume_with_the_same_bytes(prepared, language_model, tmp_path, monkeypatch):
    stage1(prepared, language_model, tmp_path / "whole1")
    stage2(prepared, tmp_path / "whole1", tmp_path / "whole2")
    history = pd.read_csv(tmp_path / "whole1/history.csv")
    assert np.isfinite(history.validation_loss).all() and history.loss.iloc[-1] < history.loss.iloc[0]

    class KilledError(Exception):
        pass

    def killed_at(last):
        from revision.training.schedule import learning_rate

        def rate(step, *arguments, **options):
            if step == last:
                raise KilledError
            return learning_rate(step, *arguments, **options)

        return rate

    for run, out in ((lambda out: stage1(prepared, language_model, out), "1"),
                     (lambda out: stage2(prepared, tmp_path / "whole1", out), "2")):  # fmt: skip
        part = tmp_path / f"part{out}"
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr("revision.mllm.loop.learning_rate", killed_at(4))
            run(part)
        assert (tmp_path / f"part{out}.state.pt").is_file() and not part.exists()
        run(part)
        names = sorted(path.relative_to(part) for path in part.rglob("*") if path.is_file())
        assert names and Path("projector.safetensors") in names
        for name in names:
            assert (part / name).read_bytes() == (tmp_path / f"whole{out}" / name).read_bytes(), name


def suites(folder):
    """Two questions of each suite, in the columns of its data set, and photographs of COCO with captions."""
    image = [Image.new("RGB", (16, 16), (90 * k, 0, 40)) for k in range(2)]
    choices = "\nA. cat\nB. dog"
    rows = {
        "pope": [{"question": "Is there a cat?", "answer": "yes", "question_id": str(k), "category": "random"}
                 for k in range(2)],
        "mme": [{"question": "Is it? Please answer yes or no.", "answer": "No", "question_id": "a",
                 "category": "existence"}] * 2,
        "mmstar": [{"index": k, "question": "What? Options: A: a, B: b", "answer": "A", "category": "math",
                    "l2_category": "geometry", "meta_info": {"source": "x"}} for k in range(2)],
        "scienceqa_img": [{"question": "Which?", "choices": ["cat", "dog"], "answer": 0, "hint": ""}] * 2,
        "realworldqa": [{"question": f"Which is it?{choices}\nPlease answer directly.", "answer": "A"}] * 2,
        "crpe_relation": [{"text": f"What is it?{choices}", "correct_option": "A"}] * 2,
        "captioning": [{"question_id": f"{k}.jpg", "answer": ["a red circle", "one circle"]} for k in range(2)],
    }  # fmt: skip
    layout = {"scienceqa_img": "ScienceQA-IMG/test-0", "captioning": "data/val-0", "mmstar": "mmstar"}
    for name, of_suite in rows.items():
        path = folder / name / f"{layout.get(name, 'data/test-0')}.parquet"
        path.parent.mkdir(parents=True)
        named = [row | {"image": image[k]} for k, row in enumerate(of_suite)]
        datasets.Dataset.from_list(named).to_parquet(path)
    return folder


def test_the_suites_and_captions_are_scored(prepared, tmp_path):
    settings = CONFIG.evaluation.suites.model_copy(update={"file": str(ROOT / CONFIG.evaluation.suites.file)})
    save_language_model("Qwen2", tmp_path / "Qwen2")
    link_language_model(str(tmp_path / "Qwen2"), None, tmp_path / "llm")
    stage1(prepared, tmp_path / "llm", tmp_path / "stage1")
    captions = settings.captions.model_copy(update={"count": 2})
    data = suites(tmp_path / "suites")
    tasks = write_published(used_suites(settings), tmp_path / "tasks", data, settings.answer_tokens, captions)
    encoder = load_encoder(prepared / Path(CONFIG.encoder.path).name)
    checkpoint = Checkpoint("stage1/revision", 0, 0, tmp_path / "stage1")
    answers = evaluate([checkpoint], tasks, encoder, tmp_path / "answers.parquet",
                       captions=tmp_path / "captions.parquet", precision="bf16")  # fmt: skip
    assert sorted(set(answers["suite"].to_pylist())) == sorted(settings.names) and len(answers) == 12
    scored = pq.read_table(tmp_path / "captions.parquet").to_pandas()
    assert scored.groupby("condition").size().tolist() == [2] * 4 and scored.cider.between(0, 10).all()


def test_what_is_missing_is_listed_with_the_command_to_get_it(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    lines = {line.split(":")[0]: line for line in missing(load("config", "single_gpu"))}
    revision = CONFIG.corpus.sources["llava_pretrain"].revision
    assert f"images.zip --repo-type dataset --revision {revision} --local-dir data/" in lines["llava_pretrain"]
    assert "--scale single_gpu --pin, which records the commit of Lin-Chen/ShareGPT4V" in lines["sharegpt4v"]
    assert lines["sharegpt4v"].endswith("(licence: CC BY-NC 4.0)")
    assert all(model.model in lines for model in CONFIG.llm.values()) and "google/siglip2-base-patch16-224" in lines
    assert "--include 'data/val-*.parquet'" in lines["suite captioning"] and "--pin" in lines["suite realworldqa"]
    assert not any("auth login" in line or "form" in line for line in lines.values())  # no gate, no login
    llava_pretrain(tmp_path / "data/single_gpu/lcs/llava/llava_pretrain", rows=3)
    sharegpt4v(tmp_path / "data/single_gpu/lcs", rows=3)
    llava_instruct(tmp_path / "data/single_gpu/instruct", rows=3)
    left = [line.split(":")[0] for line in missing(load("config", "single_gpu"))]
    assert not {"llava_pretrain", "sharegpt4v", "llava_instruct"} & set(left)
    shutil.rmtree(tmp_path / "data/single_gpu/instruct/coco")
    lines = missing(load("config", "single_gpu"))
    assert lines[0].startswith("llava_instruct: no folder of images data/single_gpu/instruct/coco/train2017: hf")


def test_the_whole_graph_is_planned(tmp_path):
    for part in ("workflow", "config", "analysis"):
        shutil.copytree(ROOT / part, tmp_path / part)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--cores=1", "--config", "scale=single_gpu", "tracker=tensorboard"],
        cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    for rule, jobs in (("evaluate", 3), ("finetune", 60), ("language_model", 3), ("pretrain", 48),
                       ("captioning", 1)):  # fmt: skip
        assert any(line.split() == [rule, str(jobs)] for line in said.splitlines()), (rule, said[-3000:])
    assert "figure_8" not in said and "figure_1 " not in said and "dynamics" not in said
    assert "tables/table_8.csv" in said and "scan_" not in said
