"""Dose and response of the modality gap: when it hurts, and how much of it Stage 2 absorbs in how many steps."""
