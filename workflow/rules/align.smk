# An aligner is fitted on the unpaired texts and the reference pictures, and moves the texts.


rule align:
    input:
        source=lambda w: embeddings(*of_text(w.captions)),
        target=embeddings("reference", "image"),
        moments=lambda w: known_moments(of_text(w.captions), ("reference", "image")),
    output:
        aligned=WORK + "/aligned/{aligner}_{captions}/manifest.json",
        fitted=directory(WORK + "/aligners/{aligner}_{captions}"),
    params:
        source=lambda w, input: folder(input.source),
        target=lambda w, input: folder(input.target),
        folder=WORK + "/aligned/{aligner}_{captions}",
        method=lambda w: config["aligners"][w.aligner]["method"],
        params=lambda w: " ".join(
            f"--param {name}={json.dumps(value)}"
            for name, value in config["aligners"][w.aligner].get("params", {}).items()
        ),
    priority: 50
    log:
        WORK + "/logs/align/{aligner}_{captions}.log",
    benchmark:
        WORK + "/benchmarks/align/{aligner}_{captions}.tsv"
    shell:
        "revision align {params.source} {params.folder} --target {params.target} --method {params.method}"
        " {params.params} --save {output.fitted} --threads {threads} --force"
        + (" --source-moments {input.moments[0]} --target-moments {input.moments[1]}" if SHARDS_OF_SET > 1 else "")
        + " > {log} 2>&1"
