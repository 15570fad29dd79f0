"""open_clip, sentence-transformers, LLM2CLIP and precomputed embeddings; where weights come from and what can fail."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import tiny_models
import torch
import transformers
import yaml
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
from PIL import Image
from safetensors.torch import load_file

from revision.embeddings import write_embeddings
from revision.encoders import Encoder, load_encoder, registry
from revision.encoders.batching import BatchEncoder, ModelSettings
from revision.errors import ConfigError, DataError

SHIPPED = Path(__file__).parents[2] / "config/encoders"
COMMIT, OTHER = "0123456789abcdef0123456789abcdef01234567", "89abcdef0123456789abcdef0123456789abcdef"
TEXTS = ["a red circle", "the big blue square on the left", "green"]
RANDOM = np.random.default_rng(0)
IMAGES = [Image.fromarray(RANDOM.integers(0, 256, (40, 48, 3), dtype=np.uint8)) for _ in TEXTS]
PATHS = {  # a shipped encoder of each loader, by the name in its errors
    "transformers": "clip_vit_b32", "open_clip": "open_clip_vit_b32",
    "sentence-transformers": "sentence_clip_vit_b32", "LLM2CLIP": "llm2clip_l14_336",
}  # fmt: skip


def describe(path, **values):
    path.write_text(yaml.safe_dump(values))
    return path


def unit(rows):
    rows = np.asarray(rows, dtype=float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "model"
    tiny_models.save_hugging_face("clip", folder)
    return folder


def test_open_clip_matches_its_models_own_features(tmp_path):
    open_clip = pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    tiny_models.save_open_clip(open_clip, tmp_path / "model")
    encoder = load_encoder(describe(tmp_path / "tiny.yaml", family="open_clip", model=str(tmp_path / "model")))
    assert isinstance(encoder, Encoder) and encoder.dim == tiny_models.DIM
    shape = json.loads((tmp_path / "model/open_clip_config.json").read_text())["model_cfg"]
    model = open_clip.CLIP(**shape).eval()
    model.load_state_dict(load_file(tmp_path / "model/open_clip_model.safetensors"))
    texts = model.encode_text(open_clip.tokenize(TEXTS, context_length=16), normalize=True).detach()
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), texts, atol=2e-5)
    square = [image.resize((32, 32)) for image in IMAGES]
    pixels = torch.tensor(np.stack([np.asarray(image) for image in square])).permute(0, 3, 1, 2) / 255
    mean, deviation = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.3, 0.2, 0.1])
    pixels = (pixels - mean[:, None, None]) / deviation[:, None, None]
    images = model.encode_image(pixels, normalize=True).detach()
    np.testing.assert_allclose(encoder.encode_images(square), images, atol=2e-4)


def test_open_clip_without_weights_is_rejected(tmp_path):
    open_clip = pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
    tiny_models.save_open_clip(open_clip, tmp_path / "model")
    (tmp_path / "model/open_clip_model.safetensors").unlink()
    with pytest.raises(DataError, match=r"open_clip.*cannot be loaded"):
        load_encoder(describe(tmp_path / "tiny.yaml", family="open_clip", model=str(tmp_path / "model")))


def test_sentence_transformers_matches_its_own_encode(clip, tmp_path):
    library = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    from sentence_transformers.sentence_transformer.modules.clip_model import CLIPModel

    model = library.SentenceTransformer(modules=[CLIPModel(str(clip))])
    model.save(str(tmp_path / "model"))
    path = describe(tmp_path / "tiny.yaml", family="sentence_transformers", model=str(tmp_path / "model"), batch_size=2)
    encoder = load_encoder(path)
    assert isinstance(encoder, Encoder) and encoder.dim == tiny_models.DIM
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), unit(model.encode(TEXTS)), atol=2e-5)
    np.testing.assert_allclose(encoder.encode_images(IMAGES), unit(model.encode(IMAGES)), atol=2e-5)
    with pytest.raises(DataError, match=r"no modules\.json; use family huggingface"):
        load_encoder(describe(tmp_path / "bare.yaml", family="sentence_transformers", model=str(clip)))


def test_an_invalid_or_text_only_sentence_model_is_reported(tmp_path):
    library = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    text_only = StaticEmbedding(tiny_models.tokenizer().backend_tokenizer, embedding_dim=4)
    library.SentenceTransformer(modules=[text_only]).save(str(tmp_path / "texts"))
    (tmp_path / "odd").mkdir()
    odd = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.nothing.Nothing"}]
    (tmp_path / "odd/modules.json").write_text(json.dumps(odd))
    messages = {
        "texts": "does not support image input, so it is not a dual encoder; use another model",
        "odd": "cannot be loaded: No module named",
    }
    for name, message in messages.items():
        path = describe(tmp_path / f"{name}.yaml", family="sentence_transformers", model=str(tmp_path / name))
        with pytest.raises(DataError, match=rf"encoder {name} \(sentence-transformers\): .*{message}"):
            load_encoder(path)


@pytest.fixture
def llm2clip(cache, tmp_path, monkeypatch):
    """Both tiny checkpoints in the hub's cache, and the encoder's YAML; remote code is copied to a temporary folder."""
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    vision = cache / f"models--tiny--vision/snapshots/{COMMIT}"
    text = cache / f"models--tiny--text/snapshots/{OTHER}"
    tiny_models.save_llm2clip(vision, text)
    (text.parents[1] / "refs").mkdir()
    (text.parents[1] / "refs/main").write_text(OTHER)
    values = {
        "family": "llm2clip", "model": "tiny/vision", "revision": COMMIT, "trust_remote_code": True,
        "text_model": "tiny/text", "image_size": 32, "prefix": "a big ", "suffix": " left", "text_length": 18,
        "batch_size": 2,
    }  # fmt: skip
    return SimpleNamespace(values=values, vision=vision, text=text)


def test_llm2clip_attends_in_both_directions_and_pools_text_without_prefix(llm2clip, tmp_path):
    encoder = load_encoder(describe(tmp_path / "tiny.yaml", **llm2clip.values))
    assert isinstance(encoder, Encoder) and encoder.revision == f"{COMMIT}+{OTHER}"
    weights = load_file(llm2clip.vision / "model.safetensors")
    llama = transformers.LlamaModel.from_pretrained(llm2clip.text).eval()
    tokenizer = tiny_models.tokenizer()
    expected = []
    for text in TEXTS:
        head, body = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in ("a big", f"{text} left"))
        tokens = torch.tensor([[tokenizer.bos_token_id, *head, *body]])
        bidirectional = torch.zeros(1, 1, tokens.shape[1], tokens.shape[1])
        hidden = llama(tokens, attention_mask=bidirectional).last_hidden_state[0, -len(body) :].mean(0)
        expected.append((weights["adapter.weight"] @ hidden + weights["adapter.bias"]).detach().numpy())
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), unit(expected), atol=2e-5)
    pixels = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    means = pixels(images=IMAGES, return_tensors="pt")["pixel_values"].mean((2, 3))
    images = means @ weights["visual.weight"].T + weights["visual.bias"]
    np.testing.assert_allclose(encoder.encode_images(IMAGES), unit(images), atol=2e-5)


@pytest.mark.parametrize("revision", [None, "main", COMMIT[:12]])
def test_remote_code_without_a_pinned_revision_is_rejected(llm2clip, revision, tmp_path):
    with pytest.raises(ConfigError, match=r"trust_remote_code.*does not pin the code; give a commit of 40"):
        load_encoder(describe(tmp_path / "tiny.yaml", **llm2clip.values | {"revision": revision}))


def test_remote_code_runs_only_if_trusted_and_from_the_pinned_repository(llm2clip, tmp_path):
    with pytest.raises(ConfigError, match="needs custom code; review it, then set trust_remote_code: true"):
        load_encoder(describe(tmp_path / "tiny.yaml", **llm2clip.values | {"trust_remote_code": False}))
    config = json.loads((llm2clip.vision / "config.json").read_text())
    config["auto_map"]["AutoModel"] = "another/repository--modeling_tiny.TinyVision"
    (llm2clip.vision / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="code of another repository, another/repository"):
        load_encoder(describe(tmp_path / "tiny.yaml", **llm2clip.values))


def test_llm2clip_without_its_text_tower_is_reported(llm2clip, tmp_path):
    with pytest.raises(ConfigError, match="text_model: '' does not fit"):
        load_encoder(describe(tmp_path / "half.yaml", **llm2clip.values | {"text_model": ""}))
    (llm2clip.text / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"encoder half \(LLM2CLIP\): cannot be loaded with transformers \d"):
        load_encoder(describe(tmp_path / "half.yaml", **llm2clip.values))
    (llm2clip.text / "config.json").write_text("{")
    with pytest.raises(DataError, match=r"encoder half"):
        load_encoder(describe(tmp_path / "half.yaml", **llm2clip.values))


def test_pickled_weights_are_fetched_only_if_there_are_no_safetensors(clip, cache, tmp_path, monkeypatch):
    asked = []

    def download(model, *, revision, allow_patterns):
        asked.append(allow_patterns[-1])
        folder = cache / f"snapshots/{COMMIT}"
        folder.mkdir(parents=True, exist_ok=True)
        for path in clip.iterdir():
            if path.suffix != ".safetensors":
                shutil.copy(path, folder)
        if "*.bin" in allow_patterns:
            torch.save(load_file(clip / "model.safetensors"), folder / "pytorch_model.bin")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    pickled = load_encoder(describe(tmp_path / "old.yaml", family="huggingface", model="tiny/clip"))
    assert asked == ["*.safetensors", "*.bin"] and pickled.revision == COMMIT
    safe = load_encoder(describe(tmp_path / "new.yaml", family="huggingface", model=str(clip)))
    np.testing.assert_array_equal(pickled.encode_texts(TEXTS), safe.encode_texts(TEXTS))


class ZeroForBlue(BatchEncoder):
    """Embeds the text `blue` as zero and every other text as the same vector."""

    def prepare_texts(self, texts):
        return {"known": torch.tensor([[text != "blue"] for text in texts])}

    def text_features(self, inputs):
        return inputs["known"].float() * torch.ones(1, 3)

    prepare_images, image_features = prepare_texts, text_features


def test_a_zero_embedding_is_reported():
    encoder = ZeroForBlue("zero", COMMIT, ModelSettings(model="none", batch_size=2))
    np.testing.assert_allclose(encoder.encode_texts(["red", "green"]), 3**-0.5, rtol=1e-6)
    with pytest.raises(DataError, match=r"encoder zero, item 2: the embedding is zero or not finite; try dtype"):
        encoder.encode_texts(["red", "green", "blue"])


def test_revision_is_the_commit_or_the_checksum_of_the_files(clip, cache, tmp_path):
    shutil.copytree(clip, cache / f"models--tiny--clip/snapshots/{COMMIT}")
    flat = load_encoder(describe(tmp_path / "a.yaml", family="huggingface", model=str(clip)))
    by_id = load_encoder(describe(tmp_path / "b.yaml", family="huggingface", model="tiny/clip", revision=COMMIT))
    root = str(cache / "models--tiny--clip")
    by_folder = load_encoder(describe(tmp_path / "c.yaml", family="huggingface", model=root))
    assert by_id.revision == by_folder.revision == COMMIT
    assert len(flat.revision) == 40 and flat.revision != COMMIT
    rows = [encoder.encode_texts(TEXTS) for encoder in (flat, by_id, by_folder)]
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])
    pinned = {"family": "huggingface", "model": str(clip), "revision": flat.revision}
    assert load_encoder(describe(tmp_path / "d.yaml", **pinned)).revision == flat.revision
    with pytest.raises(DataError, match=f"not the revision {COMMIT}"):
        load_encoder(describe(tmp_path / "e.yaml", **pinned | {"revision": COMMIT}))
    with pytest.raises(DataError, match=f"no snapshot {OTHER}; there are {COMMIT}"):
        load_encoder(describe(tmp_path / "f.yaml", family="huggingface", model=root, revision=OTHER))


def install_stand_in(loader, monkeypatch):
    """Replace the library of `loader`, which may not be installed, by a stand-in that is never called."""
    module = {"open_clip": "open_clip", "sentence-transformers": "sentence_transformers"}.get(loader)
    if module:
        monkeypatch.setitem(sys.modules, module, SimpleNamespace())


@pytest.mark.parametrize("loader", PATHS)
def test_each_loader_reports_offline_and_not_cached(loader, cache, monkeypatch):
    install_stand_in(loader, monkeypatch)
    model = yaml.safe_load((SHIPPED / f"{PATHS[loader]}.yaml").read_text())["model"]
    folder = f"{cache}/models--{model.replace('/', '--')}/snapshots/"
    with pytest.raises(DataError) as caught:
        load_encoder(SHIPPED / f"{PATHS[loader]}.yaml")
    for part in (f"encoder {PATHS[loader]} ({loader}", "offline and not cached", model, "HF_HUB_OFFLINE=0", folder):
        assert part in str(caught.value)


RESPONSE = SimpleNamespace(headers={}, request=None, status_code=403)


@pytest.mark.parametrize("loader", PATHS)
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (lambda: GatedRepoError("gated", response=RESPONSE), "licence gate of .* refuses: accept its terms"),
        (lambda: RepositoryNotFoundError("none", response=RESPONSE), "the hub has no .* at revision"),
        (lambda: LocalEntryNotFoundError("down"), "the hub can't be reached and .* is not cached"),
        (lambda: RuntimeError("odd"), r"could not be fetched \(RuntimeError: odd\)"),
    ],
)
def test_each_loader_reports_errors_of_the_hub(error, message, loader, cache, monkeypatch):
    def refuse(*_, **__):
        raise error()

    install_stand_in(loader, monkeypatch)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(DataError, match=rf"encoder {PATHS[loader]} \({loader}.*{message}"):
        load_encoder(SHIPPED / f"{PATHS[loader]}.yaml")


@pytest.mark.parametrize(
    ("loader", "module"), [("open_clip", "open_clip"), ("sentence-transformers", "sentence_transformers")]
)
def test_a_missing_library_is_reported_with_its_fix(loader, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ConfigError, match=rf"encoder {PATHS[loader]}: needs the package.*pip install -e '\.\[encoders\]'"
    ):
        load_encoder(SHIPPED / f"{PATHS[loader]}.yaml")


@pytest.mark.parametrize(
    ("model", "message"), [("./nowhere", "no such folder"), ("not a model", "neither a folder nor a model's id")]
)
def test_a_wrong_model_path_is_reported(model, message, cache, tmp_path):
    with pytest.raises(DataError, match=message):
        load_encoder(describe(tmp_path / "wrong.yaml", family="huggingface", model=model))


def test_an_unknown_encoder_is_reported_with_those_that_exist():
    with pytest.raises(DataError, match=r"encoder 'clipp' does not exist.*align_base.*clip_vit_b32.*siglip2_b16"):
        load_encoder(SHIPPED / "clipp.yaml")


def test_an_unknown_family_is_reported(tmp_path):
    with pytest.raises(ConfigError, match="family 'magic' does not exist; there are huggingface"):
        load_encoder(describe(tmp_path / "magic.yaml", family="magic"))
    (tmp_path / "torn.yaml").write_text("family: [")
    with pytest.raises(ConfigError, match="not readable as YAML"):
        load_encoder(tmp_path / "torn.yaml")


def test_every_shipped_encoder_is_pinned_and_only_one_runs_remote_code():
    encoders = {name: registry.read(SHIPPED / f"{name}.yaml") for name in registry.known(SHIPPED)}
    families = {yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())["family"] for name in encoders}
    assert families == set(registry.DESCRIBED) - {"arrays"}
    assert all(len(settings.revision) == 40 for _, settings in encoders.values())
    trusting = [name for name, (_, settings) in encoders.items() if getattr(settings, "trust_remote_code", False)]
    assert trusting == ["llm2clip_l14_336"]


def test_precomputed_embeddings_are_used_unchanged_and_embed_nothing(tmp_path):
    rows = unit(RANDOM.standard_normal((6, 4))).astype(np.float32)
    write_embeddings(tmp_path / "image", [str(i) for i in range(6)], rows)
    np.save(tmp_path / "text.npy", rows[::-1])
    image, text = str(tmp_path / "image"), str(tmp_path / "text.npy")
    encoder = load_encoder(describe(tmp_path / "mine.yaml", family="arrays", image=image, text=text))
    assert encoder.dim == 4 and encoder.name == "mine"
    np.testing.assert_array_equal(encoder.image.array(), rows)
    np.testing.assert_array_equal(encoder.text, rows[::-1])
    with pytest.raises(DataError, match="cannot embed new data"):
        encoder.encode_texts(["a"])
    with pytest.raises(DataError, match="cannot embed new data"):
        encoder.encode_images(IMAGES)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "text.npy").read_bytes()[:20])
    np.save(tmp_path / "wide.npy", np.ones((6, 5), np.float32))
    np.save(tmp_path / "flat.npy", np.ones(6, np.float32))
    faults = {
        "wide": "dimension 4, but .*has 5; use two sets",
        "flat": "expected floats",
        "none": "no such file",
        "cut": "not a .npy file of numbers",
    }
    for other, message in faults.items():
        path = describe(tmp_path / "bad.yaml", family="arrays", image=image, text=str(tmp_path / f"{other}.npy"))
        with pytest.raises(DataError, match=message):
            load_encoder(path)


def test_paths_in_a_yaml_file_are_relative_to_it_and_ids_of_the_hub_stay(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    for folder in ("sub", "model", "openai"):
        (tmp_path / folder).mkdir()
    for side in ("image", "text"):
        np.save(tmp_path / f"sub/{side}.npy", np.eye(4, dtype=np.float32))
    assert (
        load_encoder(describe(tmp_path / "a.yaml", family="arrays", image="sub/image.npy", text="sub/text.npy")).dim
        == 4
    )
    for model in ("model", "./model", str(tmp_path / "model")):
        settings = registry.read(describe(tmp_path / "b.yaml", family="huggingface", model=model))[1]
        assert Path(settings.model).samefile(tmp_path / "model")
    hub = describe(tmp_path / "c.yaml", family="huggingface", model="openai/clip-vit-base-patch32")
    assert registry.read(hub)[1].model == "openai/clip-vit-base-patch32"
