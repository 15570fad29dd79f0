# Held-out pairs before and after alignment. Each aligner is fitted once; several figures read the result.

# The mean shift, and C3 without noise, equal the first step of ReAlign, so the figures omit them.
SHOWN = [name for name in CONFIG.aligners if name not in ("mean_shift", "c3_clean")]
ALIGNERS = settings_file("aligners", AlignerSections(aligners=CONFIG.aligners))
MEASURED = {"short": SHOWN, "long": ["identity", "realign"]}


rule measure:
    """Held-out pairs before and after each aligner."""
    input:
        text=f"{WORK}/embeddings/{FIRST}/text_{{captions}}",
        image=embeddings("reference", "image"),
        probe_text=f"{WORK}/embeddings/{FIRST}/probe_{{captions}}",
        probe_image=lambda w: images_of_probe(w.captions),
        aligners=ALIGNERS,
    output:
        directory(f"{WORK}/held_out/{{captions}}"),
    log:
        f"{WORK}/logs/measure/{{captions}}.log",
    benchmark:
        f"{WORK}/benchmarks/measure/{{captions}}.tsv"
    wildcard_constraints:
        captions="|".join(MEASURED),
    params:
        names=lambda w: [f"--name {name}" for name in MEASURED[w.captions]],
    shell:
        "revision measure --text {input.text} --image {input.image} --probe-text {input.probe_text}"
        " --probe-image {input.probe_image} --aligners {input.aligners} {params.names} --out {output} > {log} 2>&1"
