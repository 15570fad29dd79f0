"""Figure 6: gap on held-out pairs against the number of unpaired samples behind the statistics."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments, make, read_yaml, rows
from style import colour_of, describe, name_of, save, save_table

from revision.geometry.gap import centroid_gap, gap_noise

TRIALS = 5
SHOWN = ("c3", "realign_1", "realign", "bc_align", "gaussian_ot", "aniso_align")
PLATEAU = 1.1


def measure(work: Path, settings: dict, sizes: list[int]) -> pd.DataFrame:
    """One row a number: method, samples, trial, gap; sizes beyond the pools are left out."""
    texts, images = rows(work, "text", "short"), rows(work, "reference", "image")
    probe_text, probe_image = rows(work, "probe", "short"), rows(work, "probe", "image")
    found = []
    for size in (size for size in sizes if size <= min(len(texts), len(images))):
        for trial in range(TRIALS):
            generator = np.random.default_rng((size, trial))
            source = texts[generator.choice(len(texts), size, replace=False)]
            target = images[generator.choice(len(images), size, replace=False)]
            for name, section in settings.items():
                aligner = make(section)
                if aligner.paired:
                    continue
                aligner.fit(source, target)
                moved = aligner.transform(probe_text)
                gap = centroid_gap(aligner.transform_target(probe_image), moved)
                found.append({"method": name, "samples": size, "trial": trial, "gap": gap})
                if name == "realign" and trial == 0:
                    noise = gap_noise(probe_image, moved, (size, size))
                    found.append({"method": "sampling noise", "samples": size, "trial": -1, "gap": noise})
    return pd.DataFrame(found)


def plateau(samples: list[int], gaps: list[float]) -> int:
    """The first size whose gap is at most 1.1 times that of the largest size."""
    return next(size for size, gap in zip(samples, gaps, strict=True) if gap <= PLATEAU * gaps[-1])


def draw(table: pd.DataFrame, plateau_at: int, path: Path) -> None:
    """Mean and standard deviation over trials against N, on logarithmic axes."""
    figure, axes = plt.subplots(figsize=(5.4, 3.6))
    for name in SHOWN:
        by_size = table[table.method == name].groupby("samples").gap
        axes.errorbar(
            by_size.mean().index, by_size.mean(), by_size.std(), marker="o", markersize=4, capsize=2,
            color=colour_of(name), label=name_of(name),
        )  # fmt: skip
    noise = table[table.method == "sampling noise"]
    axes.plot(noise.samples, noise.gap, color="grey", linestyle=":", label="sampling noise")
    axes.axvline(plateau_at, color="black", linestyle="--", linewidth=1, label="plateau in the paper")
    axes.set(xscale="log", yscale="log", xlabel="unpaired samples of each modality", ylabel="gap on held-out pairs")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, path)


if __name__ == "__main__":
    options = arguments(__doc__, "published", "aligners").parse_args()
    published = read_yaml(options.published)["figures"]["fig6"]
    table = measure(options.work, options.aligners, published["sizes"])
    save_table(table, options.out[0])
    draw(table, published["plateau_at"], options.out[0])
    means = table[table.method == "realign"].groupby("samples").gap.mean()
    describe(
        options.out[0],
        "How many samples the statistics need",
        "figure 6",
        f"Mean and standard deviation over {TRIALS} trials; a trial draws N texts (short captions) and N pictures "
        "without replacement from the unpaired pools, fits, and measures on the same held-out pairs; at the largest "
        "N trials share most of their samples. Sizes are the paper's as far as the pools reach. Dotted: the root "
        "mean square gap that sampling alone leaves after ReAlign (statistics of N samples, measured on these "
        "held-out pairs), so the curve flattens where the held-out pairs, not N, limit it. Plateau: the first N "
        f"within {PLATEAU - 1:.0%} of the largest N's mean gap.",
        "Curves of the held-out gap against the number of samples for six aligners, with the expected sampling noise.",
        [("plateau of ReAlign, samples", published["plateau_at"], plateau(list(means.index), list(means)))],
    )
