# What a scale with other people's data lacks is said all at once, before its first job.
onstart:
    if "corpora" in config:
        from revision.planning.preflight import missing

        if lacking := missing(config):
            sys.exit("error: this scale lacks:\n" + "\n".join(f"- {one}" for one in lacking))


# Corpus tables, of the built-in world or of the data sets under `corpora`, and the evaluation suites.

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
    name, factor = without_factor(table)
    kind, split, *domain = CORPUS[name.removesuffix("_long")]
    rows = round(config["data"][name.removesuffix("_long")] * float(factor.strip("_x") or 1))
    return kind, split, domain[0] if domain else "general", rows


if "corpora" in config:

    rule corpus:
        output:
            WORK + "/data/{table}.parquet",
        params:
            source=lambda w: json.dumps(source_of(config, without_factor(w.table)[0]), sort_keys=True),
            share=lambda w: config["corpora"]["tables"][without_factor(w.table)[0]]["share"],
            rows=lambda w: in_corpus(w.table)[3],
            at_most=lambda w: (
                "--at-most" if config["corpora"]["tables"][without_factor(w.table)[0]].get("at_most") else ""
            ),
        log:
            WORK + "/logs/corpus/{table}.log",
        benchmark:
            WORK + "/benchmarks/corpus/{table}.tsv"
        shell:
            "revision corpus-from {params.source:q} --share {params.share} --count {params.rows} {params.at_most}"
            " --out {output} > {log} 2>&1"

else:

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
            "revision corpus {params.kind} --split {params.split} --domain {params.domain} --count {params.rows}"
            " --world {params.world:q} --out {output} > {log} 2>&1"


if "suites" in config["evaluation"]:

    # The published suites are lmms-eval's own tasks; the folder says which and how, and holds no data.
    rule tasks:
        """The questions of every evaluation suite."""
        input:
            config["evaluation"]["suites"],
        output:
            directory(WORK + "/tasks"),
        params:
            local=f"--data {config['evaluation']['data']}" if "data" in config["evaluation"] else "",
        log:
            WORK + "/logs/tasks.log",
        benchmark:
            WORK + "/benchmarks/tasks.tsv"
        shell:
            "revision published-tasks {input} {params.local} --out {output} > {log} 2>&1"

else:

    rule tasks:
        """The questions of every evaluation suite."""
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
    """Captions that the language model writes, without any image."""
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
