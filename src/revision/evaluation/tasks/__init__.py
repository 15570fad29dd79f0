"""Templates of lmms-eval tasks and the functions that they refer to."""
