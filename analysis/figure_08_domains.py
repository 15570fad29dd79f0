"""Figure 8: statistics from one domain applied to another, all four pairs of domains."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments, make, read_yaml, rows
from matplotlib.ticker import NullFormatter
from style import colour_of, describe, name_of, save, save_table

from revision.geometry.gap import centroid_gap, gap_noise
from revision.stats.intervals import over_seeds

DOMAINS = {"general": "", "scan": "scan_"}


def measure(work: Path, settings: dict, seeds: list[int]) -> pd.DataFrame:
    """One row a number: method, domain of the statistics, domain they are applied to, seed, gap on held-out pairs."""
    texts = {name: rows(work, f"{start}text", "short") for name, start in DOMAINS.items()}
    images = {name: rows(work, f"{start}reference", "image") for name, start in DOMAINS.items()}
    probes = {
        name: (rows(work, f"{start}probe", "short"), rows(work, f"{start}probe", "image"))
        for name, start in DOMAINS.items()
    }
    size = min(map(len, (*texts.values(), *images.values()))) // 2
    found = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        for fitted in DOMAINS:
            source, target = (part[generator.permutation(len(part))[:size]] for part in (texts[fitted], images[fitted]))
            for name, section in settings.items():
                aligner = make(section)
                if aligner.paired:
                    continue
                aligner.fit(source, target)
                for applied, (text, image) in probes.items():
                    moved = aligner.transform(text)
                    one = {"statistics": fitted, "applied_to": applied, "samples": size, "seed": seed}
                    found.append(one | {"method": name, "gap": centroid_gap(aligner.transform_target(image), moved)})
                    if name == "realign" and fitted == applied:
                        noise = gap_noise(image, moved, (size, size))
                        found.append(one | {"method": "sampling noise", "gap": noise})
    return pd.DataFrame(found)


def mean_gap(table: pd.DataFrame, method: str, statistics: str, applied: str) -> float:
    """Mean over seeds."""
    part = table[(table.method == method) & (table.statistics == statistics) & (table.applied_to == applied)]
    return over_seeds(part.gap.to_numpy()).value


def draw(table: pd.DataFrame, path: Path) -> None:
    """A panel a domain, a row a method; full dot: own statistics, ring: the other domain's."""
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.6), sharey=True, sharex=True)
    methods = [name for name in dict.fromkeys(table.method) if name != "sampling noise"]
    for panel, applied in zip(panels, DOMAINS, strict=True):
        other = next(name for name in DOMAINS if name != applied)
        for place, method in enumerate(methods):
            own, foreign = (mean_gap(table, method, statistics, applied) for statistics in (applied, other))
            panel.plot([own, foreign], [place, place], color=colour_of(method), linewidth=1)
            panel.plot(own, place, "o", color=colour_of(method), markersize=6)
            panel.plot(foreign, place, "o", color=colour_of(method), markersize=6, markerfacecolor="white")
        panel.axvline(mean_gap(table, "sampling noise", applied, applied), color="grey", linestyle=":")
        panel.set_title(f"applied to {applied}", fontsize=9)
        panel.set_xscale("log")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(methods)), [name_of(method) for method in methods])
    panels[0].set_ylim(len(methods) - 0.4, -0.6)
    figure.supxlabel("gap on held-out pairs", fontsize=9)
    handles = [
        plt.Line2D([], [], marker="o", linestyle="none", color="grey", label="statistics of the same domain"),
        plt.Line2D([], [], marker="o", linestyle="none", color="grey", markerfacecolor="white", label="of the other"),
        plt.Line2D([], [], color="grey", linestyle=":", label="sampling noise"),
    ]
    figure.legend(handles=handles, fontsize=7, ncols=3, loc="outside upper center")
    save(figure, path)


if __name__ == "__main__":
    options = arguments(__doc__, "published", "aligners", "seeds").parse_args()
    table = measure(options.work, options.aligners, options.seeds)
    save_table(table, options.out[0])
    draw(table, options.out[0])
    describe(
        options.out[0],
        "Statistics of the wrong domain",
        "figure 8",
        f"Domains: {' and '.join(DOMAINS)} of the built-in world (the paper's: "
        f"{' and '.join(read_yaml(options.published)['figures']['fig8']['domains'])}), short captions, one encoder "
        f"that has seen both. Statistics from {table.samples.iloc[0]} texts and as many pictures of a domain, a "
        f"random half a seed, {len(options.seeds)} seeds, mean shown; measured on held-out pairs. The dotted line is "
        "what samples of these sizes leave after a perfect shift of the mean. The paper publishes bars without "
        "numbers.",
        "One row an aligner and a panel a domain: the gap with the domain's own statistics and with the other "
        "domain's.",
        [
            (f"ReAlign on {applied}, statistics of {statistics}", None, mean_gap(table, "realign", statistics, applied))
            for applied in DOMAINS
            for statistics in DOMAINS
        ],
    )
