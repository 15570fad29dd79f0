# The figures that a scale reports, the verdicts on the claims, and the report page.

try:
    CHOSEN = CONFIG.chosen_figures(list(DRAWN))
except RevisionError as error:
    sys.exit(f"error: {error}")

REPORTED = [f"{RESULTS}/figures/{name}.json" for name in CHOSEN]


rule claims:
    """A verdict for each claim."""
    input:
        claims="config/claims.yaml",
        published="config/published.yaml",
        sources=claim_sources,
    output:
        table=f"{RESULTS}/tables/claims.csv",
    log:
        f"{WORK}/logs/claims.log",
    benchmark:
        f"{WORK}/benchmarks/claims.tsv"
    params:
        scale=CONFIG.scale,
    shell:
        "python analysis/claims.py --sources {input.sources} --claims {input.claims} --published {input.published}"
        " --scale {params.scale} --out {output} > {log} 2>&1"


# Every answer, scored caption and training curve, from which anyone can recompute the intervals.
RECORDED = [folder for draw in ENCODER_SEEDS for seed in SEEDS for folder in checkpoints(draw, seed).values()]


rule records:
    """The raw records of the run, compressed."""
    input:
        answers=ANSWERS,
        captions=CAPTIONS,
        checkpoints=RECORDED,
        config=settings_file("report", CONFIG),
    output:
        [f"{RESULTS}/records/{name}.parquet" for name in SCORED],
        histories=f"{RESULTS}/records/histories.parquet",
        config=f"{RESULTS}/records/config.yaml",
        versions=f"{RESULTS}/records/versions.json",
    log:
        f"{WORK}/logs/records.log",
    shell:
        "python analysis/records.py --answers {input.answers} --captions {input.captions} --checkpoints {input.checkpoints}"
        " --config {input.config} --out $(dirname {output.config}) > {log} 2>&1"


# The main figure compares with No Align.
MAIN = [f"{RESULTS}/figures/figure_main.csv"] if {"no_align", "revision"} <= set(VARIANTS) else []


rule figure_main:
    """What each aligner does to the gap and to training."""
    input:
        gap=f"{RESULTS}/figures/figure_3.csv",
        losses=LOSSES,
        pairs=f"{RESULTS}/tables/pairs.csv" if ANSWERS else [],
        captions=[] if ANSWERS else f"{RESULTS}/tables/captioning.csv",
    output:
        table=f"{RESULTS}/figures/figure_main.csv",
        beside=expand(f"{RESULTS}/figures/figure_main.{{ending}}", ending=("png", "pdf", "json")),
    log:
        f"{WORK}/logs/figure_main.log",
    benchmark:
        f"{WORK}/benchmarks/figure_main.tsv"
    shell:
        "python analysis/figure_main.py --gap {input.gap} --losses {input.losses} --pairs {input.pairs}"
        " --captions {input.captions}"
        " --out {output.table} > {log} 2>&1"


rule report:
    """The report page."""
    input:
        figures=REPORTED,
        tables=TABLES.values(),
        table_1=needed_table,
        main=MAIN,
        losses=LOSSES,
        claims=f"{RESULTS}/tables/claims.csv",
        world=WORLD_FACTS,
        comparisons=rules.what_can_show.output[0],
        bed=TEST_BED,
        alignment=[FIGURES["dose_response"].also["alignment"]] if "dose_erasure" in CHOSEN else [],
        published="config/published.yaml",
        config=settings_file("report", CONFIG),
        identity=[
            *(f"{WORK}/data/{table}.parquet" for table in ("text", "reference", "probe")),
            *([] if PHOTOS else [f"{WORK}/data/instruct.parquet"]),
            encoder_of(FIRST),
            *ANSWERS,
        ],
    output:
        page=f"{RESULTS}/report.html",
    log:
        f"{WORK}/logs/report.log",
    shell:
        "python analysis/report.py --figures {input.figures} --tables {input.tables} --table-1 {input.table_1}"
        " --main {input.main} --losses {input.losses} --claims {input.claims} --world {input.world}"
        " --comparisons {input.comparisons} --bed {input.bed} --alignment {input.alignment}"
        " --published {input.published} --identity {input.identity} --config {input.config} --out {output.page}"
        " > {log} 2>&1"
