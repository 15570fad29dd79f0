"""Figure 8: statistics of one domain applied to another, for all four pairs of domains; reads embeddings."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments, read_aligners, sample
from style import (
    LEVEL,
    PAGE,
    ROW,
    colour_of,
    describe,
    key,
    method_rows,
    number_column,
    plain_log,
    run,
    save,
    save_table,
)

from revision.config import read_yaml
from revision.gap.sampling import NOISE, Sample, gap_by_domain
from revision.stats.intervals import over_seeds

DOMAINS = ("general", "scan")
UNPAIRED = {"text": "text_table", "image": "image_table"}
PROBE = {"probe_text": "probe_table", "probe_image": "probe_table"}


def gaps_of(table: pd.DataFrame, method: str, statistics: str, applied: str) -> pd.Series:
    """Gaps by seed."""
    return table[(table.method == method) & (table.statistics == statistics) & (table.applied_to == applied)].gap


def mean_gap(table: pd.DataFrame, method: str, statistics: str, applied: str) -> float:
    """Mean over seeds."""
    return over_seeds(gaps_of(table, method, statistics, applied).to_numpy()).value


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw one panel per domain and one row per method; dot: own statistics, ring: those of the other domain."""
    methods = [name for name in dict.fromkeys(table.method) if name != NOISE]
    figure, panels = plt.subplots(1, 2, figsize=(PAGE, 1.0 + ROW * len(methods)), sharey=True, sharex=True)
    for panel, applied in zip(panels, DOMAINS, strict=True):
        method_rows(panel, methods)
        other = next(name for name in DOMAINS if name != applied)
        for statistics, style, heading, right in (
            (applied, {"markersize": 4}, "own", 6),
            (other, {"markersize": 6.5, "fillstyle": "none"}, "other", 46),
        ):
            for y, method in enumerate(methods):
                seeds, colour = gaps_of(table, method, statistics, applied), colour_of(method)
                panel.plot([seeds.min(), seeds.max()], [y, y], color=colour, linewidth=2.5, alpha=0.4)
                panel.plot(seeds.mean(), y, "o", color=colour, **style)
            number_column(panel, [mean_gap(table, method, statistics, applied) for method in methods], heading, right)
        panel.axvline(mean_gap(table, NOISE, applied, applied), **LEVEL)
        panel.set_title(f"applied to {applied}")
        panel.set_xscale("log")
        panel.margins(x=0.06)
        plain_log(panel.xaxis)
    figure.supxlabel("distance of the centroids on held-out pairs")
    handles = [
        key(markersize=4, label="domain's own statistics"),
        key(markersize=6.5, fillstyle="none", label="the other domain's"),
        key(marker="", linestyle="-", linewidth=2.5, alpha=0.4, label="range of seeds"),
        plt.Line2D([], [], **LEVEL, label=NOISE),
    ]
    figure.legend(handles=handles, ncols=4, loc="outside upper center")
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
