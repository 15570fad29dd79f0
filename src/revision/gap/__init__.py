"""Measurement of the modality gap of an encoder, with its report page and the leaderboard of encoders."""
