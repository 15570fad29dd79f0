# Facts of the world and the report page.

rule world_facts:
    """Facts about the data and the encoder."""
    input:
        probe=[embeddings("probe", column) for column in ("image", "short", "long")] + [pictures_of("probe", "long")],
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
    CHOSEN = chosen_figures(config, FIGURES)
except RevisionError as error:
    sys.exit(f"error: {error}")

# The other scale's tables are there only if it has been run.
if not Path(f"reference/{config.get('beside')}/figures/figure_3.csv").is_file():
    CHOSEN = [name for name in CHOSEN if name != "real_parts"]
REPORTED = [FIGURES[name] for name in CHOSEN]


rule report:
    """The report page."""
    input:
        figures=REPORTED,
        tables=TABLES.values(),
        losses=RESULTS + "/tables/stage1_caption_loss.csv",
        claims=RESULTS + "/tables/claims.csv",
        world=RESULTS + "/tables/world.csv",
        answers=ANSWERS,
    output:
        page=RESULTS + "/report.html",
    params:
        results=RESULTS,
        config=lambda w: json.dumps(config, sort_keys=True),
    log:
        WORK + "/logs/report.log",
    shell:
        "python analysis/report.py {params.results} --config {params.config:q} --out {output.page} > {log} 2>&1"
