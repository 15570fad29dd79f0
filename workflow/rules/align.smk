# Fit an aligner on the unpaired texts and the reference images, and align the texts (section 4).


rule align:
    input:
        source=f"{WORK}/embeddings/{{draw}}/{{captions}}",
        target=lambda w: embeddings("reference", "image", w.draw),
        moments=lambda w: known_moments(w.draw, w.captions, "reference_image"),
    output:
        aligned=directory(f"{WORK}/aligned/{{draw}}/{{aligner}}_{{captions}}"),
    log:
        f"{WORK}/logs/align/{{draw}}/{{aligner}}_{{captions}}.log",
    benchmark:
        f"{WORK}/benchmarks/align/{{draw}}/{{aligner}}_{{captions}}.tsv"
    priority: 50
    params:
        method=lambda w: CONFIG.aligners[w.aligner].method,
        params=lambda w: [
            f"--param {name}={json.dumps(value)}" for name, value in CONFIG.aligners[w.aligner].params.items()
        ],
        moments=lambda w, input: (
            [f"--{side}-moments {path}" for side, path in zip(("source", "target"), input.moments)]
        ),
    shell:
        "revision align {input.source} {output.aligned} --target {input.target} --method {params.method}"
        " {params.params} {params.moments} --threads {threads} --force > {log} 2>&1"
