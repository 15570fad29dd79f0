# Tables of the paper and further ones, paired comparisons of all variants, losses, and facts about the data.

SCORE_TABLES = CONFIG.filled_tables()
TABLES = {name: f"{RESULTS}/tables/{name}.csv" for name in SCORE_TABLES}
ANSWERS = expand(SCORED["answers"], draw=ENCODER_SEEDS, seed=SEEDS) if "answers" in SCORED else []
CAPTIONS = expand(SCORED["captions"], draw=ENCODER_SEEDS, seed=SEEDS) if "captions" in SCORED else []
LOSSES = f"{RESULTS}/tables/stage1_caption_loss.csv"
WORLD_FACTS = f"{RESULTS}/tables/world.csv"


wildcard_constraints:
    score_table="|".join(map(re.escape, SCORE_TABLES)) or "none",


rule score_table:
    input:
        answers=ANSWERS,
        settings=lambda w: settings_file(f"tables/{w.score_table}", SCORE_TABLES[w.score_table]),
        published="config/published.yaml",
    output:
        table=f"{RESULTS}/tables/{{score_table}}.csv",
        beside=expand(f"{RESULTS}/tables/{{{{score_table}}}}.{{ending}}", ending=("png", "pdf", "json")),
    log:
        f"{WORK}/logs/score_table/{{score_table}}.log",
    benchmark:
        f"{WORK}/benchmarks/score_table/{{score_table}}.tsv"
    params:
        stage1=lambda w: [name for name in SCORE_TABLES[w.score_table].rows if CONFIG.stage1_of(name) == name],
    shell:
        "python analysis/tables.py --answers {input.answers} --settings {input.settings} --stage1 {params.stage1}"
        " --published {input.published} --out {output.table} > {log} 2>&1"


for name, table in SCORE_TABLES.items():

    rule:
        f"""{table.title}."""
        name:
            name
        input:
            TABLES[name],


rule pairs:
    """Paired differences of all variants."""
    input:
        ANSWERS,
    output:
        f"{RESULTS}/tables/pairs.csv",
    log:
        f"{WORK}/logs/pairs.log",
    benchmark:
        f"{WORK}/benchmarks/pairs.tsv"
    shell:
        "python analysis/pairs.py --answers {input} --out {output} > {log} 2>&1"


# The loss on long captions is not comparable with that on short ones, because the target texts differ.
READ_SHORT = [name for name in VARIANTS if CONFIG.stage1_of(name) == name and CONFIG.variants[name].caption != "long"]


rule stage1_losses:
    """Caption loss after Stage 1."""
    input:
        expand(f"{WORK}/stage1/{{variant}}/{REPLICATE}", variant=READ_SHORT, draw=ENCODER_SEEDS, seed=SEEDS),
    output:
        LOSSES,
    log:
        f"{WORK}/logs/stage1_losses.log",
    benchmark:
        f"{WORK}/benchmarks/stage1_losses.tsv"
    shell:
        "python analysis/stage1_losses.py --checkpoints {input} --out {output} > {log} 2>&1"


rule world_facts:
    """Facts about the data and the encoder."""
    input:
        short=embeddings("probe", "short"),
        image=embeddings("probe", "image"),
        long=embeddings("probe", "long"),
        long_image=images_of_probe("long"),
    output:
        WORLD_FACTS,
    log:
        f"{WORK}/logs/world.log",
    benchmark:
        f"{WORK}/benchmarks/world.tsv"
    shell:
        "python analysis/world.py --short {input.short} --image {input.image} --long {input.long}"
        " --long-image {input.long_image} --out {output} > {log} 2>&1"


# Paired is compared with chance, which is known for generated scenes.
TEST_BED = []
if isinstance(CONFIG.evaluation.suites, SceneSuites) and "paired" in VARIANTS and "table_1" in TABLES:
    TEST_BED = [f"{RESULTS}/tables/test_bed.csv"]

    rule test_bed:
        """Whether the test bed meets the rules by which it was chosen."""
        input:
            config=settings_file("report", CONFIG),
            facts=WORLD_FACTS,
            losses=LOSSES,
            scores=TABLES["table_1"],
            larger=[TABLES[name] for name in ("table_8",) if name in TABLES],
        output:
            TEST_BED,
        log:
            f"{WORK}/logs/test_bed.log",
        benchmark:
            f"{WORK}/benchmarks/test_bed.tsv"
        shell:
            "python analysis/test_bed.py --config {input.config} --facts {input.facts} --losses {input.losses}"
            " --scores {input.scores} --larger {input.larger} --out {output} > {log} 2>&1"


# Number of texts of each variant on the scaling curve, for the variants that are trained.
SCALING = {
    name: round(CONFIG.data.text * CONFIG.variants[name].texts) for name in CONFIG.scaling.variants if name in VARIANTS
}
