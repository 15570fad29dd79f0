# Pictures and texts of a corpus table to embedding shards: one job a set, or one for each part of a large table.

SHARDS_OF_SET = config["embed"]["shards"]

if SHARDS_OF_SET == 1:

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

else:

    PART = WORK + "/parts/{table}_{column}/{part}"

    rule embed:
        input:
            table=lambda w: corpus_of(w.table, w.column),
            encoder=ENCODER_READY,
        output:
            manifest=PART + "/manifest.json",
            moments=PART + ".npz",
        params:
            encoder=ENCODER,
            folder=PART,
            parts=SHARDS_OF_SET,
        wildcard_constraints:
            part=r"\d+",
        priority: 50
        log:
            WORK + "/logs/embed/{table}_{column}_{part}.log",
        benchmark:
            WORK + "/benchmarks/embed/{table}_{column}_{part}.tsv"
        shell:
            "(revision embed {input.table} --encoder {params.encoder} --column {wildcards.column}"
            " --part {wildcards.part} --parts {params.parts} --out {params.folder}"
            " && revision stats {params.folder} --threads {threads} --covariance --save {output.moments}) > {log} 2>&1"

    rule merge_embeddings:
        input:
            sets=expand(PART + "/manifest.json", part=range(SHARDS_OF_SET), allow_missing=True),
            moments=expand(PART + ".npz", part=range(SHARDS_OF_SET), allow_missing=True),
        output:
            manifest=WORK + "/embeddings/{table}_{column}/manifest.json",
            moments=WORK + "/moments/{table}_{column}.npz",
        params:
            parts=lambda w, input: [folder(path) for path in input.sets],
            folder=WORK + "/embeddings/{table}_{column}",
        priority: 50
        log:
            WORK + "/logs/embed/{table}_{column}.log",
        benchmark:
            WORK + "/benchmarks/embed/{table}_{column}.tsv"
        shell:
            "(revision merge {params.parts} --out {params.folder} --force"
            " && revision merge {input.moments} --out {output.moments} --force) > {log} 2>&1"


def known_moments(*sets):
    """Files of moments of the sets (table, column), where embedding has made them."""
    return [f"{WORK}/moments/{table}_{column}.npz" for table, column in sets] if SHARDS_OF_SET > 1 else []
