"""Header fields of HTTP/3, decoded by the library pylsqpack (RFC 9204), an extra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from analysis.tls.reader import Cut, Reader

Fields = tuple[tuple[str, str], ...]

_BLOCKED_STREAMS = 1 << 10
_MOST_CAPACITY_BYTES = 1 << 16
_MOST_LINES = 1 << 8
"""Fields of a block. A line of one byte can stand for an entry that fills the table, so this times
the capacity, 16 MiB, is what comes out at most."""
_LONGEST_INTEGER_BYTES = 10


@dataclass
class Room:
    """How much may come out of all blocks of a capture, in bytes."""

    left: int = 1 << 26


class Qpack:
    """Decodes what one side of a connection sends; without the library, nothing.

    Args:
        room: for what comes out, shared by all connections.
    """

    def __init__(self, room: Room) -> None:
        self._decoder, self._room = _decoder(0), room
        self._waiting: dict[int, Callable[[Fields], None]] = {}

    def allow(self, capacity_bytes: int) -> None:
        """The other side's settings: how large the dynamic table may become. Entries are numbered
        according to it (RFC 9204 §4.5.1.1)."""
        self._decoder = _decoder(min(capacity_bytes, _MOST_CAPACITY_BYTES))

    def learn(self, instructions: bytes) -> None:
        """Takes bytes of the encoder's stream; blocks that waited for them can be decoded now."""
        if self._decoder is None:
            return
        try:
            ready = self._decoder.feed_encoder(instructions)
        except _errors():
            self._decoder = None  # what follows cannot be read either
            return
        for stream in ready:
            tell = self._waiting.pop(stream, None)
            if tell is not None and self._decoder is not None:
                self._try(partial(self._decoder.resume_header, stream), tell)

    def read(self, stream: int, block: bytes, tell: Callable[[Fields], None]) -> None:
        """Gives a header block's fields to `tell`: at once, or when the table has them."""
        if self._decoder is None or stream in self._waiting:
            return
        try:
            if lines(block) > _MOST_LINES:
                return
        except Cut:
            return
        if not self._try(partial(self._decoder.feed_header, stream, block), tell):
            self._waiting[stream] = tell

    def _try(self, decode: Callable[[], Any], tell: Callable[[Fields], None]) -> bool:
        """False: the block waits for entries of the table."""
        import pylsqpack

        if self._room.left <= 0:
            self._decoder = None
            return True
        try:
            found = decode()[1]
        except pylsqpack.StreamBlocked:
            return False
        except _errors():
            self._decoder = None
            return True
        self._room.left -= sum(len(name) + len(value) for name, value in found)
        tell(tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in found))
        return True


def lines(block: bytes) -> int:
    """How many fields a header block has (RFC 9204 §4.5).

    Raises:
        Cut: it is damaged.
    """
    body, count = _Prefixed(block), 0
    body.integer(8), body.integer(7)  # what the block needs of the table
    while body.left:
        first = body.data[body.at]
        count += 1
        if first & 0x80:  # an entry of a table
            body.integer(6)
        elif first & 0x40:  # an entry's name, and a value
            body.integer(4), body.text(7)
        elif first & 0x20:  # a name and a value
            body.text(3), body.text(7)
        elif first & 0x10:  # an entry that came after the block's base
            body.integer(4)
        else:  # its name, and a value
            body.integer(3), body.text(7)
    return count


class _Prefixed(Reader):
    """Reads integers that begin within a byte (RFC 7541 §5.1), and texts."""

    def integer(self, bits: int) -> int:
        """One whose first byte has so many bits of it."""
        most = (1 << bits) - 1
        value = self.number(1) & most
        if value < most:
            return value
        for place in range(_LONGEST_INTEGER_BYTES):
            octet = self.number(1)
            value += (octet & 0x7F) << 7 * place
            if not octet & 0x80:
                return value
        raise Cut

    def text(self, bits: int) -> bytes:
        """One whose size begins with so many bits."""
        return self.take(self.integer(bits))


def _decoder(capacity_bytes: int) -> Any:
    try:
        import pylsqpack
    except ModuleNotFoundError:
        return None
    return pylsqpack.Decoder(capacity_bytes, _BLOCKED_STREAMS)


def _errors() -> tuple[type[Exception], ...]:
    import pylsqpack

    return (pylsqpack.DecompressionFailed, pylsqpack.EncoderStreamError, ValueError)
