"""Data: the built-in world, corpus tables and published data sets."""
