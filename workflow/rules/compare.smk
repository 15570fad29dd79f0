# Compare encoders: the built-in one, those of the dynamics runs, and those listed in the configuration.

BUILT_IN = {"built_in": encoder_of(FIRST)}
BUILT_IN |= {f"dynamics_seed{seed}": f"{WORK}/dynamics/seed{seed}/encoder" for seed in REPEATS}
COMPARED = [*BUILT_IN, *CONFIG.compare.encoders]


wildcard_constraints:
    encoder="|".join(COMPARED),


rule embed_compared:
    input:
        table=f"{WORK}/data/probe.parquet",
        encoder=lambda w: encoder_file(w.encoder),
    output:
        embeddings=directory(f"{WORK}/compare/{{encoder}}/{{column}}"),
    log:
        f"{WORK}/logs/compare/{{encoder}}_{{column}}.log",
    benchmark:
        f"{WORK}/benchmarks/compare/{{encoder}}_{{column}}.tsv"
    shell:
        "revision embed {input.table} --encoder {input.encoder} --column {wildcards.column}"
        " --out {output.embeddings} > {log} 2>&1"


rule check_encoder:
    input:
        encoder=lambda w: encoder_file(w.encoder),
    output:
        checks=f"{WORK}/compare/{{encoder}}.checks.json",
    log:
        f"{WORK}/logs/compare/{{encoder}}_checks.log",
    benchmark:
        f"{WORK}/benchmarks/compare/{{encoder}}_checks.tsv"
    shell:
        "revision check-encoder {input.encoder} --json > {output.checks} 2> {log}"


rule gap_of_encoder:
    input:
        unpack(compared_sets),
    output:
        suite=f"{WORK}/compare/{{encoder}}.json",
    log:
        f"{WORK}/logs/compare/{{encoder}}.log",
    benchmark:
        f"{WORK}/benchmarks/compare/{{encoder}}.tsv"
    params:
        aligners=[f"--aligner {name}" for name in CONFIG.compare.aligners],
    shell:
        "revision gap --image {input.image} --text {input.text} {params.aligners} --json > {output.suite} 2> {log}"


rule compare_encoders:
    """A leaderboard of encoders and aligners."""
    input:
        suites=expand(f"{WORK}/compare/{{name}}.json", name=COMPARED),
        checks=lambda w: [f"{WORK}/compare/{name}.checks.json" for name in COMPARED if given_arrays(name) is None],
    output:
        boards=expand(f"{RESULTS}/compare/leaderboard.{{ending}}", ending=("csv", "md", "html")),
        table=f"{RESULTS}/compare/encoders.csv",
        beside=expand(f"{RESULTS}/compare/encoders.{{ending}}", ending=("png", "pdf", "json")),
    log:
        f"{WORK}/logs/compare_encoders.log",
    benchmark:
        f"{WORK}/benchmarks/compare_encoders.tsv"
    params:
        checks=lambda w, input: [f"--check {path}" for path in input.checks],
        boards=lambda w, output: [f"--out {path}" for path in output.boards],
    shell:
        "(revision leaderboard {input.suites} {params.checks} {params.boards}"
        " && python analysis/figure_encoders.py --suites {input.suites} --out {output.table}) > {log} 2>&1"
