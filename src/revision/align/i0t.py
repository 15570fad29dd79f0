"""I0T's post-hoc standardisation under its own name."""

from revision.align.c3 import C3Centred


class I0T(C3Centred):
    """Each modality minus its own mean, at unit length: `c3_centred` without noise.

    This is I0T_post (An et al. 2025, arXiv:2412.14384), and what GR-CLIP does for mixed-modality search
    (arXiv:2507.19054). The configuration's `centred` is the same. Unpaired; the target moves too.
    """

    name = "i0t"

    def __init__(self) -> None:
        super().__init__(noise=0.0)
