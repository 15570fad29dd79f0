# lmms-eval scores every checkpoint of one seed in one process, after Stage 1 (zero-shot) and after Stage 2.


def checkpoints(wildcards):
    stage2 = [f"{WORK}/stage2/{name}/seed{wildcards.seed}/manifest.json" for name in VARIANTS]
    starts = dict.fromkeys(stage1_of(config, name) for name in VARIANTS)
    stage1 = [f"{WORK}/stage1/{name}/seed{wildcards.seed}/manifest.json" for name in starts if name]
    return stage1 + stage2


def named_checkpoints(wildcards, input):
    words = []
    for path in input.checkpoints:
        stage, name = path.split("/")[-4:-2]
        blind = "" if variant(config, name)["visual"] else "blind:"
        words.append(f"{blind}{stage}/{name}={folder(path)}")
    return words


rule evaluate:
    input:
        checkpoints=checkpoints,
        tasks=WORK + "/tasks",
        encoder=ENCODER_READY,
    output:
        answers=WORK + "/answers/seed{seed}.parquet",
    params:
        checkpoints=named_checkpoints,
        encoder=ENCODER,
        precision=config["evaluation"]["precision"],
    log:
        WORK + "/logs/evaluate/seed{seed}.log",
    benchmark:
        WORK + "/benchmarks/evaluate/seed{seed}.tsv"
    shell:
        "revision evaluate {params.checkpoints} --tasks {input.tasks} --encoder {params.encoder} --precision {params.precision}"
        " --answers {output.answers} --seed {wildcards.seed} > {log} 2>&1"
