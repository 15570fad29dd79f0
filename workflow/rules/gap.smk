# The geometry of the embeddings: one rule a script, one script for the panels of one figure of the paper.

# The mean shift is the first step of ReAlign, so figures show it once.
FIGURE_ALIGNERS = {
    name: aligner.model_dump(exclude_defaults=True)
    for name, aligner in CONFIG.aligners.items()
    if aligner.method != "mean_shift"
}
FIGURES = {}


def figures(*names):
    """Table, pictures and caption of the figures `names`, which are thereby part of the report."""
    FIGURES.update({name: f"{RESULTS}/figures/{name}.csv" for name in names})
    files = {ending: [f"{RESULTS}/figures/{name}.{ending}" for name in names] for ending in ("csv", "png", "pdf", "json")}
    files["png"] = [report(path, caption="../report/figure.rst", category="Figures") for path in files["png"]]
    return [path for paths in files.values() for path in paths]


def sets(*names):
    """Embedding sets named <table>_<column>."""
    return [f"{WORK}/embeddings/{name}" for name in names]


SHORT = sets("text_short", "reference_image", "probe_short", "probe_image")
PROBE_LONG = CaptionSet("probe", "long")
LONG = [*sets("text_long", "probe_long"), embeddings_of(CONFIG.images_of(PROBE_LONG))]


rule figure_3:
    input:
        embeddings=SHORT + LONG,
        published="config/published.yaml",
    output:
        figures("figure_3"),
    params:
        work=WORK,
        aligners=json.dumps(FIGURE_ALIGNERS),
        seeds=SEEDS,
    log:
        WORK + "/logs/figure_3.log",
    benchmark:
        WORK + "/benchmarks/figure_3.tsv"
    shell:
        "python analysis/figure_03_gap.py {params.work} --aligners {params.aligners:q} --seeds {params.seeds}"
        " --published {input.published} --out {output[0]} > {log} 2>&1"


rule figure_4:
    input:
        embeddings=SHORT,
        published="config/published.yaml",
    output:
        figures("figure_4a", "figure_4b"),
    params:
        work=WORK,
        aligners=json.dumps(FIGURE_ALIGNERS),
    log:
        WORK + "/logs/figure_4.log",
    benchmark:
        WORK + "/benchmarks/figure_4.tsv"
    shell:
        "python analysis/figure_04_spectrum_angles.py {params.work} --aligners {params.aligners:q}"
        " --published {input.published} --out {output[0]} {output[1]} > {log} 2>&1"


rule figure_5:
    input:
        embeddings=SHORT,
        published="config/published.yaml",
    output:
        figures("figure_5"),
    params:
        work=WORK,
        aligners=json.dumps(FIGURE_ALIGNERS),
    log:
        WORK + "/logs/figure_5.log",
    benchmark:
        WORK + "/benchmarks/figure_5.tsv"
    shell:
        "python analysis/figure_05_mixing.py {params.work} --aligners {params.aligners:q}"
        " --published {input.published} --out {output[0]} > {log} 2>&1"


rule figure_6:
    input:
        embeddings=SHORT,
        published="config/published.yaml",
    output:
        figures("figure_6"),
    params:
        work=WORK,
        aligners=json.dumps(FIGURE_ALIGNERS),
    log:
        WORK + "/logs/figure_6.log",
    benchmark:
        WORK + "/benchmarks/figure_6.tsv"
    shell:
        "python analysis/figure_06_samples.py {params.work} --aligners {params.aligners:q}"
        " --published {input.published} --out {output[0]} > {log} 2>&1"


rule figure_7:
    input:
        embeddings=sets("text_short", "reference_image"),
        published="config/published.yaml",
    output:
        figures("figure_7a", "figure_7b"),
    params:
        work=WORK,
    log:
        WORK + "/logs/figure_7.log",
    benchmark:
        WORK + "/benchmarks/figure_7.tsv"
    shell:
        "python analysis/figure_07_cost.py {params.work} --published {input.published}"
        " --out {output[0]} {output[1]} > {log} 2>&1"


rule figure_8:
    input:
        embeddings=SHORT + sets("scan_text_short", "scan_reference_image", "scan_probe_short", "scan_probe_image"),
        published="config/published.yaml",
    output:
        figures("figure_8"),
    params:
        work=WORK,
        aligners=json.dumps(FIGURE_ALIGNERS),
        seeds=SEEDS,
    log:
        WORK + "/logs/figure_8.log",
    benchmark:
        WORK + "/benchmarks/figure_8.tsv"
    shell:
        "python analysis/figure_08_domains.py {params.work} --aligners {params.aligners:q} --seeds {params.seeds}"
        " --published {input.published} --out {output[0]} > {log} 2>&1"


rule figure_9:
    input:
        embeddings=SHORT,
        published="config/published.yaml",
    output:
        figures("figure_9a", "figure_9b"),
    params:
        work=WORK,
        aligners=json.dumps(FIGURE_ALIGNERS),
    log:
        WORK + "/logs/figure_9.log",
    benchmark:
        WORK + "/benchmarks/figure_9.tsv"
    shell:
        "python analysis/figure_09_blockwise.py {params.work} --aligners {params.aligners:q}"
        " --published {input.published} --out {output[0]} {output[1]} > {log} 2>&1"


rule figure_10:
    input:
        embeddings=sets("text_short", "text_long", "reference_image"),
        published="config/published.yaml",
    output:
        figures("figure_10a", "figure_10b", "figure_10c"),
    params:
        work=WORK,
        seeds=SEEDS,
    log:
        WORK + "/logs/figure_10.log",
    benchmark:
        WORK + "/benchmarks/figure_10.tsv"
    shell:
        "python analysis/figure_10_captions.py {params.work} --seeds {params.seeds} --published {input.published}"
        " --out {output[0]} {output[1]} {output[2]} > {log} 2>&1"


# Which phrases no picture shows is known of the built-in world's captions alone.
if not isinstance(CONFIG.corpus, SourcesCorpus):

    rule figure_11:
        input:
            embeddings=LONG + sets("reference_image", "probe_image"),
            captions=corpus_of(PROBE_LONG),
        output:
            figures("figure_11"),
        params:
            work=WORK,
            aligners=json.dumps({name: FIGURE_ALIGNERS[name] for name in ("identity", "realign")}),
        log:
            WORK + "/logs/figure_11.log",
        benchmark:
            WORK + "/benchmarks/figure_11.tsv"
        shell:
            "python analysis/figure_11_phrases.py {params.work} --aligners {params.aligners:q} --captions {input.captions}"
            " --out {output[0]} > {log} 2>&1"


rule figure_12:
    input:
        answers=f"{WORK}/answers/seed{SEEDS[0]}.parquet",
        tasks=WORK + "/tasks",
    output:
        figures("figure_12"),
    params:
        work=WORK,
    log:
        WORK + "/logs/figure_12.log",
    benchmark:
        WORK + "/benchmarks/figure_12.tsv"
    shell:
        "python analysis/figure_12_answers.py {params.work} --answers {input.answers} --method stage2/revision"
        " --out {output[0]} > {log} 2>&1"


rule coupling:
    input:
        embeddings=[*sets("probe_image", "probe_short", "probe_long"), embeddings_of(CONFIG.images_of(PROBE_LONG))],
    output:
        figures("coupling"),
    params:
        work=WORK,
    log:
        WORK + "/logs/coupling.log",
    benchmark:
        WORK + "/benchmarks/coupling.tsv"
    shell:
        "python analysis/figure_c_coupling.py {params.work} --out {output[0]} > {log} 2>&1"


rule drift:
    input:
        embeddings=sets("text_short", "reference_image"),
    output:
        figures("drift"),
    params:
        work=WORK,
    log:
        WORK + "/logs/drift.log",
    benchmark:
        WORK + "/benchmarks/drift.tsv"
    shell:
        "python analysis/figure_b14_drift.py {params.work} --out {output[0]} > {log} 2>&1"


rule costs:
    input:
        published="config/published.yaml",
    output:
        figures("costs"),
    log:
        WORK + "/logs/costs.log",
    benchmark:
        WORK + "/benchmarks/costs.tsv"
    shell:
        "python analysis/figure_h4_costs.py --published {input.published} --out {output[0]} > {log} 2>&1"


rule followup:
    input:
        embeddings=SHORT,
        published="config/followup.yaml",
    output:
        figures("followup"),
    params:
        work=WORK,
        aligners=json.dumps(FIGURE_ALIGNERS),
    log:
        WORK + "/logs/followup.log",
    benchmark:
        WORK + "/benchmarks/followup.tsv"
    shell:
        "python analysis/figure_followup.py {params.work} --aligners {params.aligners:q}"
        " --published {input.published} --out {output[0]} > {log} 2>&1"


rule retrieval:
    input:
        embeddings=SHORT,
    output:
        figures("retrieval"),
    params:
        work=WORK,
        aligners=json.dumps(FIGURE_ALIGNERS),
    log:
        WORK + "/logs/retrieval.log",
    benchmark:
        WORK + "/benchmarks/retrieval.tsv"
    shell:
        "python analysis/figure_retrieval.py {params.work} --aligners {params.aligners:q}"
        " --out {output[0]} > {log} 2>&1"


if CONFIG.beside:

    rule real_parts:
        input:
            ours=[RESULTS + "/tables/world.csv", RESULTS + "/figures/figure_3.csv"],
            theirs=[f"results/{CONFIG.beside}/{name}" for name in ("tables/world.csv", "figures/figure_3.csv")],
        output:
            figures("real_parts"),
        params:
            folders=[RESULTS, f"results/{CONFIG.beside}"],
        log:
            WORK + "/logs/real_parts.log",
        benchmark:
            WORK + "/benchmarks/real_parts.tsv"
        shell:
            "python analysis/figure_real_parts.py {params.folders} --out {output[0]} > {log} 2>&1"


for panel in ("4a", "4b", "7a", "7b", "9a", "9b", "10a", "10b", "10c"):

    rule:
        name:
            f"figure_{panel}"
        input:
            FIGURES[f"figure_{panel}"],
