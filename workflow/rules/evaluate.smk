# Score all checkpoints of one replicate with lmms-eval in one process, after Stage 1 (zero-shot) and after Stage 2.


rule evaluate:
    input:
        settings=lambda w: evaluation_settings(w.draw, w.seed),
        checkpoints=lambda w: checkpoints(w.draw, w.seed).values(),
        tasks=f"{WORK}/tasks",
        encoder=lambda w: encoder_of(w.draw),
    output:
        answers=f"{WORK}/answers/{REPLICATE}.parquet",
    log:
        f"{WORK}/logs/evaluate/{REPLICATE}.log",
    benchmark:
        f"{WORK}/benchmarks/evaluate/{REPLICATE}.tsv"
    shell:
        "revision evaluate --config {input.settings} --tasks {input.tasks} --encoder {input.encoder}"
        " --answers {output.answers} > {log} 2>&1"
