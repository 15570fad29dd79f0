# Embed the images and texts of the corpus tables: one job per set, or one for each part of a large table.

SHARDS_OF_SET = CONFIG.embed.shards

if SHARDS_OF_SET == 1:

    rule embed:
        input:
            table=lambda w: corpus_of(CaptionSet.parse(w.captions)),
            encoder=lambda w: encoder_of(w.draw),
        output:
            embeddings=directory(f"{WORK}/embeddings/{{draw}}/{{captions}}"),
        log:
            f"{WORK}/logs/embed/{{draw}}/{{captions}}.log",
        benchmark:
            f"{WORK}/benchmarks/embed/{{draw}}/{{captions}}.tsv"
        priority: 50
        params:
            command=lambda w, input, output: embed_command(CaptionSet.parse(w.captions), *input, *output),
        shell:
            "revision {params.command} > {log} 2>&1"

else:

    rule embed:
        input:
            table=lambda w: corpus_of(CaptionSet.parse(w.captions)),
            encoder=lambda w: encoder_of(w.draw),
        output:
            embeddings=directory(f"{WORK}/parts/{{draw}}/{{captions}}/{{part}}"),
            moments=f"{WORK}/parts/{{draw}}/{{captions}}/{{part}}.npz",
        log:
            f"{WORK}/logs/embed/{{draw}}/{{captions}}_{{part}}.log",
        benchmark:
            f"{WORK}/benchmarks/embed/{{draw}}/{{captions}}_{{part}}.tsv"
        wildcard_constraints:
            part=r"\d+",
        priority: 50
        params:
            column=lambda w: CaptionSet.parse(w.captions).column,
            parts=SHARDS_OF_SET,
        shell:
            "(revision embed {input.table} --encoder {input.encoder} --column {params.column}"
            " --part {wildcards.part} --parts {params.parts} --out {output.embeddings}"
            " && revision stats {output.embeddings} --threads {threads} --covariance --save {output.moments}) > {log} 2>&1"

    rule merge_embeddings:
        input:
            embeddings=expand(f"{WORK}/parts/{{{{draw}}}}/{{{{captions}}}}/{{part}}", part=range(SHARDS_OF_SET)),
            moments=expand(
                f"{WORK}/parts/{{{{draw}}}}/{{{{captions}}}}/{{part}}.npz",
                part=range(SHARDS_OF_SET),
            ),
        output:
            embeddings=directory(f"{WORK}/embeddings/{{draw}}/{{captions}}"),
            moments=f"{WORK}/moments/{{draw}}/{{captions}}.npz",
        log:
            f"{WORK}/logs/embed/{{draw}}/{{captions}}.log",
        benchmark:
            f"{WORK}/benchmarks/embed/{{draw}}/{{captions}}.tsv"
        priority: 50
        shell:
            "(revision merge {input.embeddings} --out {output.embeddings} --force"
            " && revision merge {input.moments} --out {output.moments} --force) > {log} 2>&1"
