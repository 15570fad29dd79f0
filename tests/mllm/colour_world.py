"""A toy task whose answer is in the embedding: noisy one-hot colours, captions that name them, a small LLM."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from revision.embeddings import write_embeddings
from revision.mllm.language_models.trained import LanguageModelSettings
from revision.mllm.loop import LoopSettings
from revision.mllm.train import train_language_model

COLOURS = ["red", "blue", "green", "white"]
ROWS = 256
READING = LoopSettings(epochs=60, batch_size=32, learning_rate=0.01, validate_every=200)


def build(folder):
    """Write embeddings `e`, a corpus table `t.parquet` and a language model `llm` to `folder`."""
    generator = np.random.default_rng(0)
    picked = generator.integers(0, 4, ROWS)
    rows = np.eye(8, dtype=np.float32)[picked] + 0.05 * generator.standard_normal((ROWS, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = [f"a-{k}" for k in range(ROWS)]
    write_embeddings(folder / "e", ids, rows)
    colours = [COLOURS[k] for k in picked]
    columns = {"id": ids, "short": colours, "context": colours, "question": ["what colour ?"] * ROWS, "answer": colours}
    pq.write_table(pa.table(columns), folder / "t.parquet")
    size, vocabulary = LanguageModelSettings(hidden_size=32, layers=2, heads=2), [*COLOURS, "what", "colour", "?"]
    train_language_model(folder / "t.parquet", 56, vocabulary, size, READING, seed=0, out=folder / "llm")
