"""I0T: each modality minus its own mean (An et al. 2025, arXiv:2412.14384)."""

from revision.align.c3 import C3Centred


class I0T(C3Centred):
    """Subtract from each modality its own mean, and normalise: `c3_centred` without noise.

    Notes
    -----
    It is the post-hoc variant of I0T, and what GR-CLIP does for mixed-modality search. The aligner `centred` of the
    configuration is the same.

    References
    ----------
    arXiv:2412.14384, arXiv:2507.19054.
    """

    name = "i0t"

    def __init__(self) -> None:
        super().__init__(noise=0.0)
