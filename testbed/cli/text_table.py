"""Tables for the command line: as wide as the terminal; without one, nothing is cut or wrapped."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from testbed.cli.console import out

if TYPE_CHECKING:
    import pandas as pd

GAP = "  "
_LEAST_TEXT = 30
"""Columns that the last cell needs at least; with fewer it goes to a line of its own."""

_INDENT = 4


def coloured() -> bool:
    """True if standard output takes colours (a terminal, and no NO_COLOR)."""
    return out.color_system is not None and not out.no_color


def terminal_columns() -> int | None:
    """Columns of the terminal that standard output is; None if it is none."""
    return shutil.get_terminal_size().columns if out.is_terminal else None


def write(text: str = "") -> None:
    """One line to standard output; colours only where they are wanted."""
    click.echo(text, color=coloured())


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: frozenset[str] = frozenset(),
    styles: Iterable[str | None] | None = None,
) -> None:
    """Prints a table; its last column may be long, and wraps in a terminal.

    Args:
        headings: of the columns.
        rows: their cells, without control characters.
        right: headings of columns aligned to the right.
        styles: a colour's name for each row; None: no colour.
    """
    cells = [list(row) for row in rows]
    widths = [
        max([width(heading), *(width(row[place]) for row in cells)])
        for place, heading in enumerate(headings)
    ]
    align = [heading in right for heading in headings]
    columns = terminal_columns()
    write(click.style("\n".join(_lines(headings, widths, align, columns)), bold=True))
    for row, style in zip(cells, styles or [None] * len(cells), strict=True):
        for line in _lines(row, widths, align, columns):
            write(click.style(line, fg=style) if style else line)


def _lines(
    row: Sequence[str], widths: Sequence[int], align: Sequence[bool], columns: int | None
) -> list[str]:
    fixed = GAP.join(
        _padded(cell, wide, right)
        for cell, wide, right in zip(row[:-1], widths, align, strict=False)
    )
    last = _padded(row[-1], widths[-1], True) if align[-1] else row[-1]
    whole = f"{fixed}{GAP}{last}" if len(row) > 1 else last
    if columns is None or width(whole) <= columns:
        return [whole.rstrip()]
    before = width(fixed) + len(GAP) if len(row) > 1 else 0
    if columns - before >= _LEAST_TEXT:
        first, *rest = wrapped(last, columns - before)
        return [f"{fixed}{GAP}{first}", *(" " * before + line for line in rest)]
    return [fixed, *(" " * _INDENT + line for line in wrapped(last, columns - _INDENT))]


def _padded(text: str, wide: int, right: bool) -> str:
    room = " " * (wide - width(text))
    return room + text if right else text + room


def width(text: str) -> int:
    """Columns that a text takes in a terminal: two for each East Asian wide character."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def wrapped(text: str, columns: int) -> list[str]:
    """A text in lines of at most `columns` columns; breaks within words only if it must."""
    columns = max(columns, 8)
    lines, line = [], ""
    for word in text.split(" "):
        if line and width(line) + 1 + width(word) <= columns:
            line += f" {word}"
            continue
        if line:
            lines.append(line)
        *full, line = _pieces(word, columns)
        lines += full
    return [*lines, line]


def _pieces(word: str, columns: int) -> list[str]:
    """A word in pieces of at most `columns` columns."""
    if word.isascii():
        return [word[at : at + columns] for at in range(0, len(word), columns)] or [""]
    pieces, taken = [""], 0
    for one in word:
        wide = width(one)
        if taken + wide > columns:
            pieces.append("")
            taken = 0
        pieces[-1] += one
        taken += wide
    return pieces


def text(value: object) -> str:
    """A cell's text: nothing for what is missing, bytes in hexadecimal, no control characters."""
    import pandas as pd

    from analysis.printable import printable

    if isinstance(value, bytes):
        return value.hex()
    if value is None or pd.isna(value):  # type: ignore[call-overload]
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return printable(str(value))


def frame(values: pd.DataFrame, left: frozenset[str] = frozenset()) -> None:
    """Prints a DataFrame; columns but those in `left` hold numbers."""
    names = list(map(str, values))
    rows = [[text(cell) for cell in row] for row in values.itertuples(index=False)]
    table(names, rows, right=frozenset(names) - left)
