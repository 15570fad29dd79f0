# Stage 1, modality substitution pretraining: train the projector on aligned texts (for `paired`, on images).


rule pretrain:
    input:
        unpack(lambda w: training_inputs("stage1", PretrainSections, stage1_training, w)),
    output:
        trained_by_a_job("stage1"),
    log:
        f"{WORK}/logs/stage1/{JOB}.log",
    benchmark:
        f"{WORK}/benchmarks/stage1/{JOB}.tsv"
    shell:
        launched("stage1", "revision pretrain --config {input.settings} > {log} 2>&1")
