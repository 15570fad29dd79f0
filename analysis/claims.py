"""The verdict on every claim of the paper, read from the tables of this run."""

import argparse
from pathlib import Path

from style import name_of, save_table

from revision.stats.claims import read_claims, verdict_table

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder of the scale, with figures/ and tables/")
    parser.add_argument("--claims", type=Path, required=True)
    parser.add_argument("--scale", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    table = verdict_table(read_claims(options.claims), options.results, options.scale, name_of)
    save_table(table, options.out)
