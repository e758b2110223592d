"""The two consoles of the command line: results to `out`, everything else to `err`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape

_LOG_COLUMNS = 120
"""Width of tables when the output is not a terminal."""

out = Console(emoji=False, width=None if sys.stdout.isatty() else _LOG_COLUMNS)
err = Console(stderr=True, emoji=False, width=None if sys.stderr.isatty() else _LOG_COLUMNS)


def tell_error(text: str) -> None:
    """Prints an error the only way we do: one line that says what is wrong and how to fix it."""
    line = " ".join(text.split("\n"))
    err.print(f"[bold red]error:[/] {escape(line)}", highlight=False, soft_wrap=True)
