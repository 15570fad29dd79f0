"""Facts of the built-in world on held-out pairs: gap, traces, anisotropy, retrieval, for short and long captions."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from figure_inputs import probe_images, rows
from style import save_table

from revision.geometry.gap import centroid_gap
from revision.geometry.neighbours import retrieval
from revision.geometry.spectrum import covariance_eigenvalues, effective_rank

RETRIEVAL_PAIRS = 2000


def facts(work: Path) -> pd.DataFrame:
    """One row a number: caption, metric, value, n."""
    table = []
    for caption in ("short", "long"):
        image, text = probe_images(work, caption), rows(work, "probe", caption)
        pairs = min(RETRIEVAL_PAIRS, len(text))
        residual = covariance_eigenvalues(np.asarray(image, dtype=np.float64) - text)
        spectra = {"image": covariance_eigenvalues(image), "text": covariance_eigenvalues(text)}
        found = retrieval(image[:pairs], text[:pairs])
        numbers = {
            "centroid gap": centroid_gap(image, text),
            "image trace": spectra["image"].sum(),
            "text trace": spectra["text"].sum(),
            "image effective rank": effective_rank(spectra["image"]),
            "text effective rank": effective_rank(spectra["text"]),
            "residual effective rank": effective_rank(residual),
            "residual anisotropy (largest eigenvalue over the mean)": residual[0] / residual.mean(),
        }
        table += [{"caption": caption, "metric": k, "value": float(v), "n": len(text)} for k, v in numbers.items()]
        table += [
            {"caption": caption, "metric": f"R@1 {way} of {pairs}", "value": values[1], "n": pairs}
            for way, values in (("text to image", found.text_to_image), ("image to text", found.image_to_text))
        ]
    return pd.DataFrame(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    save_table(facts(options.work), options.out)
