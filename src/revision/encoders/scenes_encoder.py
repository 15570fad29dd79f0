"""A small dual encoder for the built-in world: one convolutional network for images and one for texts."""

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
KERNEL = 5


class Vision(nn.Module):
    """Map images of shape (n, s, s, 3), uint8, to vectors of shape (n, dim).

    The side is halved three times; flattening instead of pooling keeps the positions of objects.
    """

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
    """Map token ids of shape (n, length), padded with 0, to vectors of shape (n, dim).

    Residual convolutions over the words are followed by mean and maximum over the words.
    """

    def __init__(self, vocabulary_size: int, settings: EncoderSettings) -> None:
        super().__init__()
        width = settings.text_width
        self.words = nn.Embedding(vocabulary_size, width, padding_idx=PADDING)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2) for _ in range(settings.text_layers)
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
    """Vision and text networks with a shared output space. Implements `Encoder`.

    Parameters
    ----------
    settings : EncoderSettings
        Shape and training of the encoder.
    vocabulary : list of str
        All words that texts may contain.
    image_size : int
        Side of the input images in pixels.
    """

    name = "dual"

    def __init__(self, settings: EncoderSettings, vocabulary: list[str], image_size: int) -> None:
        super().__init__()
        self.settings, self.vocabulary, self.image_size = settings, list(vocabulary), image_size
        self.revision = "untrained"
        self._ids = {word: index for index, word in enumerate(self.vocabulary, PADDING + 1)}
        self.vision = Vision(image_size, settings.vision_width, settings.dim)
        self.text = Text(len(self.vocabulary) + 1, settings)
        self.log_scale = nn.Parameter(
            torch.tensor(-np.log(settings.temperature), dtype=torch.float32), requires_grad=settings.learn_temperature
        )

    @property
    def dim(self) -> int:
        """Dimension of the shared space."""
        return self.settings.dim

    def tokens(self, texts: list[str]) -> Tensor:
        """Tokenize texts.

        Parameters
        ----------
        texts : list of str
            n texts, words separated by spaces.

        Returns
        -------
        Tensor of shape (n, longest), int64
            Token ids, padded with 0.

        Raises
        ------
        DataError
            If a text has an unknown word, no words or more than `max_words` words.
        """
        rows = []
        for text in texts:
            words = text.split()
            if not 0 < len(words) <= self.settings.max_words:
                limit = self.settings.max_words
                raise DataError(f"text {text!r} has {len(words)} words; this encoder accepts 1 to {limit}")
            unknown = [word for word in words if word not in self._ids]
            if unknown:
                raise DataError(
                    f"text {text!r}: word {unknown[0]!r} is not in the encoder's vocabulary of {len(self._ids)} words; "
                    "use texts of the built-in world"
                )
            rows.append([self._ids[word] for word in words])
        longest = max(map(len, rows))
        return torch.tensor([row + [PADDING] * (longest - len(row)) for row in rows])

    def embed_pixels(self, pixels: Tensor) -> Tensor:
        """Embed images of shape (n, s, s, 3), uint8, as unit rows of shape (n, dim), with gradients."""
        return functional.normalize(self.vision(pixels), dim=-1)

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        """Embed token ids of shape (n, length) as unit rows of shape (n, dim), with gradients."""
        return functional.normalize(self.text(tokens), dim=-1)

    @torch.no_grad()
    def centre(self, pixels: Tensor, tokens: Tensor) -> None:
        """Set the output biases so that each network's mean output on a batch is zero.

        This removes the cone (the common direction of all outputs) in which a randomly initialised network starts.

        Parameters
        ----------
        pixels : Tensor of shape (n, s, s, 3), uint8
            Images.
        tokens : Tensor of shape (n, length)
            Token ids.
        """
        self.vision.layers[-1].bias -= self.vision(pixels).mean(0)
        self.text.head[-1].bias -= self.text(tokens).mean(0)

    @torch.inference_mode()
    def encode_pixels(self, pixels: np.ndarray, batch: int = 512) -> np.ndarray:
        """Embed images given as an array.

        Parameters
        ----------
        pixels : ndarray of shape (n, s, s, 3), uint8
            RGB images of the encoder's size.
        batch : int
            Number of images per forward pass.

        Returns
        -------
        ndarray of shape (n, dim), float32
            Rows of unit length.

        Raises
        ------
        DataError
            If the images have another size.
        """
        size = self.image_size
        if pixels.shape[1:] != (size, size, 3):
            raise DataError(f"images have shape {pixels.shape[1:]}, not {(size, size, 3)}; resize them")
        parts = [self.embed_pixels(torch.from_numpy(pixels[i : i + batch])) for i in range(0, len(pixels), batch)]
        return torch.cat(parts).numpy() if parts else np.empty((0, self.dim), np.float32)

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Embed images.

        Parameters
        ----------
        images : list of PIL.Image.Image
            n images; they are resized to the encoder's size if necessary.

        Returns
        -------
        ndarray of shape (n, dim), float32
            Rows of unit length.
        """
        side = (self.image_size, self.image_size)
        scaled = (image if image.size == side else image.resize(side) for image in images)
        pixels = [np.asarray(image.convert("RGB")) for image in scaled]
        return self.encode_pixels(np.stack(pixels) if pixels else np.empty((0, *side, 3), np.uint8))

    @torch.inference_mode()
    def encode_texts(self, texts: list[str], batch: int = 512) -> np.ndarray:
        """Embed texts.

        Parameters
        ----------
        texts : list of str
            n texts made of words of the vocabulary.
        batch : int
            Number of texts per forward pass.

        Returns
        -------
        ndarray of shape (n, dim), float32
            Rows of unit length.

        Raises
        ------
        DataError
            If a text has an unknown word, no words or too many.
        """
        parts = [self.embed_tokens(self.tokens(texts[i : i + batch])) for i in range(0, len(texts), batch)]
        return torch.cat(parts).numpy() if parts else np.empty((0, self.dim), np.float32)

    def save(self, folder: str | Path) -> None:
        """Write weights and configuration to `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / WEIGHTS)
        config = {
            "family": "dual",
            "image_size": self.image_size,
            "vocabulary": self.vocabulary,
            "settings": self.settings.record(),
            "weights": digest(folder / WEIGHTS),
        }
        write_json(folder / CONFIG, config)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load an encoder that `save` wrote.

        Parameters
        ----------
        folder : path
            Folder of the encoder.

        Returns
        -------
        DualEncoder
            The encoder in evaluation mode.

        Raises
        ------
        DataError
            If the weights are missing or their checksum differs from the one in the configuration.
        """
        folder = Path(folder)
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        checksum = digest(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else "none"
        if checksum != config["weights"]:
            raise DataError(f"{folder / WEIGHTS}: checksum differs from {CONFIG}; train or copy the encoder again")
        settings = parse(EncoderSettings, config["settings"], str(folder / CONFIG))
        model = cls(settings, config["vocabulary"], config["image_size"])
        model.load_state_dict(load_file(folder / WEIGHTS))
        model.revision = checksum[:REVISION_DIGITS]
        return model.eval()
