# Pictures and texts of a corpus table to embedding shards.


rule embed:
    input:
        table=lambda w: corpus_of(w.table, w.column),
        encoder=ENCODER_READY,
    output:
        WORK + "/embeddings/{table}_{column}/manifest.json",
    params:
        encoder=ENCODER,
        folder=WORK + "/embeddings/{table}_{column}",
    priority: 50
    log:
        WORK + "/logs/embed/{table}_{column}.log",
    benchmark:
        WORK + "/benchmarks/embed/{table}_{column}.tsv"
    shell:
        "revision embed {input.table} --encoder {params.encoder} --column {wildcards.column}"
        " --out {params.folder} > {log} 2>&1"
