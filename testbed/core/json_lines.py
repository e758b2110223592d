"""What programs log as JSON, one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def json_lines(text: str) -> Iterator[dict[str, Any]]:
    """The objects of a log; lines of another form are left out.

    So is a last line that is cut off, as when the program was killed while it wrote.

    Raises:
        ValueError: another line begins as an object but is none.
    """
    *lines, last = text.split("\n")
    for line in lines:
        if line.startswith("{"):
            yield json.loads(line)
    if last.startswith("{"):
        try:
            yield json.loads(last)
        except ValueError:
            return
