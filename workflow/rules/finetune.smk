# Stage 2, visual instruction tuning on images: every variant has the same questions, order and budget.


rule finetune:
    input:
        unpack(stage2_images),
        settings=settings_file("stage2", CONFIG.stage2),
        start=stage2_start,
        instructions=f"{WORK}/data/instruct.parquet",
        validation_instructions=f"{WORK}/data/validation_instruct.parquet",
    output:
        checkpoint=directory(f"{WORK}/stage2/{{variant}}/seed{{seed}}"),
    log:
        f"{WORK}/logs/stage2/{{variant}}_seed{{seed}}.log",
    benchmark:
        f"{WORK}/benchmarks/stage2/{{variant}}_seed{{seed}}.tsv"
    params:
        images=lambda w, input: (
            f"--embeddings {input.embeddings} --validation-embeddings {input.validation_embeddings}"
            if CONFIG.variants[w.variant].visual
            else ""
        ),
        share=lambda w: CONFIG.variants[w.variant].share,
    shell:
        launched(
            "stage2",
            "revision finetune --start {input.start} {params.images} --instructions {input.instructions}"
            " --validation-instructions {input.validation_instructions} --share {params.share}"
            " --config {input.settings} --seed {wildcards.seed} --out {output.checkpoint} > {log} 2>&1",
        )
