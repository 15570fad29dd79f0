# Dose and response of the modality gap: all doses and aligners of one replicate in one process (docs/dose.md), and what
# each comparison of aligners can show, from embeddings alone.

# Embeddings of an encoder draw, and corpus tables.
DOSE_SETS = {
    "text": "text_short",
    "image": "text_image",
    "reference": "reference_image",
    "validation_image": "validation_image",
    "instruction_image": "instruct_image",
    "validation_instruction_image": "validation_instruct_image",
}
DOSE_TABLES = {
    "captions": "text",
    "validation_captions": "validation",
    "instructions": "instruct",
    "validation_instructions": "validation_instruct",
}
# Nothing without a study; a rule needs a list all the same.
DOSE_REPLICATES = [(e, s) for e in CONFIG.encoder_seeds for s in CONFIG.dose.seeds] if CONFIG.dose else []
DOSE_RESPONSES = [f"{WORK}/dose/encoder{e}_seed{s}.csv" for e, s in DOSE_REPLICATES]
DOSE_SETTINGS = {(encoder, seed): dose_settings(encoder, seed) for encoder, seed in DOSE_REPLICATES}


rule dose_replicate:
    """Responses to every dose, of one replicate."""
    input:
        unpack(lambda w: dose_inputs(w.encoder)),
        settings=lambda w: DOSE_SETTINGS[int(w.encoder), int(w.seed)],
    output:
        table=f"{WORK}/dose/encoder{{encoder}}_seed{{seed}}.csv",
    log:
        f"{WORK}/logs/dose/encoder{{encoder}}_seed{{seed}}.log",
    benchmark:
        f"{WORK}/benchmarks/dose/encoder{{encoder}}_seed{{seed}}.tsv"
    wildcard_constraints:
        encoder=r"\d+",
    shell:
        "revision dose --config {input.settings} --threads {threads} --out {output.table} > {log} 2>&1"


rule what_can_show:
    """What each comparison of aligners can show, before any training."""
    input:
        moved=f"{WORK}/held_out/short",
        config=settings_file("report", CONFIG),
    output:
        f"{RESULTS}/tables/what_can_show.csv",
    log:
        f"{WORK}/logs/what_can_show.log",
    benchmark:
        f"{WORK}/benchmarks/what_can_show.tsv"
    shell:
        "python analysis/what_can_show.py --moved {input.moved} --config {input.config} --out {output} > {log} 2>&1"
