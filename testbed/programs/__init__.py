"""Small programs that run in nodes, where no well-kept program does the same.

They use the standard library alone, and little of it: in a guest every page of code costs.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def argv(name: str, *arguments: str) -> list[str]:
    """The start-up line of a program of this folder: no site packages, nothing of the user's."""
    return ["/usr/bin/python3", "-I", "-S", str(_FOLDER / f"{name}.py"), *arguments]
