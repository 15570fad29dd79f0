"""Geometry of embeddings: functions of arrays (sections 3 and 4, appendices B to G; follow-up arXiv:2605.07825)."""
