"""Facts about the held-out pairs of a run, short and long captions: gap, traces, ranks, anisotropy and retrieval."""

import numpy as np
import pandas as pd
from figure_inputs import arguments, rows
from style import run, save_table

from revision.geometry.gap import centroid_gap
from revision.geometry.neighbours import retrieval
from revision.geometry.spectrum import covariance_eigenvalues, effective_rank

RETRIEVAL_PAIRS = 2000


def facts(sets: dict[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """One row per value: caption, metric, value, n; `sets` has pairs (image, text) by kind of caption."""
    table = []
    for caption, (image, text) in sets.items():
        pairs = min(RETRIEVAL_PAIRS, len(text))
        residual = covariance_eigenvalues(np.asarray(image, dtype=np.float64) - text)
        spectra = {"image": covariance_eigenvalues(image), "text": covariance_eigenvalues(text)}
        recalls = retrieval(image[:pairs], text[:pairs])
        values = {
            "centroid gap": centroid_gap(image, text),
            "image trace": spectra["image"].sum(),
            "text trace": spectra["text"].sum(),
            "image effective rank": effective_rank(spectra["image"]),
            "text effective rank": effective_rank(spectra["text"]),
            "residual effective rank": effective_rank(residual),
            "residual anisotropy (largest eigenvalue over the mean)": residual[0] / residual.mean(),
        }
        table += [{"caption": caption, "metric": k, "value": float(v), "n": len(text)} for k, v in values.items()]
        table += [
            {"caption": caption, "metric": f"R@1 {way} of {pairs}", "value": recall[1], "n": pairs}
            for way, recall in (("text to image", recalls.text_to_image), ("image to text", recalls.image_to_text))
        ]
    return pd.DataFrame(table)


def main() -> None:
    """Write the table."""
    options = arguments(__doc__, "short", "image", "long", "long_image")
    short, long = (rows(options.image), rows(options.short)), (rows(options.long_image), rows(options.long))
    save_table(facts({"short": short, "long": long}), *options.out)


if __name__ == "__main__":
    run(main)
