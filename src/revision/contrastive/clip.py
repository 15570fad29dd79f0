"""The dual encoder of Figure 1: a ViT-B/32 and a text transformer of TinyCLIP's size, trained from scratch."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel

from revision.config.dynamics import ClipSettings
from revision.encoders.scenes_encoder import CONFIG, WEIGHTS
from revision.io.files import digest, write_json

PAD, START, END = "<pad>", "<start>", "<end>"


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Train a byte-level BPE tokenizer for lower-case text.

    Parameters
    ----------
    texts : iterable of str
        Training texts.
    vocabulary : int
        Largest number of tokens, including the padding, start and end tokens.

    Returns
    -------
    Tokenizer
        The tokenizer; it adds the start and end tokens to every text.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PAD, START, END], initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(word, tokenizer.token_to_id(word)) for word in (START, END)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{START} $A {END}", special_tokens=ends)
    return tokenizer


class ClipEncoder(nn.Module):
    """A CLIPModel of transformers with the methods that `fit` and the gap monitor call.

    Parameters
    ----------
    settings : ClipSettings
        Shape and training of the encoder.
    tokenizer : Tokenizer
        Tokenizer of `train_tokenizer`; its truncation and padding are set here.
    """

    name = "tinyclip"

    def __init__(self, settings: ClipSettings, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.settings, self.tokenizer = settings, tokenizer
        tokenizer.enable_truncation(settings.context)
        tokenizer.enable_padding(pad_id=tokenizer.token_to_id(PAD), pad_token=PAD)
        text = {
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": settings.text_width,
            "intermediate_size": 4 * settings.text_width,
            "num_hidden_layers": settings.text_layers,
            "num_attention_heads": settings.heads,
            "max_position_embeddings": settings.context,
            "pad_token_id": tokenizer.token_to_id(PAD),
            "bos_token_id": tokenizer.token_to_id(START),
            "eos_token_id": tokenizer.token_to_id(END),
        }
        vision = {
            "hidden_size": settings.vision_width,
            "intermediate_size": 4 * settings.vision_width,
            "num_hidden_layers": settings.vision_layers,
            "num_attention_heads": settings.heads,
            "image_size": settings.image_size,
            "patch_size": settings.patch,
        }
        config = CLIPConfig(
            text_config=text,
            vision_config=vision,
            projection_dim=settings.dim,
            logit_scale_init_value=-float(np.log(settings.temperature)),
        )
        self.clip = CLIPModel(config)
        self.clip.logit_scale.requires_grad_(settings.learn_temperature)

    @property
    def log_scale(self) -> Tensor:
        """Logarithm of the inverse temperature."""
        return self.clip.logit_scale

    def tokens(self, texts: list[str]) -> Tensor:
        """Tokenize n texts to ids of shape (n, longest), truncated to the context length."""
        return torch.tensor([encoding.ids for encoding in self.tokenizer.encode_batch(texts)])

    def embed_pixels(self, pixels: Tensor) -> Tensor:
        """Embed images of shape (n, s, s, 3), uint8, as unit rows of shape (n, dim), with gradients."""
        values = pixels.to(self.log_scale.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        return functional.normalize(self.clip.get_image_features(pixel_values=values).pooler_output, dim=-1)

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        """Embed token ids of shape (n, length) as unit rows of shape (n, dim), with gradients."""
        tokens = tokens.to(self.log_scale.device)
        pad = self.tokenizer.token_to_id(PAD)
        assert pad is not None
        mask = tokens.ne(pad).long()
        features = self.clip.get_text_features(input_ids=tokens, attention_mask=mask)
        return functional.normalize(features.pooler_output, dim=-1)

    @torch.no_grad()
    def encode_pixels(self, pixels: np.ndarray, batch: int = 512) -> np.ndarray:
        """Embed images given as an array.

        Parameters
        ----------
        pixels : ndarray of shape (n, s, s, 3), uint8
            RGB images of the encoder's size; may be memory-mapped.
        batch : int
            Number of images per forward pass.

        Returns
        -------
        ndarray of shape (n, dim), float32
            Rows of unit length.
        """
        parts = (torch.from_numpy(np.array(pixels[i : i + batch])) for i in range(0, len(pixels), batch))
        return torch.cat([self.embed_pixels(part).cpu() for part in parts]).numpy()

    @torch.no_grad()
    def encode_texts(self, texts: list[str], batch: int = 512) -> np.ndarray:
        """Embed texts.

        Parameters
        ----------
        texts : list of str
            n texts; they are truncated to the context length.
        batch : int
            Number of texts per forward pass.

        Returns
        -------
        ndarray of shape (n, dim), float32
            Rows of unit length.
        """
        parts = (self.tokens(texts[i : i + batch]) for i in range(0, len(texts), batch))
        return torch.cat([self.embed_tokens(part).cpu() for part in parts]).numpy()

    def save(self, folder: str | Path) -> None:
        """Write weights, tokenizer and configuration to `folder`."""
        folder = Path(folder)
        save_file({name: value.contiguous().cpu() for name, value in self.state_dict().items()}, folder / WEIGHTS)
        config = {
            "family": self.name,
            "settings": self.settings.record(),
            "weights": digest(folder / WEIGHTS),
            "tokenizer": json.loads(self.tokenizer.to_str()),
        }
        write_json(folder / CONFIG, config)
