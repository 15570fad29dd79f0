import json
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import yaml
from snakemake.utils import min_version

from revision.config import CaptionSet, TableName, load
from revision.config.corpus import CorpusSections, PhotosCorpus, ScenesCorpus, SourcesCorpus
from revision.config.dose import DoseInputs, DoseSections
from revision.config.dynamics import CausesSections, DynamicsSections
from revision.config.encoders import EncoderFile, EncoderSections
from revision.config.evaluation import (
    Checkpoint,
    EvaluationSections,
    PhotoCaptions,
    PublishedSuites,
    SceneSuites,
    TaskSections,
)
from revision.config.language_models import LanguageModelSections, TrainedModel
from revision.config.names import COLUMN, FACTOR
from revision.config.training import (
    FinetuneSections,
    PretrainSections,
    Stage1Training,
    Stage2Training,
)
from revision.config.variants import AlignerSections
from revision.errors import RevisionError
from revision.io.files import write_text

min_version("9.0")

try:
    CONFIG = load("config", overrides=config)  # `config` is Snakemake's: the settings of `--config` and `--configfile`
except RevisionError as error:
    sys.exit(f"error: {error}")

# Set for all commands, and not an option of the rules, because another tracker must not repeat finished trainings.
if CONFIG.tracker:
    shell.prefix(f"set -euo pipefail; export REVISION_TRACKER={shlex.quote(CONFIG.tracker)}; ")

RESULTS = f"results/{CONFIG.scale}"
WORK = f"{RESULTS}/work"
ENCODER_SEEDS, SEEDS = CONFIG.encoder_seeds, CONFIG.seeds
FIRST = ENCODER_SEEDS[0]  # the encoder whose geometry is measured
REPEATS = max(ENCODER_SEEDS, SEEDS, key=len)[:3]  # seeds of what needs no more: figures 1, 3, 8, 10 and the gap causes
REPLICATE = "encoder{draw}_seed{seed}"  # a training is repeated for every encoder and seed
VARIANTS = CONFIG.trained
TABLES_OF_CORPUS = "|".join(CONFIG.corpus_tables)
PHOTOS = isinstance(CONFIG.corpus, PhotosCorpus)  # such a corpus has no questions and no second domain
TABLE = " --table {input.table}" if PHOTOS else ""  # of commands that generate scenes or read photographs


wildcard_constraints:
    draw=r"\d+",
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
    """Return the settings file of a corpus table: the world, the source of the table, or the photographs."""
    if isinstance(CONFIG.corpus, SourcesCorpus):
        return settings_file(f"corpus/{table}", CorpusSections(corpus=CONFIG.corpus.only(table)))
    return settings_file("corpus", CorpusSections(corpus=CONFIG.corpus, world=CONFIG.world))


def encoder_of(draw):
    """Return the argument of `--encoder`: the folder of the encoder trained with the seed `draw`, or a YAML."""
    return CONFIG.encoder.path if isinstance(CONFIG.encoder, EncoderFile) else f"{WORK}/encoder/{draw}"


def embeddings(table, column, draw=FIRST):
    """Return the embedding set of one column of a corpus table."""
    return embeddings_of(CaptionSet(table, column), draw)


def embeddings_of(captions, draw=FIRST):
    """Return the embedding set of a CaptionSet."""
    return f"{WORK}/embeddings/{draw}/{captions.name}"


def aligned(variant, captions, draw):
    """Return the embedding set of a CaptionSet after the aligner of a variant."""
    return f"{WORK}/aligned/{draw}/{variant.aligner}_{captions.name}"


def known_moments(draw, *names):
    """Return the moments of embedding sets if these are embedded in parts, which also computes moments."""
    return [f"{WORK}/moments/{draw}/{name}.npz" for name in names] if SHARDS_OF_SET > 1 else []


def corpus_of(captions):
    """Return the Parquet file that contains a CaptionSet."""
    return f"{WORK}/data/{CONFIG.table_of(captions).name}.parquet"


def stage1_training(name, draw, seed):
    """Return the Stage 1 of a variant in one replicate."""
    variant = CONFIG.variants[name]
    validation = CaptionSet("validation", variant.captions.column)
    paired = embeddings_of(replace(variant.captions, column="image"), draw)
    return Stage1Training(
        llm=f"{WORK}/llm/{variant.llm}",
        embeddings=(paired if variant.source == "image" else aligned(variant, variant.captions, draw)),
        captions=corpus_of(variant.captions),
        column=variant.captions.column,
        validation_embeddings=embeddings_of(CONFIG.images_of(validation), draw),
        validation_captions=corpus_of(validation),
        seed=variant.training_seed(int(seed)),
        noise=variant.noise,
        reference=(embeddings("reference", "image", draw) if variant.corrected else None),
        out=checkpoint("stage1", name, draw, seed),
    )


def stage2_training(name, draw, seed):
    """Return the Stage 2 of a variant in one replicate; it starts from a Stage 1 or from the language model."""
    variant, start = CONFIG.variants[name], CONFIG.stage1_of(name)
    questions = f"{WORK}/data/{{}}.parquet".format
    full = aligned(variant, CaptionSet("instruct", "full"), draw)
    image = lambda table: embeddings(table, "image", draw) if variant.visual else None
    return Stage2Training(
        start=(checkpoint("stage1", start, draw, seed) if start else f"{WORK}/llm/{variant.llm}"),
        instructions=questions("instruct"),
        validation_instructions=questions("validation_instruct"),
        embeddings=(image("instruct") if variant.images > 0 else None),
        texts=(full if variant.images < 1 else None),
        images=variant.images,
        validation_embeddings=image("validation_instruct"),
        share=variant.share,
        seed=variant.training_seed(int(seed)),
        out=checkpoint("stage2", name, draw, seed),
    )


def read_by_trainings(draw):
    """Return all paths that the trainings and the dose study of an encoder draw read, each once."""
    trainings = [stage1_training(name, draw, SEEDS[0]) for name in TRAINED["stage1"]]
    trainings += [stage2_training(name, draw, SEEDS[0]) for name in TRAINED["stage2"]]
    study = dose_inputs(draw).values() if CONFIG.dose else []
    return list(dict.fromkeys([*(path for training in trainings for path in training.reads()), *study]))


def checkpoint(stage, name, draw, seed):
    """Return the checkpoint folder of a variant in one replicate."""
    return f"{WORK}/{stage}/{name}/{REPLICATE.format(draw=draw, seed=seed)}"


# Trainings of each stage. Variants may share a Stage 1; a stage is one job for a replicate, or one for each training.
TRAINED = {
    "stage1": list(dict.fromkeys(filter(None, map(CONFIG.stage1_of, VARIANTS)))),
    "stage2": VARIANTS if CONFIG.stage2 else [],
}
TOGETHER = CONFIG.trainings_together
JOB = REPLICATE if TOGETHER else f"{{variant}}_{REPLICATE}"


def trained_by_a_job(stage):
    """Return the checkpoint folders that a job of a stage makes, with its wildcards."""
    names = TOGETHER and TRAINED[stage] or ["{variant}"]
    return [directory(checkpoint(stage, name, "{draw}", "{seed}")) for name in names]


def training_inputs(stage, kind, training, wildcards):
    """Return the inputs of a job: its settings, of class `kind`, and all that its trainings read."""
    names = TRAINED[stage] if TOGETHER else [wildcards.variant]
    trainings = [training(name, wildcards.draw, wildcards.seed) for name in names]
    settings = kind(loop=getattr(CONFIG, stage), projector=CONFIG.projector, trainings=trainings)
    return {
        "settings": settings_file(f"{stage}/{JOB.format(**wildcards)}", settings),
        "read": list(dict.fromkeys(path for one in trainings for path in one.reads())),
    }


def checkpoints(draw, seed):
    """Return the checkpoint folders of one replicate by their names in the tables, <stage>/<variant>."""
    return {
        f"{stage}/{name}": checkpoint(stage, name, draw, seed) for stage, names in TRAINED.items() for name in names
    }


def evaluation_settings(draw, seed):
    """Return the settings file with the checkpoints of one replicate and their precision."""
    scored = [
        Checkpoint(method, int(draw), int(seed), Path(folder)) for method, folder in checkpoints(draw, seed).items()
    ]
    sections = EvaluationSections(checkpoints=scored, precision=CONFIG.evaluation.precision)
    return settings_file(f"evaluate/{REPLICATE.format(draw=draw, seed=seed)}", sections)


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
    further = [path for name in {DRAWN[name] for name in CHOSEN} for path in FIGURES[name].also.values()]
    figures = [f"{RESULTS}/figures/{panel}.csv" for panel, name in PANELS.items() if {panel, name} & {*CHOSEN}]
    made = {*figures, *further, *TABLES.values(), LOSSES, WORLD_FACTS}
    made |= {f"{RESULTS}/tables/pairs.csv"} if ANSWERS else set()
    claims = yaml.safe_load(Path("config/claims.yaml").read_text(encoding="utf-8"))
    criteria = [one for claim in claims for one in [*claim["criteria"], *claim.get("requires", [])]]
    read = [criterion.get("source", "tables/pairs.csv") for criterion in criteria]
    return [path for path in dict.fromkeys(f"{RESULTS}/{source}" for source in read) if path in made]


def needed_table(wildcards):
    """Return table 1, or refuse a report without it; without Stage 2, there are no tables."""
    table = CONFIG.tables["table_1"]
    if CONFIG.stage2 is None:
        if table.reference not in VARIANTS:
            sys.exit(
                f"error: run: the report compares with {table.reference!r}; add it, or name targets (`revision reproduce --list`)"
            )
        return []
    if "table_1" not in TABLES:
        others = [row for row in table.rows if row != table.reference]
        sys.exit(
            f"error: run: the report needs table_1; add {table.reference!r} and at least one of {', '.join(others)}; "
            "or name targets (`revision reproduce --list`)"
        )
    return TABLES["table_1"]


def encoder_file(name):
    """Return the argument of `revision embed --encoder`: the folder of an encoder trained here, or a YAML."""
    return BUILT_IN.get(name, f"config/encoders/{name}.yaml")


def given_arrays(name):
    """Return the sets of an encoder of the family `arrays`, whose paths are relative to its YAML file, or None."""
    path = Path(encoder_file(name))
    if name in BUILT_IN or not path.is_file():
        return None
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if values["family"] != "arrays":
        return None
    return {side: str(path.parent / values[side]) for side in ("image", "text")}


def compared_sets(wildcards):
    """Return the probe images and texts embedded by an encoder; for the family `arrays`, the given arrays."""
    if wildcards.encoder == "built_in":
        return {"image": embeddings("probe", "image"), "text": embeddings("probe", "short")}
    if (arrays := given_arrays(wildcards.encoder)) is not None:
        return arrays
    return {
        side: f"{WORK}/compare/{wildcards.encoder}/{column}" for side, column in (("image", "image"), ("text", "short"))
    }


def embed_command(captions, table, encoder, out):
    """Return the command, without `revision`, that embeds a CaptionSet of a table."""
    given = options({"encoder": encoder, "column": captions.column, "out": out})
    return f"embed {table} {given}"


def align_command(aligner, source, target, out, threads, moments=()):
    """Return the command, without `revision`, that fits an aligner and aligns an embedding set; `moments` may be known."""
    method, params = CONFIG.aligners[aligner].method, CONFIG.aligners[aligner].params
    known = dict(zip(("source_moments", "target_moments"), moments))
    given = options({"target": target, "method": method, "threads": threads, **known})
    params = shlex.join(f"--param={name}={json.dumps(value)}" for name, value in params.items())
    return f"align {source} {out} {given} {params} --force"


def dose_inputs(encoder):
    """Return the files that a replicate of the study reads, by their names in its settings."""
    return {
        "llm": f"{WORK}/llm/{CONFIG.base.llm}",
        **{name: f"{WORK}/embeddings/{encoder}/{folder}" for name, folder in DOSE_SETS.items()},
        **{name: f"{WORK}/data/{table}.parquet" for name, table in DOSE_TABLES.items()},
    }


def dose_settings(encoder, seed):
    """Return the settings file of a replicate."""
    used = {name: CONFIG.aligners[name] for name in CONFIG.dose.aligners}
    inputs = DoseInputs(**dose_inputs(encoder))
    sections = DoseSections(
        dose=CONFIG.dose,
        aligners=used,
        projector=CONFIG.projector,
        inputs=inputs,
        encoder=encoder,
        seed=seed,
    )
    return settings_file(f"dose/encoder{encoder}_seed{seed}", sections)
