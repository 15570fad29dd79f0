"""Geometry of embeddings: arrays in, numbers out (sections 3 and 4, appendices B to G; follow-up arXiv:2605.07825)."""
