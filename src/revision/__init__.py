"""ReVision: a benchmark harness for the modality gap (arXiv:2602.07026)."""
