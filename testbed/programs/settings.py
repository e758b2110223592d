"""Settings of servers in nodes, from their command lines: ``name=value``, and ``check``."""

import sys
from collections.abc import Collection, Iterable
from typing import NoReturn


def read(
    words: Iterable[str], settings: dict[str, str], flaws: set[str], known: Collection[str]
) -> bool:
    """Reads a command line; at an unknown word the program ends with code 2.

    Args:
        words: of the command line.
        settings: name → value; replaced by what is given, among it ``flaws=a,b``.
        flaws: gets the mistakes that are wanted.
        known: names of all mistakes.

    Returns:
        True if the program is to serve, False if it is only to check its settings.
    """
    serve = True
    for word in words:
        name, _, value = word.partition("=")
        if name == "check":
            serve = False
            continue
        if name not in settings:
            refuse(f"{name}: unknown; known: {', '.join(settings)}")
        settings[name] = value
    flaws.update(filter(None, settings["flaws"].split(",")))
    if unknown := flaws.difference(known):
        refuse(f"flaws: {min(unknown)} is unknown; known: {', '.join(known)}")
    return serve


def refuse(why: str) -> NoReturn:
    """Ends the program with code 2."""
    sys.stderr.write(f"{why}\n")
    raise SystemExit(2)
