"""The modality gap, stage by stage: `snakemake` makes the report of one scale."""


# With `--sdm apptainer` alone: apptainer build revision.sif container/revision.def
container: "revision.sif"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/encoder.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/align.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/dynamics.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/compare.smk"


rule all:
    """Everything: the report and all that it shows."""
    default_target: True
    input:
        f"{RESULTS}/report.html",
