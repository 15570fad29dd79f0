# Corpus tables of the built-in world and the evaluation suites.

CORPUS = {
    "text": ("captions", "text"),
    "reference": ("captions", "paired"),
    "instruct": ("instructions", "instruct"),
    "probe": ("captions", "probe"),
    "scan_text": ("captions", "text", "scan"),
    "scan_reference": ("captions", "paired", "scan"),
    "scan_probe": ("captions", "probe", "scan"),
    "validation": ("captions", "validation"),
    "validation_instruct": ("instructions", "validation"),
    "reading": ("reading", "language"),
}


def in_corpus(table):
    """Kind, split, domain and rows of a table; `text_2x` is `text` with twice its rows, so it begins with the same."""
    name, _, factor = table.rpartition("_") if table[-1] == "x" else (table, "", "1x")
    kind, split, *domain = CORPUS[name]
    return kind, split, domain[0] if domain else "general", round(config["data"][name] * float(factor[:-1]))


rule corpus:
    output:
        WORK + "/data/{table}.parquet",
    params:
        kind=lambda w: in_corpus(w.table)[0],
        split=lambda w: in_corpus(w.table)[1],
        domain=lambda w: in_corpus(w.table)[2],
        rows=lambda w: in_corpus(w.table)[3],
        world=settings("world"),
    log:
        WORK + "/logs/corpus/{table}.log",
    benchmark:
        WORK + "/benchmarks/corpus/{table}.tsv"
    shell:
        "revision corpus {params.kind} --split {params.split} --domain {params.domain} --count {params.rows} --world {params.world:q}"
        " --out {output} > {log} 2>&1"


rule tasks:
    output:
        directory(WORK + "/tasks"),
    params:
        questions=config["evaluation"]["questions"],
        world=settings("world"),
    log:
        WORK + "/logs/tasks.log",
    benchmark:
        WORK + "/benchmarks/tasks.tsv"
    shell:
        "revision tasks --count {params.questions} --world {params.world:q} --out {output} > {log} 2>&1"


# Texts that no picture lies behind: the language model goes on from the first words of each caption.
rule synthesise:
    input:
        captions=WORK + "/data/text.parquet",
        llm=WORK + "/llm/base/manifest.json",
    output:
        WORK + "/data/synthetic.parquet",
    params:
        llm=WORK + "/llm/base",
    log:
        WORK + "/logs/synthesise.log",
    benchmark:
        WORK + "/benchmarks/synthesise.tsv"
    shell:
        "revision synthesise {input.captions} --llm {params.llm} --seed 0 --out {output} > {log} 2>&1"


ruleorder: synthesise > corpus
