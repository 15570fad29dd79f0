"""Encoders: images and texts into one space. `load_encoder` takes a saved encoder's folder or a YAML."""

from revision.encoders.base import Encoder
from revision.encoders.registry import load_encoder
from revision.encoders.scenes_encoder import DualEncoder, EncoderSettings

__all__ = ["DualEncoder", "Encoder", "EncoderSettings", "load_encoder"]
