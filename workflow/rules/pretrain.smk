# Stage 1, modality substitution pretraining: the projector learns to read aligned texts (or, for `paired`, pictures).


def stage1_embeddings(wildcards):
    chosen = variant(config, wildcards.variant)
    if chosen["source"] == "image":
        return embeddings(of_text(captions_of(wildcards.variant))[0], "image")
    return f"{WORK}/aligned/{chosen['aligner']}_{captions_of(wildcards.variant)}/manifest.json"


rule pretrain:
    input:
        llm=lambda w: f"{WORK}/llm/{variant(config, w.variant)['llm']}/manifest.json",
        embeddings=stage1_embeddings,
        captions=lambda w: corpus_of(*of_text(captions_of(w.variant))),
        validation_embeddings=lambda w: pictures_of("validation", of_text(captions_of(w.variant))[1]),
        validation=lambda w: corpus_of("validation", of_text(captions_of(w.variant))[1]),
    output:
        WORK + "/stage1/{variant}/seed{seed}/manifest.json",
    params:
        folder=WORK + "/stage1/{variant}/seed{seed}",
        llm=lambda w, input: folder(input.llm),
        embeddings=lambda w, input: folder(input.embeddings),
        validation=lambda w, input: folder(input.validation_embeddings),
        column=lambda w: of_text(captions_of(w.variant))[1],
        settings=settings("stage1"),
    log:
        WORK + "/logs/stage1/{variant}_seed{seed}.log",
    benchmark:
        WORK + "/benchmarks/stage1/{variant}_seed{seed}.tsv"
    shell:
        launched(
            "stage1",
            "revision pretrain --llm {params.llm} --embeddings {params.embeddings} --captions {input.captions}"
            " --column {params.column} --validation-embeddings {params.validation}"
            " --validation-captions {input.validation} --settings {params.settings:q} --seed {wildcards.seed}"
            " --out {params.folder} > {log} 2>&1",
        )
