"""Packages with random weights in the layout of the real ones."""

import zipfile

import torch
from safetensors.torch import save
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import BertConfig, BertModel

from revision.data.scenes import World
from revision.encoders.efficientnet_lite0 import EfficientNetLite0

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def make_packages(folder, seed=0):
    """Write two packages with the layout of the real ones: a .pth of EfficientNet-Lite0, a zip of a tiny BERT."""
    torch.manual_seed(seed)
    vision, text = folder / "small_vision", folder / "small_text"
    (vision / "models").mkdir(parents=True, exist_ok=True)
    text.mkdir(exist_ok=True)
    for package in (vision, text):
        (package / "__init__.py").touch()
    torch.save(EfficientNetLite0().state_dict(), vision / "models/lite0.pth")
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", *World().vocabulary()])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    config = BertConfig(vocab_size=len(vocabulary), **SMALL)
    with zipfile.ZipFile(text / "model.zip", "w") as archive:
        archive.writestr("config.json", config.to_json_string())
        archive.writestr("tokenizer.json", tokenizer.to_str())
        archive.writestr("model.safetensors", save(BertModel(config).state_dict()))
