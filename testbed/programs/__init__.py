"""Small programs that run in nodes, where no well-kept program does the same.

They use the standard library alone, and little of it: in a guest every page of code costs. The web
application is the exception: it uses Debian's Flask and waitress.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def argv(name: str, *arguments: str) -> list[str]:
    """The start-up line of a program of this folder: no site packages, nothing of the user's."""
    return ["/usr/bin/python3", "-I", "-S", path(name), *arguments]


def path(name: str) -> str:
    """The file of a program of this folder."""
    return str(_FOLDER / f"{name}.py")
