# Tables of the paper and beyond, paired comparisons of all variants, the scaling curve and the verdicts on the claims.

SCORE_TABLES = CONFIG.filled_tables()
TABLES = {name: f"{RESULTS}/tables/{name}.csv" for name in SCORE_TABLES}
ANSWERS = expand(WORK + "/answers/seed{seed}.parquet", seed=SEEDS)


wildcard_constraints:
    score_table="|".join(map(re.escape, SCORE_TABLES)) or "none",


rule score_table:
    input:
        answers=ANSWERS,
        published="config/published.yaml",
    output:
        RESULTS + "/tables/{score_table}.csv",
        report(RESULTS + "/tables/{score_table}.png", caption="../report/table.rst", category="Tables"),
        [RESULTS + "/tables/{score_table}." + ending for ending in ("pdf", "json")],
    params:
        name="{score_table}",
        settings=lambda w: SCORE_TABLES[w.score_table].model_dump_json(exclude_none=True),
        starts=lambda w: json.dumps({name: CONFIG.stage1_of(name) for name in SCORE_TABLES[w.score_table].rows}),
    log:
        WORK + "/logs/score_table/{score_table}.log",
    benchmark:
        WORK + "/benchmarks/score_table/{score_table}.tsv"
    shell:
        "python analysis/tables.py {input.answers} --name {params.name} --settings {params.settings:q}"
        " --starts {params.starts:q} --published {input.published} --out {output[0]} > {log} 2>&1"


for name in SCORE_TABLES:

    rule:
        name:
            name
        input:
            TABLES[name],


rule pairs:
    input:
        ANSWERS,
    output:
        RESULTS + "/tables/pairs.csv",
    log:
        WORK + "/logs/pairs.log",
    benchmark:
        WORK + "/benchmarks/pairs.tsv"
    shell:
        "python analysis/pairs.py {input} --out {output} > {log} 2>&1"


# Long captions are another target text, so their loss has no place beside the others.
READ_SHORT = [
    name for name in VARIANTS if CONFIG.stage1_of(name) == name and CONFIG.variants[name].caption != "long"
]


rule stage1_losses:
    input:
        expand(WORK + "/stage1/{variant}/seed{seed}", variant=READ_SHORT, seed=SEEDS),
    output:
        RESULTS + "/tables/stage1_caption_loss.csv",
    log:
        WORK + "/logs/stage1_losses.log",
    benchmark:
        WORK + "/benchmarks/stage1_losses.tsv"
    shell:
        "python analysis/stage1_losses.py {input} --out {output} > {log} 2>&1"


SCALING = {
    name: round(CONFIG.data.text * CONFIG.variants[name].texts)
    for name in CONFIG.scaling.variants
    if name in VARIANTS
}

if len(SCALING) > 1 and CONFIG.scaling.paired in VARIANTS:

    rule scaling:
        input:
            answers=ANSWERS,
            losses=RESULTS + "/tables/stage1_caption_loss.csv",
            published="config/published.yaml",
        output:
            figures("scaling"),
        params:
            texts=json.dumps(SCALING),
            paired=CONFIG.scaling.paired,
            rows=CONFIG.data.text,
        log:
            WORK + "/logs/scaling.log",
        benchmark:
            WORK + "/benchmarks/scaling.tsv"
        shell:
            "python analysis/figure_scaling.py {input.answers} --losses {input.losses} --texts {params.texts:q}"
            " --paired {params.paired} --paired-rows {params.rows} --published {input.published} --out {output[0]}"
            " > {log} 2>&1"


rule claims:
    input:
        claims="config/claims.yaml",
        sources=lambda w: [
            *REPORTED,
            *TABLES.values(),
            *(f"{RESULTS}/tables/{name}.csv" for name in ("pairs", "stage1_caption_loss", "world")),
        ],
    output:
        report(RESULTS + "/tables/claims.csv", caption="../report/claims.rst", category="Verdicts"),
    params:
        results=RESULTS,
        scale=CONFIG.scale,
    log:
        WORK + "/logs/claims.log",
    benchmark:
        WORK + "/benchmarks/claims.tsv"
    shell:
        "python analysis/claims.py {params.results} --claims {input.claims} --scale {params.scale} --out {output}"
        " > {log} 2>&1"
