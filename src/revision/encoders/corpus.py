"""From a corpus table to embedding shards: pictures or texts of one column, a block at a time."""

from pathlib import Path

from rich.progress import Progress

from revision.data.corpus import decode_image, open_corpus, stream
from revision.encoders.base import Encoder
from revision.files import sha256
from revision.store import EmbeddingSet, EmbeddingWriter

BLOCK = 1024
IMAGE_COLUMN = "image"


def embed_corpus(
    encoder: Encoder,
    table: str | Path,
    column: str,
    folder: str | Path,
    *,
    dtype: str = "float32",
    show_progress: bool = True,
) -> EmbeddingSet:
    """Embed `column` of the corpus table (column "image": encoded pictures; any other: texts) into a set at `folder`.

    Raises DataError for a missing column or a picture that can't be read, naming file and row.
    """
    count = open_corpus(table, ("id", column)).metadata.num_rows
    about = {
        "column": column,
        "table": sha256(table),
        "encoder": {"name": encoder.name, "revision": encoder.revision},
    }
    row = 0
    with (
        Progress(disable=not show_progress, transient=True) as progress,
        EmbeddingWriter(folder, encoder.dim, dtype, about=about) as writer,
    ):
        bar = progress.add_task(f"embedding {column} of {Path(table).stem}", total=count)
        for block in stream(table, ("id", column), BLOCK):
            if column == IMAGE_COLUMN:
                images = [decode_image(data, f"{table}: row {row + k}") for k, data in enumerate(block[column])]
                embeddings = encoder.encode_images(images)
            else:
                embeddings = encoder.encode_texts(block[column])
            writer.append(block["id"], embeddings)
            row += len(embeddings)
            progress.advance(bar, len(embeddings))
    assert writer.result is not None
    return writer.result
