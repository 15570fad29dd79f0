# Contrastive training under observation (figure 1), and what makes the gap stay.

SHARDS = config["dynamics"]["shards"]


rule dynamics:
    output:
        [WORK + "/dynamics/seed{seed}/" + name for name in ("manifest.json", "series.csv", "summary.json", "timing.json")],
    params:
        folder=WORK + "/dynamics/seed{seed}",
        launcher=SHARDS["launcher"],
        shards=f"--shards '{SHARDS['files']}'" if SHARDS["files"] else "",
        settings=settings("dynamics", "shards", "training") if SHARDS["files"] else settings("dynamics", "training"),
        monitor=settings("dynamics", "monitor"),
        world=settings("world"),
    log:
        WORK + "/logs/dynamics/seed{seed}.log",
    benchmark:
        WORK + "/benchmarks/dynamics/seed{seed}.tsv"
    shell:
        "{params.launcher} revision dynamics {params.shards} --settings {params.settings:q} --monitor {params.monitor:q}"
        " --world {params.world:q} --seed {wildcards.seed} --threads {threads} --out {params.folder} > {log} 2>&1"


rule gap_causes:
    output:
        WORK + "/gap_causes/seed{seed}.csv",
    params:
        settings=settings("dynamics", "causes"),
        world=settings("world"),
    log:
        WORK + "/logs/gap_causes/seed{seed}.log",
    benchmark:
        WORK + "/benchmarks/gap_causes/seed{seed}.tsv"
    shell:
        "revision gap-causes --settings {params.settings:q} --world {params.world:q} --seed {wildcards.seed}"
        " --out {output} > {log} 2>&1"


rule figure_1:
    """The gap during contrastive training."""
    input:
        expand(WORK + "/dynamics/seed{seed}/manifest.json", seed=SEEDS),
    output:
        figures("figure_1"),
        summary=RESULTS + "/figures/figure_1_summary.csv",
    params:
        runs=lambda w, input: [folder(path) for path in input],
    log:
        WORK + "/logs/figure_1.log",
    benchmark:
        WORK + "/benchmarks/figure_1.tsv"
    shell:
        "python analysis/figure_01_dynamics.py {params.runs} --summary {output.summary} --out {output[0]} > {log} 2>&1"


rule figure_gap_causes:
    """What keeps the gap open."""
    input:
        expand(WORK + "/gap_causes/seed{seed}.csv", seed=SEEDS),
    output:
        figures("figure_gap_causes"),
        effects=RESULTS + "/tables/gap_causes.csv",
    log:
        WORK + "/logs/figure_gap_causes.log",
    benchmark:
        WORK + "/benchmarks/figure_gap_causes.tsv"
    shell:
        "python analysis/figure_gap_causes.py {input} --effects {output.effects} --out {output[0]} > {log} 2>&1"
