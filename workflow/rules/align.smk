# Fit an aligner on the unpaired texts and the reference images, and align the texts (section 4).


def align_command(aligner, source, target, out, threads, moments=()):
    """Return the command, without `revision`, that fits an aligner and aligns an embedding set; `moments` may be known."""
    method, params = CONFIG.aligners[aligner].method, CONFIG.aligners[aligner].params
    known = dict(zip(("source_moments", "target_moments"), moments))
    given = options({"target": target, "method": method, "threads": threads, **known})
    params = shlex.join(f"--param={name}={json.dumps(value)}" for name, value in params.items())
    return f"align {source} {out} {given} {params} --force"


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
