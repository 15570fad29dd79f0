"""The built-in world: small images of coloured shapes, with captions, questions and a second domain."""

from revision.data.scenes.language import nonvisual_share
from revision.data.scenes.scene import Object, Scene
from revision.data.scenes.suites import Question
from revision.data.scenes.world import KINDS, SPLITS, World, WorldSettings

__all__ = ["KINDS", "SPLITS", "Object", "Question", "Scene", "World", "WorldSettings", "nonvisual_share"]
