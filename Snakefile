"""The modality gap, stage by stage: `snakemake` makes the report of one scale.

make reproduce                  the scale `laptop`
make reproduce SCALE=tiny       a quick look at everything
snakemake -n                    what would run
snakemake --cores 2 table_1     one thing
"""


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/encoder.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/align.smk"
include: "workflow/rules/gap.smk"
include: "workflow/rules/dynamics.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        # The scores lie in the working folder, so a clone that carries committed results runs all the same.
        expand(WORK + "/scores/seed{seed}.parquet", seed=SEEDS),
        RESULTS + "/report.html",
