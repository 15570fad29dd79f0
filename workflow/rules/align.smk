# An aligner is fitted on the unpaired texts and the reference pictures, and moves the texts.


rule align:
    input:
        source=f"{WORK}/embeddings/{{captions}}",
        target=embeddings("reference", "image"),
        moments=lambda w: known_moments(w.captions, "reference_image"),
    output:
        aligned=directory(WORK + "/aligned/{aligner}_{captions}"),
        fitted=directory(WORK + "/aligners/{aligner}_{captions}"),
    params:
        method=lambda w: CONFIG.aligners[w.aligner].method,
        params=lambda w: " ".join(
            f"--param {name}={json.dumps(value)}"
            for name, value in CONFIG.aligners[w.aligner].params.items()
        ),
    priority: 50
    log:
        WORK + "/logs/align/{aligner}_{captions}.log",
    benchmark:
        WORK + "/benchmarks/align/{aligner}_{captions}.tsv"
    shell:
        "revision align {input.source} {output.aligned} --target {input.target} --method {params.method}"
        " {params.params} --save {output.fitted} --threads {threads} --force"
        + (" --source-moments {input.moments[0]} --target-moments {input.moments[1]}" if SHARDS_OF_SET > 1 else "")
        + " > {log} 2>&1"
