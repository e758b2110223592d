"""FRR configurations as text: made from a topology, read, checked. Starts nothing."""
