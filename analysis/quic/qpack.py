"""Header fields of HTTP/3, decoded by the library pylsqpack (RFC 9204), an extra."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

Fields = tuple[tuple[str, str], ...]

_BLOCKED_STREAMS = 1 << 10
_MOST_CAPACITY_BYTES = 1 << 20


class Qpack:
    """Decodes what one side of a connection sends; without the library, nothing."""

    def __init__(self) -> None:
        self._decoder = _decoder(0)
        self._waiting: dict[int, Callable[[Fields], None]] = {}

    def allow(self, capacity_bytes: int) -> None:
        """The other side's settings: how large the dynamic table may become. Entries are numbered
        according to it (RFC 9204 §4.5.1.1)."""
        self._decoder = _decoder(min(capacity_bytes, _MOST_CAPACITY_BYTES))

    def learn(self, instructions: bytes) -> None:
        """Takes bytes of the encoder's stream; headers that waited for them are told now."""
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
        if not self._try(partial(self._decoder.feed_header, stream, block), tell):
            self._waiting[stream] = tell

    def _try(self, decode: Callable[[], Any], tell: Callable[[Fields], None]) -> bool:
        """False: the block waits for entries of the table."""
        import pylsqpack

        try:
            found = decode()[1]
        except pylsqpack.StreamBlocked:
            return False
        except _errors():
            self._decoder = None
            return True
        tell(tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in found))
        return True


def _decoder(capacity_bytes: int) -> Any:
    try:
        import pylsqpack
    except ModuleNotFoundError:
        return None
    return pylsqpack.Decoder(capacity_bytes, _BLOCKED_STREAMS)


def _errors() -> tuple[type[Exception], ...]:
    import pylsqpack

    return (pylsqpack.DecompressionFailed, pylsqpack.EncoderStreamError, ValueError)
