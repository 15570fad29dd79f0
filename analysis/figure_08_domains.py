"""Figure 8: statistics of one domain applied to another, for all four pairs of domains; reads embeddings."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments, read_aligners, sample
from matplotlib.ticker import NullFormatter
from style import colour_of, describe, name_of, run, save, save_table

from revision.config import read_yaml
from revision.gap.sampling import NOISE, Sample, gap_by_domain
from revision.stats.intervals import over_seeds

DOMAINS = ("general", "scan")
UNPAIRED = {"text": "text_table", "image": "image_table"}
PROBE = {"probe_text": "probe_table", "probe_image": "probe_table"}


def mean_gap(table: pd.DataFrame, method: str, statistics: str, applied: str) -> float:
    """Mean over seeds."""
    part = table[(table.method == method) & (table.statistics == statistics) & (table.applied_to == applied)]
    return over_seeds(part.gap.to_numpy()).value


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw one panel per domain and one row per method; dot: own statistics, ring: those of the other domain."""
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.6), sharey=True, sharex=True)
    methods = [name for name in dict.fromkeys(table.method) if name != NOISE]
    for panel, applied in zip(panels, DOMAINS, strict=True):
        other = next(name for name in DOMAINS if name != applied)
        for y, method in enumerate(methods):
            own, foreign = (mean_gap(table, method, statistics, applied) for statistics in (applied, other))
            panel.plot([own, foreign], [y, y], color=colour_of(method), linewidth=1)
            panel.plot(own, y, "o", color=colour_of(method), markersize=6)
            panel.plot(foreign, y, "o", color=colour_of(method), markersize=6, markerfacecolor="white")
        panel.axvline(mean_gap(table, NOISE, applied, applied), color="grey", linestyle=":")
        panel.set_title(f"applied to {applied}", fontsize=9)
        panel.set_xscale("log")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(methods)), [name_of(method) for method in methods])
    panels[0].set_ylim(len(methods) - 0.4, -0.6)
    figure.supxlabel("gap on held-out pairs", fontsize=9)
    handles = [
        plt.Line2D([], [], marker="o", linestyle="none", color="grey", label="statistics of the same domain"),
        plt.Line2D(
            [], [], marker="o", linestyle="none", color="grey", markerfacecolor="white", label="of the other domain"
        ),
        plt.Line2D([], [], color="grey", linestyle=":", label=NOISE),
    ]
    figure.legend(handles=handles, fontsize=7, ncols=3, loc="outside upper center")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    prefixes = {"general": "", "scan": "scan_"}
    names = ("text", "image", "probe_text", "probe_image", "text_table", "image_table", "probe_table")
    files = [f"{prefix}{name}" for prefix in prefixes.values() for name in names]
    options = arguments(
        __doc__, *files, "aligners", "published", methods={"nargs": "+"}, seeds={"type": int, "nargs": "+"}
    )
    (out,), aligners = options.out, read_aligners(options.aligners, options.methods)

    def samples(prefix: str, sets: dict[str, str]) -> tuple[Sample, ...]:
        return tuple(
            sample(getattr(options, f"{prefix}{name}"), getattr(options, f"{prefix}{table}"))
            for name, table in sets.items()
        )

    table = gap_by_domain(
        aligners,
        {domain: samples(prefix, UNPAIRED) for domain, prefix in prefixes.items()},
        {domain: samples(prefix, PROBE) for domain, prefix in prefixes.items()},
        options.seeds,
    )
    save_table(table, out)
    draw(table, out)
    gaps = {(a, b): mean_gap(table, "realign", a, b) for b in DOMAINS for a in DOMAINS}
    describe(
        out,
        {
            "gaps": {f"{a}_on_{b}": value for (a, b), value in gaps.items()},
            "domains": DOMAINS,
            "paper": read_yaml(options.published)["figures"]["fig8"]["domains"],
            "samples": table.samples.iloc[0],
            "seeds": len(options.seeds),
        },
        [(f"ReAlign on {b}, statistics of {a}", None, value) for (a, b), value in gaps.items()],
    )


if __name__ == "__main__":
    run(main)
