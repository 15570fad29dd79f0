import json
import re
import sys
from pathlib import Path

from snakemake.utils import min_version

from revision.config import (
    check,
    chosen_figures,
    run_tables,
    run_variants,
    scale_file,
    source_of,
    stage1_of,
    table_of,
    variant,
    without_factor,
)
from revision.errors import RevisionError

min_version("9.0")

try:
    SCALE_FILE = scale_file("config", config["scale"])
except RevisionError as error:
    sys.exit(f"error: {error}")


configfile: SCALE_FILE


try:
    check(config, "config/schema.yaml")
except RevisionError as error:
    sys.exit(f"error: {error}")

RESULTS = f"results/{config['scale']}"
WORK = f"{RESULTS}/work"
SEEDS = config["seeds"]
VARIANTS = run_variants(config)

# The encoder as commands take it, a folder or a YAML, and the file that says it is there.
ENCODER = config["encoder"].get("file", f"{WORK}/encoder")
ENCODER_READY = config["encoder"].get("file", f"{WORK}/encoder/manifest.json")


wildcard_constraints:
    seed=r"\d+",
    column=r"image|short|long",
    table=r"[a-z_]+?(_[0-9.]+x)?",
    captions=r"(short|long|synthetic)(_[0-9.]+x)?",
    aligner="|".join(config["aligners"]),
    variant="|".join(map(re.escape, config["variants"])),


def settings(*path):
    """The configuration at `path` as the JSON text that a command's --settings takes."""
    value = config
    for key in path:
        value = value[key]
    return json.dumps(value, sort_keys=True)


def launched(stage, command):
    """`command` behind the launcher that the configuration names for the stage, if any."""
    launcher = config["launchers"][stage]
    return f"{launcher} {command}" if launcher else command


def embeddings(table, column):
    """Manifest of the embedding set of one column of a corpus table."""
    return f"{WORK}/embeddings/{table}_{column}/manifest.json"


def of_text(captions):
    """Table and column of the captions named <caption> or, for another number of texts than the base's, <caption>_<n>x."""
    caption, _, factor = captions.partition("_")
    table = ("synthetic" if caption == "synthetic" else "text") + (f"_{factor}" if factor else "")
    return table, "short" if caption == "synthetic" else caption


def corpus_of(table, column):
    """The Parquet file with a column of a corpus table."""
    return f"{WORK}/data/{table_of(config, table, column)}.parquet"


def pictures_of(table, column):
    """Manifest of the pictures that the captions of a column of a corpus table describe."""
    return embeddings(table_of(config, table, column), "image")


def captions_of(name):
    """The captions that the variant `name` reads in Stage 1, as `of_text` takes them."""
    chosen = variant(config, name)
    return chosen["caption"] + (f"_{chosen['texts']:g}x" if chosen["texts"] != 1 else "")


def folder(path):
    """The folder that a manifest describes."""
    return str(path).rsplit("/", 1)[0]
