# The figures of the report, their scripts and their inputs.

from typing import NamedTuple


class Figure(NamedTuple):
    """A figure: content, script in analysis/, input files by option, other options, panels and further outputs.

    A figure of several `panels` writes a CSV file for each of them, and a PNG, a PDF and a JSON file for each or, where
    they are drawn `together`, for the figure.
    """

    shows: str
    script: str
    reads: dict
    options: dict = {}
    panels: tuple = ()
    together: bool = False
    also: dict = {}


SHORT, LONG = f"{WORK}/held_out/short", f"{WORK}/held_out/long"
PUBLISHED = "config/published.yaml"
TABLE_OF = {
    "text_table": corpus_of(CaptionSet("text", "short")),
    "image_table": corpus_of(CaptionSet("reference", "image")),
    "probe_table": corpus_of(CaptionSet("probe", "short")),
}
UNPAIRED = {"text": embeddings("text", "short"), "image": embeddings("reference", "image")}
PROBE = {"probe_text": embeddings("probe", "short"), "probe_image": embeddings("probe", "image")}
SCAN = {
    "scan_text": embeddings("scan_text", "short"),
    "scan_image": embeddings("scan_reference", "image"),
    "scan_probe_text": embeddings("scan_probe", "short"),
    "scan_probe_image": embeddings("scan_probe", "image"),
    "scan_text_table": corpus_of(CaptionSet("scan_text", "short")),
    "scan_image_table": corpus_of(CaptionSet("scan_reference", "image")),
    "scan_probe_table": corpus_of(CaptionSet("scan_probe", "short")),
}
PAIRS = {
    "short": embeddings("probe", "short"),
    "image": embeddings("probe", "image"),
    "long": embeddings("probe", "long"),
    "long_image": images_of_probe("long"),
}

FIGURES = {
    "figure_1": Figure(
        "The gap during contrastive training.",
        "figure_01_dynamics",
        {
            "manifests": expand(f"{WORK}/dynamics/seed{{seed}}/manifest.json", seed=REPEATS),
            "series": expand(f"{WORK}/dynamics/seed{{seed}}/series.csv", seed=REPEATS),
            "summaries": expand(f"{WORK}/dynamics/seed{{seed}}/summary.json", seed=REPEATS),
        },
        also={"summary": f"{RESULTS}/figures/figure_1_summary.csv"},
    ),
    "figure_3": Figure(
        "Distance of the centroids after every aligner, short and long captions.",
        "figure_03_gap",
        {
            "text_short": embeddings("text", "short"),
            "text_long": embeddings("text", "long"),
            "image": embeddings("reference", "image"),
            "probe_short": PAIRS["short"],
            "probe_long": PAIRS["long"],
            "probe_image": PAIRS["image"],
            "probe_long_image": PAIRS["long_image"],
            **TABLE_OF,
            "text_long_table": corpus_of(CaptionSet("text", "long")),
            "probe_long_table": corpus_of(CaptionSet("probe", "long")),
            "moved_short": SHORT,
            "moved_long": LONG,
            "aligners": ALIGNERS,
            "published": PUBLISHED,
        },
        {"methods": SHOWN, "seeds": REPEATS},
    ),
    "figure_4": Figure(
        "Covariance spectrum (4a) and pairwise cosines (4b).",
        "figure_04_spectrum_angles",
        {"moved": SHORT, "published": PUBLISHED},
        panels=("figure_4a", "figure_4b"),
    ),
    "figure_5": Figure(
        "Texts and images in one plane, and their k-NN mixing rate.",
        "figure_05_mixing",
        {"moved": SHORT, "published": PUBLISHED},
    ),
    "figure_6": Figure(
        "The gap against the number of samples.",
        "figure_06_samples",
        {**UNPAIRED, **PROBE, **TABLE_OF, "aligners": ALIGNERS, "published": PUBLISHED},
        {"methods": SHOWN},
    ),
    "figure_7": Figure(
        "Float32 against float64 (7a), time and memory (7b).",
        "figure_07_cost",
        {**UNPAIRED, "published": PUBLISHED},
        panels=("figure_7a", "figure_7b"),
        together=True,
    ),
    "figure_8": Figure(
        "Aligners with statistics of another domain.",
        "figure_08_domains",
        {**UNPAIRED, **PROBE, **SCAN, **TABLE_OF, "aligners": ALIGNERS, "published": PUBLISHED},
        {"methods": SHOWN, "seeds": REPEATS},
    ),
    "figure_9": Figure(
        "Blockwise alignment: spectrum (9a) and neighbours kept (9b).",
        "figure_09_blockwise",
        {"moved": SHORT, "published": PUBLISHED},
        panels=("figure_9a", "figure_9b"),
    ),
    "figure_10": Figure(
        "Effective rank (10a), trace (10b) and gap (10c) of short and long captions.",
        "figure_10_captions",
        {
            "image": embeddings("reference", "image"),
            "short": embeddings("text", "short"),
            "long": embeddings("text", "long"),
            "published": PUBLISHED,
        },
        {"parts": len(REPEATS)},
        panels=("figure_10a", "figure_10b", "figure_10c"),
        together=True,
    ),
    "figure_11": Figure(
        "Non-visual phrases against the distance to the image.",
        "figure_11_phrases",
        {"moved": LONG, "captions": corpus_of(CaptionSet("probe", "long"))},
    ),
    "figure_12": Figure(
        "Questions with the trained model's answers.",
        "figure_12_answers",
        {"answers": ANSWERS[:1], "tasks": f"{WORK}/tasks"},
        {"method": "stage2/revision"},
    ),
    "captioning": Figure(
        "Zero-shot captioning of held-out scenes, with floors.",
        "captioning",
        {"captions": CAPTIONS},
        {"paired": CONFIG.scaling.paired},
        also={"table": f"{RESULTS}/tables/captioning.csv"},
    ),
    "figure_gap_causes": Figure(
        "What keeps the gap open.",
        "figure_gap_causes",
        {"tables": expand(f"{WORK}/gap_causes/seed{{seed}}.csv", seed=REPEATS)},
        also={"effects": f"{RESULTS}/tables/gap_causes.csv"},
    ),
    "coupling": Figure("Appendix C: the map from delta to zeta.", "figure_c_coupling", PAIRS),
    "drift": Figure(
        "Theorem B.14: predicted and measured drift.",
        "figure_b14_drift",
        {"text": embeddings("text", "short"), "moved": SHORT},
    ),
    "costs": Figure(
        "Appendix H.4: the published costs of captions, recomputed.",
        "figure_h4_costs",
        {"published": PUBLISHED},
    ),
    "followup": Figure(
        "Shape metrics of the follow-up paper.",
        "figure_followup",
        {"moved": SHORT, "published": "config/followup.yaml"},
    ),
    "retrieval": Figure("What closing the gap costs in retrieval.", "figure_retrieval", {"moved": SHORT}),
    "scaling": Figure(
        "Accuracy and caption loss against the number of texts.",
        "figure_scaling",
        {"answers": ANSWERS, "losses": LOSSES, "published": PUBLISHED},
        {
            "variants": list(SCALING),
            "texts": list(SCALING.values()),
            "paired": CONFIG.scaling.paired,
            "paired_rows": CONFIG.data.text,
        },
    ),
    "dose_response": Figure(
        "Dose and response of the modality gap, and how fast Stage 2 absorbs it.",
        "figure_dose",
        {"tables": DOSE_RESPONSES},
        panels=("dose", "dose_erasure"),
        also={"alignment": f"{RESULTS}/tables/when_alignment_matters.csv"},
    ),
    "real_parts": Figure(
        "The gap beside that of another scale.",
        "figure_real_parts",
        {
            "world": WORLD_FACTS,
            "gap": f"{RESULTS}/figures/figure_3.csv",
            "other_world": f"reference/{CONFIG.beside}/tables/world.csv",
            "other_gap": f"reference/{CONFIG.beside}/figures/figure_3.csv",
        },
        {"scales": [CONFIG.scale, CONFIG.beside]},
    ),
}

# Figures that a scale cannot make. Non-visual phrases (figure 11) are known only for generated scenes; other data may have
# no second domain (figure 8).
IMPOSSIBLE = {
    "figure_8": "scan_probe" not in CONFIG.corpus_tables,
    "figure_11": not isinstance(CONFIG.corpus, ScenesCorpus),
    "figure_12": not ANSWERS,
    "captioning": not CAPTIONS,
    "scaling": len(SCALING) < 2 or not ANSWERS or CONFIG.scaling.paired not in VARIANTS,
    "dose_response": not DOSE_RESPONSES,
    "real_parts": CONFIG.beside is None,
}
FIGURES = {name: figure for name, figure in FIGURES.items() if not IMPOSSIBLE.get(name)}
PANELS = {panel: name for name, figure in FIGURES.items() for panel in figure.panels or (name,)}
DRAWN = dict.fromkeys(name if FIGURES[name].together else panel for panel, name in PANELS.items())
DRAWN = {image: PANELS.get(image, image) for image in DRAWN}

for name, figure in FIGURES.items():

    rule:
        f"""{figure.shows}"""
        name:
            name
        input:
            **figure.reads,
        output:
            **figure.also,
            tables=[f"{RESULTS}/figures/{panel}.csv" for panel in figure.panels or (name,)],
            beside=expand(
                f"{RESULTS}/figures/{{image}}.{{ending}}",
                image=[image for image, drawn in DRAWN.items() if drawn == name],
                ending=("png", "pdf", "json"),
            ),
        log:
            f"{WORK}/logs/{name}.log",
        benchmark:
            f"{WORK}/benchmarks/{name}.tsv"
        params:
            script=figure.script,
            options=options(figure.reads | figure.options | figure.also),
        shell:
            "python analysis/{params.script}.py {params.options} --out {output.tables} > {log} 2>&1"


for panel in (panel for panel, name in PANELS.items() if panel != name):

    rule:
        """One panel of a figure."""
        name:
            panel
        input:
            f"{RESULTS}/figures/{panel}.csv",
