# Facts of the world and the report page.

rule world_facts:
    input:
        probe=[embeddings("probe", column) for column in ("image", "short", "long")] + [embeddings_of(CONFIG.images_of(PROBE_LONG))],
    output:
        RESULTS + "/tables/world.csv",
    params:
        work=WORK,
    log:
        WORK + "/logs/world.log",
    benchmark:
        WORK + "/benchmarks/world.tsv"
    shell:
        "python analysis/world.py {params.work} --out {output} > {log} 2>&1"


try:
    CHOSEN = CONFIG.chosen_figures(FIGURES)
except RevisionError as error:
    sys.exit(f"error: {error}")

# The other scale's tables are there only if it has been run.
if not Path(f"results/{CONFIG.beside}/figures/figure_3.csv").is_file():
    CHOSEN = [name for name in CHOSEN if name != "real_parts"]
REPORTED = [FIGURES[name] for name in CHOSEN]


rule report:
    input:
        figures=REPORTED,
        tables=TABLES.values(),
        losses=RESULTS + "/tables/stage1_caption_loss.csv",
        claims=RESULTS + "/tables/claims.csv",
        world=RESULTS + "/tables/world.csv",
        scores=expand(WORK + "/scores/seed{seed}.parquet", seed=SEEDS),
    output:
        page=RESULTS + "/report.html",
        durations=RESULTS + "/tables/durations.csv",
    params:
        results=RESULTS,
        config=lambda w: CONFIG.model_dump_json(exclude_none=True),
    log:
        WORK + "/logs/report.log",
    shell:
        "python analysis/report.py {params.results} --config {params.config:q}"
        " --durations {output.durations} --out {output.page} > {log} 2>&1"
