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


rule corpus:
    output:
        WORK + "/data/{table}.parquet",
    params:
        kind=lambda w: CORPUS[w.table][0],
        split=lambda w: CORPUS[w.table][1],
        domain=lambda w: CORPUS[w.table][2] if len(CORPUS[w.table]) > 2 else "general",
        rows=lambda w: config["data"][w.table],
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
