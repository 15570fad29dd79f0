# Encoders side by side: the built-in one, those of the dynamics runs, and those that the configuration names.

BUILT_IN = {"built_in": ENCODER}
BUILT_IN |= {f"dynamics_seed{seed}": f"{WORK}/dynamics/seed{seed}/encoder" for seed in SEEDS}
COMPARED = [*BUILT_IN, *CONFIG.compare.encoders]


wildcard_constraints:
    encoder="|".join(COMPARED),


def encoder_file(name):
    """What `revision embed --encoder` takes: the folder of a built-in encoder, or a YAML."""
    return BUILT_IN.get(name, f"config/encoders/{name}.yaml")


def encoder_inputs(wildcards):
    """The encoder: a folder or a YAML."""
    return encoder_file(wildcards.encoder)


def compared_sets(wildcards):
    """Pictures and texts of the probe as an encoder has them; ready-made arrays as they are."""
    if wildcards.encoder == "built_in":
        return [embeddings("probe", column) for column in ("image", "short")]
    place = encoder_file(wildcards.encoder)
    if place.endswith(".yaml"):
        import yaml

        with open(place, encoding="utf-8") as file:
            values = yaml.safe_load(file)
        if values["family"] == "arrays":
            return [values["image"], values["text"]]
    return [f"{WORK}/compare/{wildcards.encoder}/{column}" for column in ("image", "short")]


rule embed_compared:
    input:
        table=WORK + "/data/probe.parquet",
        encoder=encoder_inputs,
    output:
        embeddings=directory(WORK + "/compare/{encoder}/{column}"),
    log:
        WORK + "/logs/compare/{encoder}_{column}.log",
    benchmark:
        WORK + "/benchmarks/compare/{encoder}_{column}.tsv"
    shell:
        "revision embed {input.table} --encoder {input.encoder} --column {wildcards.column}"
        " --out {output.embeddings} > {log} 2>&1"


rule gap_of_encoder:
    input:
        compared_sets,
    output:
        WORK + "/compare/{encoder}.json",
    params:
        aligners=" ".join(f"--aligner {name}" for name in CONFIG.compare.aligners),
    log:
        WORK + "/logs/compare/{encoder}.log",
    benchmark:
        WORK + "/benchmarks/compare/{encoder}.tsv"
    shell:
        "revision gap --image {input[0]} --text {input[1]} {params.aligners} --json > {output} 2> {log}"


rule compare_encoders:
    input:
        [f"{WORK}/compare/{name}.json" for name in COMPARED],
    output:
        [f"{RESULTS}/compare/encoders.{ending}" for ending in ("csv", "png", "pdf", "json")],
    params:
        suites=[f"{name}={WORK}/compare/{name}.json" for name in COMPARED],
    log:
        WORK + "/logs/compare_encoders.log",
    benchmark:
        WORK + "/benchmarks/compare_encoders.tsv"
    shell:
        "python analysis/figure_encoders.py {params.suites} --out {output[0]} > {log} 2>&1"
