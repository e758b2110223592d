"""From parameters to a run directory: the runtimes, and the programs that run inside them."""
