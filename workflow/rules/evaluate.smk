# Score all checkpoints of one seed with lmms-eval in one process, after Stage 1 (zero-shot) and after Stage 2: suites
# and, for generated scenes, captions.

EVALUATION_SETTINGS = {seed: evaluation_settings(seed) for seed in SEEDS}
SCORED = {"answers": f"{WORK}/answers/seed{{seed}}.parquet"}
if isinstance(CONFIG.evaluation.suites, SceneSuites):
    SCORED["captions"] = f"{WORK}/captions/seed{{seed}}.parquet"


rule evaluate:
    input:
        settings=lambda w: EVALUATION_SETTINGS[int(w.seed)],
        checkpoints=lambda w: checkpoints(w.seed).values(),
        tasks=f"{WORK}/tasks",
        encoder=ENCODER,
    output:
        **SCORED,
    log:
        f"{WORK}/logs/evaluate/seed{{seed}}.log",
    benchmark:
        f"{WORK}/benchmarks/evaluate/seed{{seed}}.tsv"
    params:
        outputs=lambda w, output: options(dict(output.items())),
    shell:
        "revision evaluate --config {input.settings} --tasks {input.tasks} --encoder {input.encoder} {params.outputs}"
        " > {log} 2>&1"
