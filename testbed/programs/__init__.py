"""Small programs that run in nodes, where no well-kept program does the same.

They use the standard library alone, and little of it: in a guest every page of code costs. The web
application and the WebSocket programs are the exceptions: they use Debian's Python packages, and
those of HTTP/3 use aioquic, an extra.
"""

from __future__ import annotations

_FOLDER = __file__.rpartition("/")[0]
PROJECT = _FOLDER.rsplit("/", 2)[0]
"""For the PYTHONPATH of programs that are not in this folder and import from it."""


def argv(name: str, *arguments: str, packages: bool = False) -> list[str]:
    """The start-up line of a program of this folder: nothing of the user's.

    Args:
        name: of the program.
        arguments: what follows.
        packages: with Debian's Python packages, which take longer to load.
    """
    alone = () if packages else ("-S",)
    return ["/usr/bin/python3", "-I", *alone, path(name), *arguments]


def path(name: str) -> str:
    """The file of a program of this folder."""
    return f"{_FOLDER}/{name}.py"
