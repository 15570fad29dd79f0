"""ReVision: a benchmark harness for the modality gap (arXiv:2602.07026)."""

import os

# cuBLAS reads it once, with a process's first matrix product: `revision.training.reproducible` needs it.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
