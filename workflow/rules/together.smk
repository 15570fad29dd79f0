# With `trainings_together`: one process embeds all that the trainings and the dose study of an encoder draw read, and
# one aligns it. The first draw is embedded set by set: figures read its sets, and one figure alone does not need all.

READ = read_by_trainings("{draw}")
ALIGNED = {
    aligned(variant, captions, "{draw}"): (variant.aligner, captions)
    for variant in CONFIG.variants.values()
    for captions in (variant.captions, CaptionSet("instruct", "full"))
    if aligned(variant, captions, "{draw}") in READ
}
TEXTS = [embeddings_of(captions, "{draw}") for _, captions in ALIGNED.values()]
TARGET = embeddings("reference", "image", "{draw}")
EMBEDDED = {
    path: CaptionSet.parse(Path(path).name)
    for path in [*READ, *TEXTS, TARGET]
    if path.startswith(f"{WORK}/embeddings/")
}

if TOGETHER and SHARDS_OF_SET == 1 and ALIGNED:

    ruleorder: embed_together > embed
    ruleorder: align_together > align

    rule embed_together:
        """All embedding sets of an encoder draw, except the first draw's."""
        input:
            tables=[corpus_of(captions) for captions in EMBEDDED.values()],
            encoder=lambda w: encoder_of(w.draw),
        output:
            [directory(path) for path in EMBEDDED],
        log:
            f"{WORK}/logs/embed/{{draw}}.log",
        benchmark:
            f"{WORK}/benchmarks/embed/{{draw}}.tsv"
        wildcard_constraints:
            draw="|".join(map(str, ENCODER_SEEDS[1:])) or "none",
        priority: 50
        params:
            commands=lambda w, input, output: [
                embed_command(captions, table, input.encoder, out)
                for captions, table, out in zip(EMBEDDED.values(), input.tables, output)
            ],
        shell:
            "revision batch {params.commands:q} > {log} 2>&1"

    rule align_together:
        """All aligned sets of an encoder draw."""
        input:
            sources=TEXTS,
            target=TARGET,
        output:
            [directory(path) for path in ALIGNED],
        log:
            f"{WORK}/logs/align/{{draw}}.log",
        benchmark:
            f"{WORK}/benchmarks/align/{{draw}}.tsv"
        priority: 50
        params:
            commands=lambda w, input, output, threads: [
                align_command(aligner, source, input.target, out, threads)
                for (aligner, _), source, out in zip(ALIGNED.values(), input.sources, output)
            ],
        shell:
            "revision batch {params.commands:q} > {log} 2>&1"
