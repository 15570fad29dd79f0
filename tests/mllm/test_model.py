"""The multimodal LLM: position of the visual token, loss, decoding, and exact resumption of a killed training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from revision.config.training import ProjectorSettings
from revision.errors import DataError
from revision.mllm.language_models.trained import LanguageModelSettings, new_llm, word_tokenizer
from revision.mllm.loop import LoopSettings, run_loop
from revision.mllm.model import ReVisionModel
from revision.mllm.prompts import batch_plan, question_prompt, tokenise

WORDS = ["red", "blue", "square", "circle", "what", "?", "is", "it"]


@pytest.fixture
def model():
    tokenizer = word_tokenizer(WORDS)
    return ReVisionModel(
        new_llm(LanguageModelSettings(hidden_size=16, layers=2, heads=2), tokenizer, seed=0), tokenizer, 8, seed=0
    )


def test_loss_is_the_cross_entropy_of_the_target_after_the_visual_token(model):
    examples = tokenise(model.tokenizer, ["what is it ?"], ["red square"])
    embedding = torch.nn.functional.normalize(torch.randn(1, 8, generator=torch.Generator().manual_seed(0)))
    ids, labels = examples.batch(np.array([0]))
    tokens = model.llm.get_input_embeddings()(ids)
    visual = model.projector(embedding)
    logits = model.llm(inputs_embeds=torch.cat([tokens[:, :1], visual, tokens[:, 1:]], 1)).logits[0]
    target = ids[0, 5:]  # red square <eos>, after <bos> and four words of the prompt
    expected = cross_entropy(logits[5:8], target)
    assert model(ids, labels, embedding).item() == pytest.approx(expected.item(), rel=1e-5)


def test_padding_does_not_change_the_loss(model):
    examples = tokenise(model.tokenizer, ["", ""], ["red", "blue circle is it red square"])
    make = examples.batch
    alone = [model(*make(np.array([row])), None).item() for row in (0, 1)]
    tokens = np.array([2, 7])
    both = model(*make(np.array([0, 1])), None).item()
    assert both == pytest.approx((alone * tokens).sum() / tokens.sum(), rel=1e-5)


def test_answers_do_not_depend_on_the_batch(model):
    prompts = ["what is it ?", "is it red ?", "what ?"]
    embeddings = torch.nn.functional.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(1)))
    together = model.generate(prompts, embeddings)
    alone = [model.generate([p], embeddings[k : k + 1])[0] for k, p in enumerate(prompts)]
    assert together == alone


def test_an_empty_prompt_continues_what_stage_1_trains(model, monkeypatch):
    given = []
    original = model.input_embeddings
    monkeypatch.setattr(
        model, "input_embeddings", lambda ids, visual: (given.append(ids.tolist()), original(ids, visual))[1]
    )
    embeddings = torch.nn.functional.normalize(torch.randn(2, 8, generator=torch.Generator().manual_seed(1)))
    captions = model.generate(["", ""], embeddings, max_new_tokens=6)
    examples = tokenise(model.tokenizer, [""], ["red"])
    before_target = examples.batch(np.array([0]))[0][0, : examples.target_starts[0]].tolist()
    assert given == [[before_target] * 2] and before_target == [model.tokenizer.bos_token_id]
    assert len(captions) == 2 and model.generate([""], None, max_new_tokens=6)


def test_save_and_load_give_the_same_answers(model, tmp_path):
    embeddings = torch.nn.functional.normalize(torch.randn(2, 8, generator=torch.Generator().manual_seed(2)))
    model.save(tmp_path / "m")
    loaded = ReVisionModel.load(tmp_path / "m")
    examples = tokenise(model.tokenizer, ["what ?", "is ?"], ["red", "blue"])
    batch = examples.batch(np.array([0, 1]))
    assert loaded(*batch, embeddings).item() == model(*batch, embeddings).item()


def test_numbers_of_prompts_and_embeddings_must_agree(model):
    with pytest.raises(DataError, match="2 prompts but 1 embeddings; give one embedding per prompt"):
        model.generate(["what ?", "is ?"], torch.ones(1, 8))


def test_tie_weights_restores_tied_embeddings(model):
    head, tokens = model.llm.get_output_embeddings(), model.llm.get_input_embeddings()
    head.weight = torch.nn.Parameter(torch.zeros_like(head.weight))
    model.tie_weights()
    assert head.weight is tokens.weight and tokens.weight.any()


def test_embeddings_for_a_blind_model_an_empty_target_and_a_missing_model_raise(model):
    blind = ReVisionModel(model.llm, model.tokenizer, None)
    with pytest.raises(DataError, match="trained blind"):
        blind.generate(["what ?"], torch.ones(1, 8))
    with pytest.raises(DataError, match="row 1: the target text is empty"):
        tokenise(model.tokenizer, ["", ""], ["red", " "])
    with pytest.raises(DataError, match=r"config.json is missing"):
        ReVisionModel.load("/nonexistent")


def test_prompt_format():
    assert question_prompt("what ?") == "question : what ? answer :"


def test_batch_plan_is_a_permutation_padded_by_length():
    lengths = np.random.default_rng(0).integers(3, 40, 1000)
    plan = batch_plan(lengths, 50, seed=1)
    rows = np.concatenate(plan)
    assert sorted(rows) == list(range(1000))
    padded = sum(len(b) * lengths[b].max() for b in plan)
    assert padded < 1.15 * lengths.sum()
    assert all(np.array_equal(a, b) for a, b in zip(plan, batch_plan(lengths, 50, seed=1), strict=True))


class Killed(Exception):
    pass


def train(folder, kill_at=None):
    """Fit a small linear model; optionally raise `Killed` at batch `kill_at`."""
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 1)
    data = torch.randn(64, 4, generator=torch.Generator().manual_seed(3))
    model = _Loss(net)
    batches = 0

    def make(rows, step):
        nonlocal batches
        batches += 1
        if batches == kill_at:
            raise Killed
        return (data[torch.from_numpy(rows)],)

    settings = LoopSettings(epochs=2, batch_size=8, learning_rate=0.1, checkpoint_every=3, validate_every=5)
    history, _ = run_loop(
        model, np.ones(64, dtype=int), np.ones(64, dtype=int), make, settings, seed=0,
        state=folder / "state", validate=lambda prepared: 0.0,
    )  # fmt: skip
    return net.weight.detach().clone(), history


class _Loss(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, rows):
        return (self.net(rows) - rows.sum(1, keepdim=True)).square().mean()


def test_a_killed_training_resumes_and_gives_the_same_result(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    whole, history = train(tmp_path / "a")
    with pytest.raises(Killed):
        train(tmp_path / "b", kill_at=12)
    assert (tmp_path / "b/state.pt").exists()
    resumed, resumed_history = train(tmp_path / "b")
    assert torch.equal(whole, resumed)
    assert history == resumed_history
    assert not (tmp_path / "b/state.pt").exists()
    assert history[-1]["loss"] < history[0]["loss"]


def test_eos_replaces_a_missing_bos_and_a_missing_eos_raises(model):
    model.tokenizer.bos_token, model.tokenizer.pad_token = None, None
    examples = tokenise(model.tokenizer, ["what ?", ""], ["red", "blue square"])
    ids, labels = examples.batch(np.array([0, 1]))
    assert (ids[:, 0] == model.tokenizer.eos_token_id).all() and (labels[:, 0] == -100).all()
    assert isinstance(model.generate(["what ?"], torch.ones(1, 8))[0], str)
    model.tokenizer.eos_token = None
    with pytest.raises(DataError, match="no eos_token"):
        tokenise(model.tokenizer, [""], ["red"])


@pytest.mark.parametrize(("tokens", "copies"), [(1, 3), (4, 1), (2, 2)])
def test_several_visual_tokens(tmp_path: Path, tokens: int, copies: int) -> None:
    tokenizer = word_tokenizer(["red", "green"])
    llm = new_llm(LanguageModelSettings(hidden_size=16, layers=2, heads=2), tokenizer, seed=0)
    model = ReVisionModel(llm, tokenizer, 8, projector=ProjectorSettings(tokens=tokens, copies=copies))
    assert model.projector is not None and model.projector.length == tokens * copies
    examples = tokenise(tokenizer, ["", "red"], ["red green", "green"])
    ids, labels = examples.batch(np.arange(2))
    visual = torch.randn(2, 8)
    inputs = model.input_embeddings(ids, visual)
    assert inputs.shape == (2, ids.shape[1] + tokens * copies, 16)
    assert torch.equal(inputs[:, 1 : 1 + tokens * copies], model.projector(visual))
    assert torch.equal(inputs[:, 1 : 1 + tokens], inputs[:, 1 + tokens * (copies - 1) : 1 + tokens * copies])
    # The loss of transformers on the same sequence, with labels only at the targets.
    skipped = torch.full((2, tokens * copies), -100)
    whole = torch.cat([labels[:, :1], skipped, labels[:, 1:]], dim=1)
    expected = llm(inputs_embeds=inputs, labels=whole).loss
    torch.testing.assert_close(model(ids, labels, visual), expected)
    model.save(tmp_path / "model")
    again = ReVisionModel.load(tmp_path / "model")
    torch.testing.assert_close(again(ids, labels, visual), expected)


def test_the_word_level_tokenizer_knows_the_words_of_the_prompt():
    tokenizer = word_tokenizer(WORDS)
    ids = tokenizer(question_prompt("what is it ?"), add_special_tokens=False)["input_ids"]
    assert tokenizer.unk_token_id not in ids
