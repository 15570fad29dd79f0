"""ReVision: a benchmark harness for the modality gap (arXiv:2602.07026)."""

__version__ = "0.1.0"
