"""Bytes of a stream, put in order (RFC 9000 §2.2)."""

from __future__ import annotations

import heapq

MOST_WAITING_BYTES = 1 << 24
"""What may wait for a gap to be filled; what comes beyond is left out."""


class Assembly:
    """Takes pieces in any order, also twice, and gives what has no gap."""

    def __init__(self) -> None:
        self.reached = 0
        """Bytes that were given."""
        self._waiting: dict[int, bytes] = {}
        self._offsets: list[int] = []
        """Of what waits: a heap."""
        self._bytes = 0

    def add(self, offset: int, data: bytes) -> bytes:
        """Adds a piece, and returns all bytes that can be read now and could not before."""
        if offset > self.reached:
            if self._bytes + len(data) <= MOST_WAITING_BYTES:
                kept = self._waiting.get(offset, b"")
                if data and not kept:
                    heapq.heappush(self._offsets, offset)
                if len(data) > len(kept):
                    self._bytes += len(data) - len(kept)
                    self._waiting[offset] = data
            return b""
        found = bytearray(data[self.reached - offset :])
        self.reached += len(found)
        while self._offsets and self._offsets[0] <= self.reached:
            offset = heapq.heappop(self._offsets)
            piece = self._waiting.pop(offset)
            self._bytes -= len(piece)
            new = piece[self.reached - offset :]
            found += new
            self.reached += len(new)
        return bytes(found)

    @property
    def has_gap(self) -> bool:
        """Whether bytes wait for others before them."""
        return bool(self._waiting)
