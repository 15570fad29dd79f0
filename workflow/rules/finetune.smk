# Stage 2, visual instruction tuning: every variant has the same questions, order and budget.


rule finetune:
    input:
        unpack(lambda w: training_inputs("stage2", FinetuneSections, stage2_training, w)),
    output:
        trained_by_a_job("stage2"),
    log:
        f"{WORK}/logs/stage2/{JOB}.log",
    benchmark:
        f"{WORK}/benchmarks/stage2/{JOB}.tsv"
    shell:
        launched("stage2", "revision finetune --config {input.settings} > {log} 2>&1")
