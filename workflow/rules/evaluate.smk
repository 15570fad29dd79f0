# Score all checkpoints of one replicate with lmms-eval in one process, after Stage 1 (zero-shot) and after Stage 2:
# suites and captions. Photographs have captions alone.

SCORED = {} if PHOTOS else {"answers": f"{WORK}/answers/{REPLICATE}.parquet"}
if CONFIG.evaluation.suites.captions:
    SCORED["captions"] = f"{WORK}/captions/{REPLICATE}.parquet"


rule evaluate:
    input:
        settings=lambda w: evaluation_settings(w.draw, w.seed),
        checkpoints=lambda w: checkpoints(w.draw, w.seed).values(),
        tasks=f"{WORK}/tasks",
        encoder=lambda w: encoder_of(w.draw),
    output:
        **SCORED,
    log:
        f"{WORK}/logs/evaluate/{REPLICATE}.log",
    benchmark:
        f"{WORK}/benchmarks/evaluate/{REPLICATE}.tsv"
    params:
        outputs=lambda w, output: options(dict(output.items())),
    shell:
        "revision evaluate --config {input.settings} --tasks {input.tasks} --encoder {input.encoder} {params.outputs}"
        " > {log} 2>&1"
