"""Text from packets, made safe to show: nothing in it that a terminal or a page obeys."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""The text with all else than visible characters and blanks written out.

    Control characters (terminals obey ESC), line ends, and characters that turn the direction of
    writing become ``\x1b``, ``\n``, ``\u202e``.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )
