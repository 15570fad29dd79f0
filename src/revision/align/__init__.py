"""Aligners: methods that map the embeddings of one modality onto those of another (Section 4, Appendix F).

Each file holds one method or a family of closely related ones; `ALIGNERS` maps their names to their classes.
"""

from typing import Any

from revision.align.aniso import AnisoAlign
from revision.align.base import Aligner
from revision.align.blockwise import BlockwiseCovariance
from revision.align.c3 import C3, C3Centred
from revision.align.capdec import CapDec
from revision.align.decap import DeCap
from revision.align.engine import Engine
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
    """Create an aligner by name.

    Parameters
    ----------
    name : str
        A key of `ALIGNERS`, such as ``"realign"``.
    **params : Any
        Parameters of the aligner's constructor.

    Returns
    -------
    Aligner
        The aligner, not yet fitted.

    Raises
    ------
    ConfigError
        If there is no such aligner or parameter, or if a numeric parameter is given something else.

    Examples
    --------
    >>> from revision.align import make_aligner
    >>> make_aligner("realign", steps=2)
    ReAlign(epsilon=1e-12, steps=2)
    """
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
            raise ConfigError(f"aligner {name!r}: {parameter} must be a number, got {value!r}")
    return ALIGNERS[name](**params)


__all__ = [
    "ALIGNERS",
    "C3",
    "Aligner",
    "AnisoAlign",
    "BlockwiseCovariance",
    "C3Centred",
    "Engine",
    "GaussianOT",
    "Identity",
    "MeanShift",
    "Procrustes",
    "ReAlign",
    "ReAlignIterated",
    "Ridge",
    "load_aligner",
    "make_aligner",
    "save_aligner",
]
