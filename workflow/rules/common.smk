import json
import sys

from snakemake.utils import min_version, validate

from revision.config import check, scale_file, variant
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
validate(config, "../../config/schema.yaml")

RESULTS = f"results/{config['scale']}"
WORK = f"{RESULTS}/work"
SEEDS = config["seeds"]


wildcard_constraints:
    seed=r"\d+",
    column=r"image|short|long",
    table=r"[a-z_]+?",
    aligner="|".join(config["aligners"]),
    variant="|".join(config["variants"]),


def settings(*path):
    """The configuration at `path` as the JSON text that a command's --settings takes."""
    value = config
    for key in path:
        value = value[key]
    return json.dumps(value, sort_keys=True)


def embeddings(table, column):
    """Manifest of the embedding set of one column of a corpus table."""
    return f"{WORK}/embeddings/{table}_{column}/manifest.json"


def folder(path):
    """The folder that a manifest describes."""
    return str(path).rsplit("/", 1)[0]
