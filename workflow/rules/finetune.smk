# Stage 2, visual instruction tuning on real pictures: the same questions, order and budget for every variant.


def stage2_start(wildcards):
    chosen = variant(config, wildcards.variant)
    if chosen["source"] == "none":
        return f"{WORK}/llm/{chosen['llm']}/manifest.json"
    return f"{WORK}/stage1/{stage1_of(config, wildcards.variant)}/seed{wildcards.seed}/manifest.json"


rule finetune:
    input:
        start=stage2_start,
        embeddings=embeddings("instruct", "image"),
        instructions=WORK + "/data/instruct.parquet",
        validation_embeddings=embeddings("validation_instruct", "image"),
        validation=WORK + "/data/validation_instruct.parquet",
    output:
        WORK + "/stage2/{variant}/seed{seed}/manifest.json",
    params:
        folder=WORK + "/stage2/{variant}/seed{seed}",
        start=lambda w, input: folder(input.start),
        embeddings=lambda w, input: (folder(input.embeddings) if variant(config, w.variant)["visual"] else "none"),
        validation=lambda w, input: folder(input.validation_embeddings),
        share=lambda w: variant(config, w.variant)["share"],
        settings=settings("stage2"),
    log:
        WORK + "/logs/stage2/{variant}_seed{seed}.log",
    benchmark:
        WORK + "/benchmarks/stage2/{variant}_seed{seed}.tsv"
    shell:
        launched(
            "stage2",
            "revision finetune --start {params.start} --embeddings {params.embeddings} --instructions {input.instructions}"
            " --validation-embeddings {params.validation} --validation-instructions {input.validation}"
            " --share {params.share} --settings {params.settings:q} --seed {wildcards.seed}"
            " --out {params.folder} > {log} 2>&1",
        )
