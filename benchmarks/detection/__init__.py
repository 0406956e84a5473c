"""Detection measured: the simulated plant, and sets of recordings."""
