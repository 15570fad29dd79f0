# With data that are not generated, list everything that is missing before the first job starts.
onstart:
    if not isinstance(CONFIG.corpus, ScenesCorpus):
        from revision.planning.preflight import missing

        if problems := missing(CONFIG):
            sys.exit("error: missing for this scale:\n- " + "\n- ".join(problems))


# Corpus tables, from generated scenes, published data sets or photographs, and the evaluation suites.

CORPUS_SETTINGS = {table: corpus_settings(table) for table in CONFIG.corpus_tables}


rule corpus:
    input:
        settings=lambda w: CORPUS_SETTINGS[TableName.parse(w.table).table],
    output:
        table=f"{WORK}/data/{{table}}.parquet",
    log:
        f"{WORK}/logs/corpus/{{table}}.log",
    benchmark:
        f"{WORK}/benchmarks/corpus/{{table}}.tsv"
    wildcard_constraints:
        table=rf"(?:{TABLES_OF_CORPUS}){FACTOR}",
    params:
        name=lambda w: TableName.parse(w.table).table,
        rows=lambda w: CONFIG.row_count(TableName.parse(w.table)),
    shell:
        "revision corpus {params.name} --count {params.rows} --config {input.settings} --out {output.table} > {log} 2>&1"


rule tasks:
    input:
        settings=settings_file("tasks", TaskSections(suites=CONFIG.evaluation.suites, world=CONFIG.world)),
        suites=(CONFIG.evaluation.suites.file if isinstance(CONFIG.evaluation.suites, PublishedSuites) else []),
        table=f"{WORK}/data/evaluation.parquet" if PHOTOS else [],
    output:
        tasks=directory(f"{WORK}/tasks"),
    log:
        f"{WORK}/logs/tasks.log",
    benchmark:
        f"{WORK}/benchmarks/tasks.tsv"
    shell:
        f"revision tasks --config {{input.settings}}{TABLE} --out {{output.tasks}} > {{log}} 2>&1"


# Texts without images: the language model continues the first words of each caption.
rule synthesise:
    """Captions that the language model writes without images."""
    input:
        captions=f"{WORK}/data/text.parquet",
        llm=f"{WORK}/llm/base",
    output:
        table=f"{WORK}/data/synthetic.parquet",
    log:
        f"{WORK}/logs/synthesise.log",
    benchmark:
        f"{WORK}/benchmarks/synthesise.tsv"
    shell:
        "revision synthesise {input.captions} --llm {input.llm} --seed 0 --out {output.table} > {log} 2>&1"
