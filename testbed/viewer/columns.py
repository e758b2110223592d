"""Columns of numbers and texts, small enough to be part of a page.

A column becomes the differences of its neighbours (where that is smaller), its bytes are sorted by
their place in the number (all lowest bytes first, as Blosc's shuffle does), then deflated (RFC
1950) and written in base64. `viewer/src/columns.ts` reads it back.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 6
"""Of zlib: a higher one takes much longer, and saves 1 %."""

WIDTHS = (1, 2, 4, 8)
"""Bytes of a number that is not negative."""

_SAMPLE = 20_000


@dataclass
class Pack:
    """Blocks of a page, by name.

    Attributes:
        blocks: name → deflated bytes.
    """

    blocks: dict[str, bytes] = field(default_factory=dict)

    def times(self, name: str, values: NDArray[Any]) -> dict[str, Any]:
        """A column of int64, such as times in ns; returns what the page needs to read it."""
        return self._add(name, values.astype(np.int64), 8, delta=True)

    def numbers(self, name: str, values: NDArray[Any]) -> dict[str, Any]:
        """A column of numbers from 0 to 2⁵³."""
        wide = values.astype(np.int64)
        most = int(wide.max()) if len(wide) else 0
        width = next(width for width in WIDTHS if most < 1 << (8 * width))
        return self._add(name, wide, width, delta=_smaller_as_differences(wide, width))

    def json(self, name: str, data: Any) -> str:
        """Anything that JSON can say; returns the name."""
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str)
        self.blocks[name] = zlib.compress(text.encode("utf-8", "replace"), LEVEL)
        return name

    def _add(self, name: str, values: NDArray[Any], width: int, *, delta: bool) -> dict[str, Any]:
        self.blocks[name] = zlib.compress(_shuffled(values, width, delta), LEVEL)
        return {"name": name, "count": len(values), "width": width, "delta": delta}

    def in_base64(self) -> dict[str, str]:
        """Name → text, for the page."""
        return {name: base64.b64encode(data).decode() for name, data in self.blocks.items()}


def _shuffled(values: NDArray[Any], width: int, delta: bool) -> bytes:
    numbers = np.diff(values, prepend=0) if delta else values
    return numbers.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].T.tobytes()


def _smaller_as_differences(values: NDArray[Any], width: int) -> bool:
    some = values[:_SAMPLE]
    return len(zlib.compress(_shuffled(some, width, True), 1)) < len(
        zlib.compress(_shuffled(some, width, False), 1)
    )
