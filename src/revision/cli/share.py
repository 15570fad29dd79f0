"""The commands `stats`, `fit` and `push`: statistics, aligners fitted on them, and aligners on the Hugging Face hub."""

import time
from pathlib import Path
from typing import Annotated

import typer

from revision.cli.align import (
    DEFAULT_BLOCK_ROWS,
    PROCESSORS,
    BlockRows,
    ForceFlag,
    JsonFlag,
    Threads,
    facts,
    opened,
    opened_or_statistics,
    parameters,
    progress_bars,
    refuse_existing,
    show,
    speed,
)
from revision.cli.messages import reported
from revision.errors import ConfigError


def stats_command(
    sets: Annotated[list[Path], typer.Argument(help="Folders of embedding sets, or .npy files.")],
    threads: Threads = PROCESSORS,
    block_rows: BlockRows = DEFAULT_BLOCK_ROWS,
    save: Annotated[
        Path | None, typer.Option(help="Write the statistics of all sets together: .safetensors to share, or .npz.")
    ] = None,
    covariance: Annotated[bool, typer.Option(help="Also compute the covariance (for --save).")] = False,
    encoder: Annotated[str, typer.Option(help="Name of the encoder, for --save; default: stored in the sets.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Print count, dimension, length of the mean and trace of embedding sets, in one pass over each.

    Rows are normalised to unit length first. A .safetensors file is small and holds no embeddings: `revision fit` fits
    an aligner on two of them. A .npz file is for `revision align --source-moments` and belongs to embedding sets.

    Examples:

      revision stats sets/images sets/texts

      revision stats sets/images --json

      revision stats texts.npy --covariance --save texts.safetensors --encoder clip_vit_b32
    """
    with reported(as_json):
        import numpy as np

        from revision.embeddings import EmbeddingSet
        from revision.embeddings.moments import Moments, merge_all, moments, save_moments
        from revision.embeddings.statistics import SUFFIX, facts_of, save_statistics

        rows, opened_sets, results = [], [], []
        with progress_bars(as_json) as begin:
            for path in sets:
                embeddings = opened(path)
                advance, start = begin(path.name, embeddings.count), time.perf_counter()
                if embeddings.count == 0 and save is not None:  # the last parts of a small table may be empty
                    result = Moments(0, np.zeros(embeddings.dim), 0.0)
                else:
                    result = moments(
                        embeddings, unit=True, covariance=covariance, threads=threads, block_rows=block_rows,
                        advance=advance,
                    )  # fmt: skip
                opened_sets.append(embeddings)
                results.append(result)
                length = float((result.mean @ result.mean) ** 0.5)
                spread = {"mean_length": length, "trace": result.trace if result.count else 0.0}
                rows.append(facts(embeddings) | spread | speed(embeddings.count, start))
        if save is not None and save.suffix == SUFFIX:
            save_statistics(save, merge_all(results), [facts_of(part) for part in opened_sets], encoder)
        elif save is not None:
            shards = [part for part in opened_sets if isinstance(part, EmbeddingSet)]
            if len(shards) < len(opened_sets):
                raise ConfigError(f"--save {save}: .npz belongs to embedding sets; give a name that ends in {SUFFIX}")
            save_moments(save, merge_all(results), shards)
        show("Moments of the unit rows", rows, as_json)


def fit_command(
    source: Annotated[Path, typer.Argument(help="Texts: a folder of shards, a .npy file, or statistics.")],
    target: Annotated[Path, typer.Argument(help="Images, likewise; they need not be pairs.")],
    out: Annotated[Path, typer.Argument(help="Folder of the fitted aligner, for `revision align --fitted`.")],
    method: Annotated[str, typer.Option(help="Name of the aligner.")] = "realign",
    param: Annotated[list[str] | None, typer.Option(help="Parameter of the aligner as name=value, repeatable.")] = None,
    threads: Threads = PROCESSORS,
    block_rows: BlockRows = DEFAULT_BLOCK_ROWS,
    force: ForceFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Fit an aligner and save it, without aligning anything.

    Statistics are .safetensors files by `revision stats --save`. ReAlign needs no more than them; its third step needs
    the covariance of the texts.

    Examples:

      revision fit sets/texts sets/images fitted/realign

      revision fit texts.safetensors images.safetensors fitted/realign
    """
    with reported(as_json):
        from threadpoolctl import threadpool_limits

        from revision.align import Engine, make_aligner, save_aligner
        from revision.embeddings.statistics import facts_of

        refuse_existing(out, force)
        aligner = make_aligner(method, **parameters(param or []))
        texts, images = opened_or_statistics(source), opened_or_statistics(target)
        with progress_bars(as_json) as begin, threadpool_limits(1, user_api="blas"):
            aligner.fit_stream(texts, images, Engine(threads, block_rows, begin("fit", None)))
        save_aligner(aligner, out, {"source": facts_of(texts), "target": facts_of(images)})
        show("Fitted", [{"aligner": aligner.name, "folder": str(out), "dim": texts.dim}], as_json)


def push_command(
    fitted: Annotated[Path, typer.Argument(help="Folder of a fitted aligner, by `revision fit` or `align --save`.")],
    repo: Annotated[str, typer.Argument(help="Repository on the Hugging Face hub: owner/name.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    card_only: Annotated[bool, typer.Option("--card-only", help="Write the card and upload nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write the card of a fitted aligner (README.md) and upload its folder to the hub. An existing card is kept.

    Example: HF_HUB_OFFLINE=0 revision push fitted/realign owner/clip-vit-b32-realign
    """
    with reported(as_json):
        from revision.align.serialization import FILES, write_card

        card, address = write_card(fitted, repo), ""
        if not card_only:
            from revision.io.hub import upload

            address = upload(fitted, repo, FILES, private=private)
        show("Card" if card_only else "Uploaded", [{"card": str(card), "address": address}], as_json)


def register(app: typer.Typer) -> None:
    """Add `stats`, `fit` and `push` to `app`."""
    app.command("stats", no_args_is_help=True)(stats_command)
    app.command("fit", no_args_is_help=True)(fit_command)
    app.command("push", no_args_is_help=True)(push_command)
