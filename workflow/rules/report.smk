# Figures, tables and the report page.

FIGURES = {"figure_3": RESULTS + "/figures/figure_3.csv"}
TABLES = {name: f"{RESULTS}/tables/{name}.csv" for name in config["tables"]}


rule figure_03:
    input:
        aligned=expand(WORK + "/aligned/{aligner}_{column}/manifest.json", aligner=config["aligners"], column=["short", "long"]),
        reference=embeddings("reference", "image"),
        probe=[embeddings("probe", column) for column in ("image", "short", "long")],
        published="config/published.yaml",
    output:
        FIGURES["figure_3"],
        RESULTS + "/figures/figure_3.png",
        RESULTS + "/figures/figure_3.pdf",
    params:
        work=WORK,
        aligners=list(config["aligners"]),
        seeds=SEEDS,
    log:
        WORK + "/logs/figure_3.log",
    benchmark:
        WORK + "/benchmarks/figure_3.tsv"
    shell:
        "python analysis/figure_03_gap.py {params.work} --aligners {params.aligners} --seeds {params.seeds}"
        " --published {input.published} --out {output[0]} > {log} 2>&1"


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
