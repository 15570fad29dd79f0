# The dual encoder, and the language models trained from scratch.


rule encoder:
    """Train the dual encoder."""
    output:
        WORK + "/encoder/manifest.json",
    params:
        folder=WORK + "/encoder",
        settings=settings("encoder"),
        world=settings("world"),
        seed=0,
    priority: 100
    log:
        WORK + "/logs/encoder.log",
    benchmark:
        WORK + "/benchmarks/encoder.tsv"
    shell:
        "revision train-encoder --settings {params.settings:q} --world {params.world:q} --seed {params.seed}"
        " --out {params.folder} > {log} 2>&1"


rule language_model:
    input:
        WORK + "/data/reading.parquet",
    output:
        WORK + "/llm/{size}/manifest.json",
    params:
        folder=WORK + "/llm/{size}",
        size=lambda w: settings("llm", "sizes", w.size),
        settings=lambda w: json.dumps(
            config["llm"]["training"] | config["llm"].get("training_of", {}).get(w.size, {}), sort_keys=True
        ),
        held=config["llm"]["validation_rows"],
        world=settings("world"),
        seed=0,
    priority: 100
    log:
        WORK + "/logs/llm/{size}.log",
    benchmark:
        WORK + "/benchmarks/llm/{size}.tsv"
    shell:
        "revision train-language {input} --size {params.size:q} --settings {params.settings:q}"
        " --validation-rows {params.held} --world {params.world:q} --seed {params.seed}"
        " --out {params.folder} > {log} 2>&1"
