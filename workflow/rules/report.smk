# The figures that a scale reports, the verdicts on the claims, and the page.

try:
    CHOSEN = CONFIG.chosen_figures(list(PANELS))
except RevisionError as error:
    sys.exit(f"error: {error}")

REPORTED = [f"{RESULTS}/figures/{name}.csv" for name in CHOSEN]


def claim_sources(wildcards):
    """The tables that the claims read, as far as this scale makes them."""
    further = [path for name in {PANELS[name] for name in CHOSEN} for path in FIGURES[name].also.values()]
    made = {*REPORTED, *further, *TABLES.values(), LOSSES, WORLD_FACTS, f"{RESULTS}/tables/pairs.csv"}
    claims = yaml.safe_load(Path("config/claims.yaml").read_text(encoding="utf-8"))
    read = [one.get("source", "tables/pairs.csv") for claim in claims for one in claim["criteria"]]
    return [path for path in dict.fromkeys(f"{RESULTS}/{source}" for source in read) if path in made]


rule claims:
    """A verdict for each claim."""
    input:
        claims="config/claims.yaml",
        sources=claim_sources,
    output:
        f"{RESULTS}/tables/claims.csv",
    log:
        f"{WORK}/logs/claims.log",
    benchmark:
        f"{WORK}/benchmarks/claims.tsv"
    params:
        results=RESULTS,
        scale=CONFIG.scale,
    shell:
        "python analysis/claims.py --results {params.results} --claims {input.claims} --scale {params.scale}"
        " --out {output} > {log} 2>&1"


rule report:
    """The report page."""
    input:
        figures=REPORTED,
        tables=TABLES.values(),
        table_1=f"{RESULTS}/tables/table_1.csv",
        gap=f"{RESULTS}/figures/figure_3.csv",
        losses=LOSSES,
        claims=f"{RESULTS}/tables/claims.csv",
        world=WORLD_FACTS,
        published="config/published.yaml",
        identity=[
            *(f"{WORK}/data/{table}.parquet" for table in ("text", "reference", "probe", "instruct")),
            ENCODER,
            *ANSWERS,
        ],
    output:
        f"{RESULTS}/report.html",
    log:
        f"{WORK}/logs/report.log",
    params:
        config=CONFIG.model_dump_json(),
    shell:
        "python analysis/report.py --figures {input.figures} --tables {input.tables} --table-1 {input.table_1}"
        " --gap {input.gap} --losses {input.losses} --claims {input.claims} --world {input.world}"
        " --published {input.published} --identity {input.identity} --config {params.config:q} --out {output}"
        " > {log} 2>&1"
