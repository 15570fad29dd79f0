# Stage 1, modality substitution pretraining: train the projector on aligned texts (for `paired`, on images).


rule pretrain:
    input:
        settings=settings_file("stage1", CONFIG.stage1),
        llm=lambda w: f"{WORK}/llm/{CONFIG.variants[w.variant].llm}",
        embeddings=stage1_embeddings,
        captions=lambda w: corpus_of(captions_of(w)),
        validation_embeddings=lambda w: embeddings_of(CONFIG.images_of(validation_of(w))),
        validation_captions=lambda w: corpus_of(validation_of(w)),
    output:
        checkpoint=directory(f"{WORK}/stage1/{{variant}}/seed{{seed}}"),
    log:
        f"{WORK}/logs/stage1/{{variant}}_seed{{seed}}.log",
    benchmark:
        f"{WORK}/benchmarks/stage1/{{variant}}_seed{{seed}}.tsv"
    params:
        column=lambda w: captions_of(w).column,
    shell:
        launched(
            "stage1",
            "revision pretrain --llm {input.llm} --embeddings {input.embeddings} --captions {input.captions}"
            " --column {params.column} --validation-embeddings {input.validation_embeddings}"
            " --validation-captions {input.validation_captions} --config {input.settings} --seed {wildcards.seed}"
            " --out {output.checkpoint} > {log} 2>&1",
        )
