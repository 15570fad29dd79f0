"""A small dual encoder for the built-in world: a convolutional net for images, another one for texts."""

import json
from pathlib import Path
from typing import Self

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from revision.config import parse
from revision.config.encoders import EncoderSettings
from revision.errors import DataError
from revision.io.files import digest, write_json

WEIGHTS, CONFIG = "weights.safetensors", "config.json"
PADDING = 0
REVISION_DIGITS = 12
REACH = 5


class Vision(nn.Module):
    """Images uint8 [n, s, s, 3] to vectors [n, dim]; three halvings of the side, positions kept by flattening."""

    def __init__(self, image_size: int, width: int, dim: int) -> None:
        super().__init__()
        side = -(-(image_size // 2) // 4)
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, width, 3, 2, 1), nn.GroupNorm(4, width), nn.GELU(),
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.GroupNorm(4, 2 * width), nn.GELU(),
            nn.Conv2d(2 * width, width, 1), nn.GELU(),
            nn.Flatten(), nn.Linear(width * side * side, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim),
        )  # fmt: skip

    def forward(self, pixels: Tensor) -> Tensor:
        return self.layers(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)


class Text(nn.Module):
    """Word numbers [n, words] (0 pads) to vectors [n, dim]: convolutions over words, then mean and maximum."""

    def __init__(self, words: int, settings: EncoderSettings) -> None:
        super().__init__()
        width = settings.text_width
        self.words = nn.Embedding(words, width, padding_idx=PADDING)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, REACH, padding=REACH // 2) for _ in range(settings.text_layers)
        )
        self.head = nn.Sequential(
            nn.LayerNorm(2 * width), nn.Linear(2 * width, 4 * width), nn.GELU(), nn.Linear(4 * width, settings.dim)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        kept = (tokens != PADDING).unsqueeze(1).float()
        hidden = self.words(tokens).transpose(1, 2)
        for layer in self.layers:
            hidden = (hidden + functional.gelu(layer(hidden))) * kept
        mean = hidden.sum(2) / kept.sum(2)
        highest = hidden.masked_fill(kept == 0, -torch.inf).amax(2)
        return self.head(torch.cat((mean, highest), 1))


class DualEncoder(nn.Module):
    """Vision and text net with a common output space. Satisfies `Encoder`."""

    name = "dual"

    def __init__(self, settings: EncoderSettings, vocabulary: list[str], image_size: int) -> None:
        super().__init__()
        self.settings, self.vocabulary, self.image_size = settings, list(vocabulary), image_size
        self.revision = "untrained"
        self._numbers = {word: number for number, word in enumerate(self.vocabulary, PADDING + 1)}
        self.vision = Vision(image_size, settings.vision_width, settings.dim)
        self.text = Text(len(self.vocabulary) + 1, settings)
        self.log_scale = nn.Parameter(
            torch.tensor(-np.log(settings.temperature), dtype=torch.float32), requires_grad=settings.learn_temperature
        )

    @property
    def dim(self) -> int:
        """Dimension of the common space."""
        return self.settings.dim

    def tokens(self, texts: list[str]) -> Tensor:
        """Word numbers [n, longest], padded with 0. Raises DataError for an unknown word, or no or too many words."""
        rows = []
        for text in texts:
            words = text.split()
            if not 0 < len(words) <= self.settings.max_words:
                limit = self.settings.max_words
                raise DataError(f"text {text!r} has {len(words)} words; this encoder reads 1 to {limit}")
            unknown = [word for word in words if word not in self._numbers]
            if unknown:
                raise DataError(f"text {text!r}: word {unknown[0]!r} is not among the encoder's {len(self._numbers)}")
            rows.append([self._numbers[word] for word in words])
        longest = max(map(len, rows))
        return torch.tensor([row + [PADDING] * (longest - len(row)) for row in rows])

    def embed_pixels(self, pixels: Tensor) -> Tensor:
        """Unit rows [n, dim] of images uint8 [n, s, s, 3]."""
        return functional.normalize(self.vision(pixels), dim=-1)

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        """Unit rows [n, dim] of word numbers [n, words]."""
        return functional.normalize(self.text(tokens), dim=-1)

    @torch.no_grad()
    def centre(self, pixels: Tensor, tokens: Tensor) -> None:
        """Set the output biases so that each net's mean output on these images and words is zero: no cone."""
        self.vision.layers[-1].bias -= self.vision(pixels).mean(0)
        self.text.head[-1].bias -= self.text(tokens).mean(0)

    @torch.inference_mode()
    def encode_pixels(self, pixels: np.ndarray, batch: int = 512) -> np.ndarray:
        """Embed images uint8 [n, s, s, 3]: float32 [n, dim], unit rows."""
        size = self.image_size
        if pixels.shape[1:] != (size, size, 3):
            raise DataError(f"images have shape {pixels.shape[1:]}, not {(size, size, 3)}: resize them")
        parts = [self.embed_pixels(torch.from_numpy(pixels[i : i + batch])) for i in range(0, len(pixels), batch)]
        return torch.cat(parts).numpy() if parts else np.empty((0, self.dim), np.float32)

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Embed images: float32 [n, dim], unit rows. Other sizes are scaled to the encoder's."""
        side = (self.image_size, self.image_size)
        scaled = (image if image.size == side else image.resize(side) for image in images)
        pixels = [np.asarray(image.convert("RGB")) for image in scaled]
        return self.encode_pixels(np.stack(pixels) if pixels else np.empty((0, *side, 3), np.uint8))

    @torch.inference_mode()
    def encode_texts(self, texts: list[str], batch: int = 512) -> np.ndarray:
        """Embed texts: float32 [n, dim], unit rows."""
        parts = [self.embed_tokens(self.tokens(texts[i : i + batch])) for i in range(0, len(texts), batch)]
        return torch.cat(parts).numpy() if parts else np.empty((0, self.dim), np.float32)

    def save(self, folder: str | Path) -> None:
        """Write weights and configuration into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / WEIGHTS)
        config = {
            "family": "dual", "image_size": self.image_size, "vocabulary": self.vocabulary,
            "settings": self.settings.record(), "weights": digest(folder / WEIGHTS),
        }  # fmt: skip
        write_json(folder / CONFIG, config)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load what `save` wrote. Raises DataError if the weights are not those the configuration names."""
        folder = Path(folder)
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        found = digest(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else "none"
        if found != config["weights"]:
            raise DataError(f"{folder / WEIGHTS}: checksum differs from {CONFIG}; train or copy the encoder again")
        settings = parse(EncoderSettings, config["settings"], str(folder / CONFIG))
        model = cls(settings, config["vocabulary"], config["image_size"])
        model.load_state_dict(load_file(folder / WEIGHTS))
        model.revision = found[:REVISION_DIGITS]
        return model.eval()
