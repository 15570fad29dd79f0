# Figures, tables and the report page.

TABLES = {name: f"{RESULTS}/tables/{name}.csv" for name in config["tables"]}


rule table_alignment:
    input:
        scores=expand(WORK + "/scores/seed{seed}.parquet", seed=SEEDS),
        answers=expand(WORK + "/answers/seed{seed}.parquet", seed=SEEDS),
        published="config/published.yaml",
    output:
        RESULTS + "/tables/table_1.csv",
        RESULTS + "/tables/table_1.png",
        RESULTS + "/tables/table_1.pdf",
    params:
        work=WORK,
        variants=config["tables"]["table_1"],
        seeds=SEEDS,
    log:
        WORK + "/logs/table_1.log",
    benchmark:
        WORK + "/benchmarks/table_1.tsv"
    shell:
        "python analysis/table_1_alignment.py {params.work} --variants {params.variants} --seeds {params.seeds}"
        " --published {input.published} --out {output[0]} > {log} 2>&1"


rule world_facts:
    input:
        probe=[embeddings("probe", column) for column in ("image", "short", "long")],
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


rule report:
    input:
        figures=FIGURES.values(),
        tables=TABLES.values(),
        world=RESULTS + "/tables/world.csv",
        scores=expand(WORK + "/scores/seed{seed}.parquet", seed=SEEDS),
    output:
        RESULTS + "/report.html",
    params:
        results=RESULTS,
        config=lambda w: json.dumps(config, sort_keys=True),
    log:
        WORK + "/logs/report.log",
    shell:
        "python analysis/report.py {params.results} --config {params.config:q} --out {output} > {log} 2>&1"
