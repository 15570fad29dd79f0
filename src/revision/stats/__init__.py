"""Intervals, paired comparisons and verdicts on claims."""
