"""Dual encoders, which embed images and texts in one space; `load_encoder` loads one from a folder or a YAML file."""

from revision.encoders.base import Encoder
from revision.encoders.registry import load_encoder
from revision.encoders.scenes_encoder import DualEncoder, EncoderSettings

__all__ = ["DualEncoder", "Encoder", "EncoderSettings", "load_encoder"]
