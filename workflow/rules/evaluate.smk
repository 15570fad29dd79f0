# Score all checkpoints of one seed with lmms-eval in one process, after Stage 1 (zero-shot) and after Stage 2.

EVALUATION_SETTINGS = {seed: evaluation_settings(seed) for seed in SEEDS}


rule evaluate:
    input:
        settings=lambda w: EVALUATION_SETTINGS[int(w.seed)],
        checkpoints=lambda w: checkpoints(w.seed).values(),
        tasks=f"{WORK}/tasks",
        encoder=ENCODER,
    output:
        answers=f"{WORK}/answers/seed{{seed}}.parquet",
    log:
        f"{WORK}/logs/evaluate/seed{{seed}}.log",
    benchmark:
        f"{WORK}/benchmarks/evaluate/seed{{seed}}.tsv"
    shell:
        "revision evaluate --config {input.settings} --tasks {input.tasks} --encoder {input.encoder}"
        " --answers {output.answers} > {log} 2>&1"
