"""Numbers and vectors of TLS's presentation language (RFC 8446 §3)."""

from __future__ import annotations


class Cut(Exception):
    """A length leads over the end of what there is."""


class Reader:
    """Takes numbers and vectors off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count > self.left:
            raise Cut
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, width: int) -> int:
        """The next number of `width` bytes."""
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> Reader:
        """The next vector, whose length has `width` bytes (RFC 8446 §3.4)."""
        return Reader(self.take(self.number(width)))
