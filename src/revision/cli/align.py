"""The commands `import`, `embed`, `merge`, `verify` and `align`."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from revision.cli.messages import reported
from revision.errors import ConfigError, DataError

if TYPE_CHECKING:
    from revision.embeddings import EmbeddingSet
    from revision.embeddings.moments import ArrayRows, Moments
    from revision.embeddings.statistics import Statistics

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table, without a progress bar.")]
ForceFlag = Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")]
Threads = Annotated[int, typer.Option(min=1, help="Worker threads; their number does not change the result.")]
BlockRows = Annotated[
    int, typer.Option(min=1, help="Rows per block: more take more memory; results differ by rounding.")
]
DEFAULT_BLOCK_ROWS = 512
PROCESSORS = os.cpu_count() or 1


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} rows/s" if task.speed else "- rows/s", style="progress.data.speed")


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Callable[[str, int | None], Callable[[int], None]]]:
    """Yield `begin(description, rows)`, which opens a bar on stderr and returns its `advance`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as bars:

        def begin(description: str, rows: int | None) -> Callable[[int], None]:
            task = bars.add_task(description, total=rows)
            return lambda count: bars.advance(task, count)

        yield begin


def show(title: str, rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print facts as a table with one column for each of `rows`, or as JSON."""
    if as_json:
        print(json.dumps(rows[0] if len(rows) == 1 else rows))
        return
    table = Table(title=title, show_header=False)
    for name in rows[0]:
        table.add_row(name, *(f"{row[name]:.6g}" if isinstance(row[name], float) else str(row[name]) for row in rows))
    Console().print(table)


def refuse_existing(path: Path, force: bool) -> None:
    """Raise DataError if `path` exists and is not to be replaced."""
    if path.exists() and not force:
        raise DataError(f"{path}: exists; name another output, or add --force to replace it")


def opened(path: Path) -> "EmbeddingSet | ArrayRows":
    """Open a folder of shards or a .npy file as rows."""
    from revision.embeddings import EmbeddingSet, open_rows
    from revision.embeddings.moments import ArrayRows

    rows = open_rows(path)
    return rows if isinstance(rows, EmbeddingSet) else ArrayRows(rows, str(path))


def opened_or_statistics(path: Path) -> "EmbeddingSet | ArrayRows | Statistics":
    """Open a folder of shards, a .npy file, or statistics by `revision stats --save`."""
    from revision.embeddings.statistics import SUFFIX, load_statistics

    return load_statistics(path) if path.suffix == SUFFIX else opened(path)


def parameters(pairs: list[str]) -> dict[str, Any]:
    """Parse name=value pairs; values are JSON or, failing that, strings."""
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--param {pair!r}: write name=value, for example --param steps=2")
        try:
            values[name] = json.loads(text)
        except json.JSONDecodeError:
            values[name] = text
    return values


def import_command(
    source: Annotated[
        Path, typer.Argument(help="A .pkl, .npy, .npz, .parquet or .safetensors file, or a folder of such files.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder of the new embedding set.")],
    dtype: Annotated[str, typer.Option(help="float16 or float32.")] = "float32",
    ids: Annotated[Path | None, typer.Option(help="Text file with one id per line.")] = None,
    force: ForceFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Import embeddings written by other programs. Code in pickles is never executed.

    Examples:

      revision import features.npy sets/images --dtype float16

      revision import released_code/text_embeds/ sets/texts
    """
    with reported(as_json):
        from revision.embeddings.importers import import_embeddings

        refuse_existing(out, force)
        if ids is not None and not ids.is_file():
            raise DataError(f"{ids}: does not exist; give a text file with one id a line")
        names = ids.read_text(encoding="utf-8").splitlines() if ids else None
        start = time.perf_counter()
        with progress_bars(as_json) as begin:
            embeddings = import_embeddings(source, out, dtype=dtype, ids=names, advance=begin("import", None))
        show("Imported", [facts(embeddings) | speed(embeddings.count, start)], as_json)


def embed_command(
    table: Annotated[Path, typer.Argument(help="Corpus table (Parquet).")],
    encoder: Annotated[Path, typer.Option(help="Folder of an encoder, or a YAML as in config/encoders.")],
    column: Annotated[str, typer.Option(help="Column to embed: image, or a column of texts.")],
    out: Annotated[Path, typer.Option(help="Folder of the new embedding set.")],
    dtype: Annotated[str, typer.Option(help="float16 or float32.")] = "float32",
    part: Annotated[int | None, typer.Option(min=0, help="Embed only this part of the rows, numbered from 0.")] = None,
    parts: Annotated[int, typer.Option(min=1, help="Number of parts; `revision merge` joins them.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of the encoder.")] = 1,
    force: ForceFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Embed the images or the texts of a corpus table.

    Examples:

      revision embed text.parquet --encoder encoder --column short --out embeddings/text_short

      revision embed reference.parquet --encoder encoder --column image --out embeddings/images --dtype float16
    """
    with reported(as_json):
        from revision.embeddings.reader import MANIFEST
        from revision.encoders import load_encoder
        from revision.encoders.embed import embed_corpus

        refuse_existing(out / MANIFEST, force)
        import torch

        torch.set_num_threads(threads)
        start = time.perf_counter()
        embeddings = embed_corpus(
            load_encoder(encoder), table, column, out, dtype=dtype, show_progress=not as_json,
            part=None if part is None else (part, parts),
        )  # fmt: skip
        show("Embedded", [facts(embeddings) | speed(embeddings.count, start)], as_json)


def merge_command(
    parts: Annotated[list[Path], typer.Argument(help="Embedding sets, or .npz files of moments, in order.")],
    out: Annotated[Path, typer.Option(help="Folder or file to write.")],
    force: ForceFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Join the parts of an embedding set that several jobs embedded, or their moments.

    Shards are linked, not copied, and keep their checksums.

    Examples:

      revision merge parts/0 parts/1 --out embeddings/text_short

      revision merge parts/0.npz parts/1.npz --out text_short.npz
    """
    with reported(as_json):
        from revision.embeddings import merge_sets
        from revision.embeddings.moments import merge_moments

        refuse_existing(out, force)
        if all(part.suffix == ".npz" for part in parts):
            merged = merge_moments(parts, out)
            trace = merged.trace if merged.count else 0.0
            show("Merged", [{"moments": str(out), "count": merged.count, "trace": trace}], as_json)
        else:
            show("Merged", [facts(merge_sets(parts, out))], as_json)


def verify_command(
    folders: Annotated[list[Path], typer.Argument(help="Embedding sets and checkpoints.")],
    as_json: JsonFlag = False,
) -> None:
    """Compare every file of embedding sets and checkpoints with its checksum.

    This reads the files completely; other commands compare sizes only.

    Example: revision verify sets/images checkpoints/finetune/revision/seed0
    """
    with reported(as_json):
        from revision.embeddings import open_embeddings
        from revision.io.files import CHECKSUMS, check_files

        for folder in folders:
            if (folder / CHECKSUMS).is_file():
                check_files(folder, contents=True)
            else:
                open_embeddings(folder).verify()
        show("Verified", [{"folder": str(folder), "files": "as they were written"} for folder in folders], as_json)


def align_command(
    source: Annotated[Path, typer.Argument(help="Embeddings to move (texts): a folder of shards or a .npy file.")],
    out: Annotated[Path, typer.Argument(help="Folder of the aligned embedding set.")],
    target: Annotated[
        Path | None,
        typer.Option(help="Embeddings to move towards (images): folder, .npy, or statistics; not with --fitted."),
    ] = None,
    method: Annotated[str, typer.Option(help="Name of the aligner.")] = "realign",
    param: Annotated[list[str] | None, typer.Option(help="Parameter of the aligner as name=value, repeatable.")] = None,
    fitted: Annotated[
        Path | None, typer.Option(help="Apply a saved aligner instead: a folder, or owner/name on the hub.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Save the fitted aligner to this folder.")] = None,
    source_moments: Annotated[
        Path | None, typer.Option(help="The source's moments, by `revision stats --save`.")
    ] = None,
    target_moments: Annotated[Path | None, typer.Option(help="The target's moments, likewise.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float16 or float32; default: type of the source.")] = None,
    threads: Threads = PROCESSORS,
    block_rows: BlockRows = DEFAULT_BLOCK_ROWS,
    force: ForceFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Fit an aligner on two embedding sets, which need not be pairs, and write the aligned source.

    Examples:

      revision align sets/texts sets/texts_aligned --target sets/images

      revision align texts.npy aligned --target images.npy

      revision align sets/texts out --target sets/images --method realign --param steps=2 --save fitted/realign

      revision align sets/queries out --fitted fitted/realign --json

      revision align texts.npy aligned --target images.safetensors
    """
    with reported(as_json):
        from threadpoolctl import threadpool_limits

        from revision.align import Engine, load_aligner, make_aligner, save_aligner
        from revision.embeddings.statistics import facts_of

        for path in (out, save):
            if path is not None:
                refuse_existing(path, force)
        if (target is None) == (fitted is None):
            raise ConfigError("give either --target (to fit) or --fitted (to apply a saved aligner)")
        if fitted is not None and (param or save or source_moments or target_moments):
            raise ConfigError("--param, --save and --*-moments belong to a fit; omit them with --fitted")
        values = parameters(param or [])
        aligner = make_aligner(method, **values) if fitted is None else load_aligner(_on_disk(fitted))
        start, rows = time.perf_counter(), opened(source)
        with progress_bars(as_json) as begin, threadpool_limits(1, user_api="blas"):  # --threads work on blocks instead
            if target is not None:
                target_rows = opened_or_statistics(target)
                known = _known_moments((rows, source_moments), (target_rows, target_moments))
                engine = Engine(threads, block_rows, begin("fit", None), known)
                aligner.fit_stream(rows, target_rows, engine)
                if save is not None:
                    save_aligner(aligner, save, {"source": facts_of(rows), "target": facts_of(target_rows)})
            engine = Engine(threads, block_rows, begin("write", rows.count))
            written = aligner.transform_stream(rows, out, dtype=dtype, engine=engine)
        show("Aligned", [{"aligner": aligner.name} | facts(written) | speed(rows.count, start)], as_json)


def _on_disk(fitted: Path) -> Path:
    """The folder of a saved aligner, which is downloaded if it is not a folder."""
    if fitted.exists() or len(fitted.parts) != 2:
        return fitted
    from revision.align.serialization import FILES
    from revision.io.hub import download

    return download(f"aligner {fitted}: no such folder", str(fitted), None, FILES)


def _known_moments(*files: "tuple[EmbeddingSet | ArrayRows | Statistics, Path | None]") -> "dict[Path, Moments]":
    """Moments that are read from files instead of computed, by the folder of their set."""
    from revision.embeddings import EmbeddingSet
    from revision.embeddings.moments import load_moments

    known = {}
    for rows, file in files:
        if file is None:
            continue
        if not isinstance(rows, EmbeddingSet):
            raise ConfigError(f"{file}: moments belong to an embedding set; omit them for a .npy file or statistics")
        known[rows.folder] = load_moments(file, rows)
    return known


def facts(rows: "EmbeddingSet | ArrayRows") -> dict[str, Any]:
    """Path, count, dimension and type of rows, for `show`."""
    from revision.embeddings.moments import ArrayRows

    path = rows.name if isinstance(rows, ArrayRows) else rows.folder
    return {"set": str(path), "count": rows.count, "dim": rows.dim, "dtype": rows.dtype}


def speed(rows: int, start: float) -> dict[str, float]:
    """Seconds since `start` and rows per second, for `show`."""
    seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 4), "rows_per_second": round(rows / seconds)}


def register(app: typer.Typer) -> None:
    """Add the commands `import`, `embed`, `merge`, `verify` and `align` to `app`."""
    app.command("import", no_args_is_help=True)(import_command)
    app.command("embed", no_args_is_help=True)(embed_command)
    app.command("merge", no_args_is_help=True)(merge_command)
    app.command("verify", no_args_is_help=True)(verify_command)
    app.command("align", no_args_is_help=True)(align_command)
