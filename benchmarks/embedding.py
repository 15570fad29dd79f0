"""Compare embedding a corpus with the bare forward pass of the same model, alternating in one run on the same images.

    python benchmarks/embedding.py --rows 512 --hidden 384 --layers 6 --threads 1

The model is CLIP's vision tower with random weights at 224 pixels; embedding reads Parquet, decodes, resizes, runs the
model and writes shards. Writes the seconds of every run as CSV; prints the rate of embedding relative to the bare rate.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

OUT = Path("reference/benchmarks/embedding.csv")
DEFAULTS = {"rows": 512, "hidden": 384, "layers": 6, "batch": 32, "threads": 1, "repeats": 5}


def write_model(folder: Path, options: argparse.Namespace) -> None:
    """Save the model and its description, encoder.yaml."""
    from tokenizers import Tokenizer, models
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<end>": 0, "a": 1}, unk_token="<end>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<end>", eos_token="<end>")
    tower = {"hidden_size": options.hidden, "intermediate_size": 4 * options.hidden}
    tower |= {"num_hidden_layers": options.layers, "num_attention_heads": options.hidden // 64}
    text = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1}
    text |= {"vocab_size": 2, "eos_token_id": 0, "pad_token_id": 0, "bos_token_id": 0}
    CLIPModel(CLIPConfig(text_config=text, vision_config=tower, projection_dim=256)).save_pretrained(folder / "model")
    processor = CLIPProcessor(image_processor=CLIPImageProcessor(), tokenizer=tokenizer)
    processor.save_pretrained(folder / "model")
    description = f"family: huggingface\nmodel: {folder / 'model'}\nbatch_size: {options.batch}\n"
    (folder / "encoder.yaml").write_text(description, encoding="utf-8")


def measure(folder: Path, options: argparse.Namespace):  # type: ignore[no-untyped-def]
    """Return one row per run: what, run, wall seconds, and the settings."""
    import pandas as pd
    import torch

    from revision.data.corpus import read_columns, write_corpus
    from revision.data.images import decode_image
    from revision.data.scenes import World
    from revision.encoders import load_encoder
    from revision.encoders.embed import embed_corpus

    torch.set_num_threads(options.threads)
    write_model(folder, options)
    table = folder / "pairs.parquet"
    write_corpus(World(), "captions", "probe", options.rows, table)
    encoder = load_encoder(folder / "encoder.yaml")
    images = [decode_image(data, "image") for data in read_columns(table, ["image"])["image"]]
    parts = [images[start : start + options.batch] for start in range(0, len(images), options.batch)]
    batches = [encoder.to_device(encoder.prepare_images(part)) for part in parts]

    @torch.inference_mode()
    def bare() -> None:
        for batch in batches:
            encoder.image_features(batch)

    cases = {
        "bare forward pass": bare,
        "embedding": lambda: embed_corpus(encoder, table, "image", folder / "set", show_progress=False),
    }
    rows = []
    for run in range(-1, options.repeats):  # the first run is a warm-up
        for name, work in cases.items():
            start = time.perf_counter()
            work()
            rows.append({"what": name, "run": run, "seconds": time.perf_counter() - start})
    settings = {name: getattr(options, name) for name in DEFAULTS}
    return pd.DataFrame([row | settings for row in rows if row["run"] >= 0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in DEFAULTS.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        table = measure(Path(folder), options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out, index=False)
    bare, embedding = (table[table.what == name].seconds for name in ("bare forward pass", "embedding"))
    ratios = [first / second for first, second in zip(bare, embedding, strict=True)]
    rates = options.rows / bare.median(), options.rows / embedding.median()
    print(
        f"bare {rates[0]:.1f} images a second, embedding {rates[1]:.1f}: "
        f"{statistics.median(ratios):.1%} of the bare rate (median of {len(ratios)} turns)"
    )
