"""One experiment over many parameters and seeds: which runs, who makes them, what they found."""
