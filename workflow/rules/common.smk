import json
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import yaml
from snakemake.utils import min_version

from revision.config import CaptionSet, TableName, load
from revision.config.corpus import CorpusSections, SourcesCorpus
from revision.config.dose import DoseInputs, DoseSections
from revision.config.dynamics import CausesSections, DynamicsSections
from revision.config.encoders import EncoderFile, EncoderSections
from revision.config.evaluation import (
    Checkpoint,
    EvaluationSections,
    PublishedSuites,
    TaskSections,
)
from revision.config.language_models import LanguageModelSections, TrainedModel
from revision.config.names import COLUMN, FACTOR
from revision.config.variants import AlignerSections
from revision.errors import RevisionError
from revision.io.files import write_text

min_version("9.0")

try:
    CONFIG = load("config", overrides=config)  # `config` is Snakemake's: the settings of `--config` and `--configfile`
except RevisionError as error:
    sys.exit(f"error: {error}")

RESULTS = f"results/{CONFIG.scale}"
WORK = f"{RESULTS}/work"
SEEDS = CONFIG.seeds
VARIANTS = CONFIG.trained
TABLES_OF_CORPUS = "|".join(CONFIG.corpus_tables)

# The argument of `--encoder`: the folder of a trained encoder, or a YAML.
ENCODER = CONFIG.encoder.path if isinstance(CONFIG.encoder, EncoderFile) else f"{WORK}/encoder"


wildcard_constraints:
    seed=r"\d+",
    column=COLUMN,
    captions=rf"(?:synthetic|{TABLES_OF_CORPUS}){FACTOR}_(?:{COLUMN})",
    aligner="|".join(CONFIG.aligners),
    variant="|".join(map(re.escape, CONFIG.variants)),


def settings_file(name, settings):
    """Write the settings of a command to a file and return its path; an unchanged file keeps its modification time."""
    path = f"{WORK}/config/{name}.yaml"
    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
    if not Path(path).is_file() or Path(path).read_text(encoding="utf-8") != text:
        write_text(path, text)
    return path


def corpus_settings(table):
    """Return the settings file of a corpus table: the world, or the source of the table."""
    if isinstance(CONFIG.corpus, SourcesCorpus):
        return settings_file(f"corpus/{table}", CorpusSections(corpus=CONFIG.corpus.only(table)))
    return settings_file("corpus", CorpusSections(corpus=CONFIG.corpus, world=CONFIG.world))


def embeddings(table, column):
    """Return the embedding set of one column of a corpus table."""
    return embeddings_of(CaptionSet(table, column))


def embeddings_of(captions):
    """Return the embedding set of a CaptionSet."""
    return f"{WORK}/embeddings/{captions.name}"


def known_moments(*names):
    """Return the moments of embedding sets if these are embedded in parts, which also computes moments."""
    return [f"{WORK}/moments/{name}.npz" for name in names] if SHARDS_OF_SET > 1 else []


def corpus_of(captions):
    """Return the Parquet file that contains a CaptionSet."""
    return f"{WORK}/data/{CONFIG.table_of(captions).name}.parquet"


def captions_of(wildcards):
    """Return the captions that a variant is trained on in Stage 1."""
    return CONFIG.variants[wildcards.variant].captions


def validation_of(wildcards):
    """Return the held-out captions of a variant."""
    return CaptionSet("validation", captions_of(wildcards).column)


def stage1_embeddings(wildcards):
    """Return the embeddings that Stage 1 reads: aligned texts or, for `source: image`, images."""
    variant = CONFIG.variants[wildcards.variant]
    if variant.source == "image":
        return embeddings_of(replace(variant.captions, column="image"))
    return f"{WORK}/aligned/{variant.aligner}_{variant.captions.name}"


def stage2_start(wildcards):
    """Return the Stage-1 checkpoint or, without Stage 1, the language model."""
    start = CONFIG.stage1_of(wildcards.variant)
    if start is None:
        return f"{WORK}/llm/{CONFIG.variants[wildcards.variant].llm}"
    return f"{WORK}/stage1/{start}/seed{wildcards.seed}"


def stage2_images(wildcards):
    """Return the image embeddings of the questions; none for a text-only model."""
    if not CONFIG.variants[wildcards.variant].visual:
        return {}
    return {
        "embeddings": embeddings("instruct", "image"),
        "validation_embeddings": embeddings("validation_instruct", "image"),
    }


def checkpoints(seed):
    """Return the checkpoint folders of one seed by their names in the tables, <stage>/<variant>."""
    starts = dict.fromkeys(start for name in VARIANTS if (start := CONFIG.stage1_of(name)))
    methods = [
        *(f"stage1/{name}" for name in starts),
        *(f"stage2/{name}" for name in VARIANTS),
    ]
    return {method: f"{WORK}/{method}/seed{seed}" for method in methods}


def evaluation_settings(seed):
    """Return the settings file with the checkpoints of one seed and their precision."""
    scored = [Checkpoint(method, seed, Path(folder)) for method, folder in checkpoints(seed).items()]
    sections = EvaluationSections(checkpoints=scored, precision=CONFIG.evaluation.precision)
    return settings_file(f"evaluate/seed{seed}", sections)


def launched(stage, command):
    """Prepend the launcher of a stage, if the configuration sets one, to `command`."""
    launcher = getattr(CONFIG.launchers, stage)
    return f"{launcher} {command}" if launcher else command


def images_of_probe(captions):
    """Return the embedding set of the images that held-out captions describe."""
    return embeddings_of(CONFIG.images_of(CaptionSet("probe", captions)))


def options(values):
    """Format a mapping of names to values, or lists of values, as command-line options."""
    arguments = []
    for name, value in values.items():
        arguments += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(arguments)


def claim_sources(wildcards):
    """Return the tables that the claims read and that this scale makes."""
    further = [path for name in {PANELS[name] for name in CHOSEN} for path in FIGURES[name].also.values()]
    made = {*REPORTED, *further, *TABLES.values(), LOSSES, WORLD_FACTS, f"{RESULTS}/tables/pairs.csv"}
    claims = yaml.safe_load(Path("config/claims.yaml").read_text(encoding="utf-8"))
    criteria = [one for claim in claims for one in [*claim["criteria"], *claim.get("requires", [])]]
    read = [criterion.get("source", "tables/pairs.csv") for criterion in criteria]
    return [path for path in dict.fromkeys(f"{RESULTS}/{source}" for source in read) if path in made]


def encoder_file(name):
    """Return the argument of `revision embed --encoder`: the folder of an encoder trained here, or a YAML."""
    return BUILT_IN.get(name, f"config/encoders/{name}.yaml")


def compared_sets(wildcards):
    """Return the probe images and texts embedded by an encoder; for the family `arrays`, the given arrays."""
    if wildcards.encoder == "built_in":
        return {"image": embeddings("probe", "image"), "text": embeddings("probe", "short")}
    if wildcards.encoder not in BUILT_IN:
        values = yaml.safe_load(Path(encoder_file(wildcards.encoder)).read_text(encoding="utf-8"))
        if values["family"] == "arrays":
            return {"image": values["image"], "text": values["text"]}
    return {
        side: f"{WORK}/compare/{wildcards.encoder}/{column}" for side, column in (("image", "image"), ("text", "short"))
    }
