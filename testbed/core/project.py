"""Where the project is."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
"""The folder with `experiments`, `topologies`, `labs` and the rest."""
