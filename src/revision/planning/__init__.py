"""Estimate what a scale costs, and check what is missing on this machine."""
