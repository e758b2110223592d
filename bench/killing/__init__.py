"""What `bench/kills.py` kills, and where it looks for what is left."""
