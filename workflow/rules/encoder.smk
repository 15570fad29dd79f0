# The dual encoder and the language models.

if not isinstance(CONFIG.encoder, EncoderFile):

    rule encoder:
        input:
            settings=settings_file("encoder", EncoderSections(encoder=CONFIG.encoder, world=CONFIG.world)),
            table=f"{WORK}/data/encoder.parquet" if PHOTOS else [],
        output:
            encoder=directory(f"{WORK}/encoder/{{draw}}"),
        log:
            f"{WORK}/logs/encoder/{{draw}}.log",
        benchmark:
            f"{WORK}/benchmarks/encoder/{{draw}}.tsv"
        priority: 100
        shell:
            f"revision train-encoder --config {{input.settings}}{TABLE} --seed {{wildcards.draw}} --out {{output.encoder}}"
            " > {log} 2>&1"


LANGUAGE_MODEL_SETTINGS = {
    name: settings_file(f"llm/{name}", LanguageModelSections(llm=model, world=CONFIG.world))
    for name, model in CONFIG.llm.items()
}


# Trained here from scratch, or taken from an installed package or the Hugging Face hub.
rule language_model:
    input:
        settings=lambda w: LANGUAGE_MODEL_SETTINGS[w.llm],
        table=lambda w: (f"{WORK}/data/reading.parquet" if isinstance(CONFIG.llm[w.llm], TrainedModel) else []),
    output:
        llm=directory(f"{WORK}/llm/{{llm}}"),
    log:
        f"{WORK}/logs/llm/{{llm}}.log",
    benchmark:
        f"{WORK}/benchmarks/llm/{{llm}}.tsv"
    priority: 100
    params:
        table=lambda w, input: f"--table {input.table}" if input.table else "",
        seed=0,
    shell:
        "revision language-model --config {input.settings} {params.table} --seed {params.seed} --out {output.llm}"
        " > {log} 2>&1"
