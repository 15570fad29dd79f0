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
        command=lambda w, input, output, threads: align_command(
            w.aligner, input.source, input.target, output.aligned, threads, input.moments
        ),
    shell:
        "revision {params.command} > {log} 2>&1"
