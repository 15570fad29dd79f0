"""Embedding sets: folders of Arrow IPC files (shards) with a JSON manifest.

A shard has an `id` column (string) and an `embedding` column (fixed-size list of float16 or float32). Reading maps the
file into memory without a copy. The manifest holds count, dimension, dtype and, for each shard, its number of rows, its
size in bytes and an XXH3-128 checksum. A folder appears under its final name only when it is complete.
"""

from revision.embeddings.merge import merge_sets
from revision.embeddings.reader import EmbeddingSet, Shard, open_embeddings, open_rows
from revision.embeddings.writer import EmbeddingWriter, write_embeddings

__all__ = [
    "EmbeddingSet",
    "EmbeddingWriter",
    "Shard",
    "merge_sets",
    "open_embeddings",
    "open_rows",
    "write_embeddings",
]
