"""Aligners: methods that move one modality's embeddings onto another's, one file a method (section 4, appendix F)."""

from typing import Any

from revision.align.aniso import AnisoAlign
from revision.align.base import Aligner, Engine
from revision.align.blockwise import BlockwiseCovariance
from revision.align.c3 import C3, C3Centred
from revision.align.capdec import CapDec
from revision.align.decap import DeCap
from revision.align.gaussian_ot import GaussianOT
from revision.align.i0t import I0T
from revision.align.oracles import Procrustes, Ridge
from revision.align.realign import ReAlign, ReAlignIterated
from revision.align.serialization import load_aligner, save_aligner
from revision.align.simple import Identity, MeanShift
from revision.errors import ConfigError

ALIGNERS: dict[str, type[Aligner]] = {
    cls.name: cls
    for cls in (
        Identity,
        MeanShift,
        ReAlign,
        ReAlignIterated,
        C3,
        C3Centred,
        I0T,
        CapDec,
        DeCap,
        BlockwiseCovariance,
        GaussianOT,
        AnisoAlign,
        Procrustes,
        Ridge,
    )
}


def make_aligner(name: str, **params: Any) -> Aligner:
    """The aligner called `name` with its parameters; raises ConfigError that lists what exists."""
    if name not in ALIGNERS:
        raise ConfigError(f"aligner {name!r} does not exist; the aligners are {', '.join(sorted(ALIGNERS))}")
    defaults = ALIGNERS[name]().get_params()
    known = sorted(defaults)
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise ConfigError(
            f"aligner {name!r}: unknown parameter {', '.join(unknown)}; it has {', '.join(known) or 'none'}"
        )
    for parameter, value in params.items():
        if isinstance(defaults[parameter], int | float) and not isinstance(value, int | float):
            raise ConfigError(f"aligner {name!r}: {parameter} is a number, not {value!r}")
    return ALIGNERS[name](**params)


__all__ = ["ALIGNERS", "Aligner", "Engine", "load_aligner", "make_aligner", "save_aligner"]
