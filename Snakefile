"""The workflow is in workflow/Snakefile; this file makes plain `snakemake` run all of it from here."""


include: "workflow/Snakefile"


rule default:
    """Everything: the report and all that it shows."""
    default_target: True
    input:
        rules.all.input,
