# Contrastive training under observation (figure 1), and the causes of the gap.


# The outputs are files and not their folder, because Snakemake would delete the saved state in it before a rerun.
rule dynamics:
    input:
        settings=settings_file(
            "dynamics",
            DynamicsSections(
                training=CONFIG.dynamics.training,
                monitor=CONFIG.dynamics.monitor,
                world=CONFIG.world,
            ),
        ),
    output:
        manifest=f"{WORK}/dynamics/seed{{seed}}/manifest.json",
        series=f"{WORK}/dynamics/seed{{seed}}/series.csv",
        summary=f"{WORK}/dynamics/seed{{seed}}/summary.json",
        timing=f"{WORK}/dynamics/seed{{seed}}/timing.json",
        encoder=directory(f"{WORK}/dynamics/seed{{seed}}/encoder"),
    log:
        f"{WORK}/logs/dynamics/seed{{seed}}.log",
    benchmark:
        f"{WORK}/benchmarks/dynamics/seed{{seed}}.tsv"
    params:
        folder=f"{WORK}/dynamics/seed{{seed}}",
    shell:
        launched(
            "dynamics",
            "revision dynamics --config {input.settings} --seed {wildcards.seed} --threads {threads}"
            " --out {params.folder} > {log} 2>&1",
        )


rule gap_causes:
    input:
        settings=settings_file(
            "gap_causes",
            CausesSections(causes=CONFIG.dynamics.causes, world=CONFIG.world),
        ),
        tables=[f"{WORK}/data/{table}.parquet" for table in ("encoder", "probe")] if PHOTOS else [],
    output:
        table=f"{WORK}/gap_causes/seed{{seed}}.csv",
    log:
        f"{WORK}/logs/gap_causes/seed{{seed}}.log",
    benchmark:
        f"{WORK}/benchmarks/gap_causes/seed{{seed}}.tsv"
    shell:
        "revision gap-causes --config {input.settings}"
        + (" --tables {input.tables}" if PHOTOS else "")
        + " --seed {wildcards.seed} --out {output.table} > {log} 2>&1"
