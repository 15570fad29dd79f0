"""Contrastive training of dual encoders."""
