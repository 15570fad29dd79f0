"""Templates of the lmms-eval tasks and the functions that they name."""
