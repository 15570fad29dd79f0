"""The verdict on every claim of the paper (config/claims.yaml), from the tables of one run."""

from pathlib import Path

from figure_inputs import arguments
from style import name_of, run, save_table

from revision.stats.claims import read_claims, verdict_table
from revision.stats.published import read_published


def main() -> None:
    """Write the verdicts."""
    options = arguments(__doc__, "claims", "published", sources={"type": Path, "nargs": "*"}, scale={})
    published = read_published(options.published)
    table = verdict_table(read_claims(options.claims), options.sources, options.scale, name_of, published)
    save_table(table, *options.out)


if __name__ == "__main__":
    run(main)
