"""Priorities of HTTP/3 (RFC 9218) for aioquic, which has none: which stream a server sends first.

`Connection` takes the place of aioquic's class. Streams that nobody has prioritised take turns, as
with aioquic.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from aioquic.buffer import Buffer, BufferReadError
from aioquic.h3.connection import encode_frame
from aioquic.quic.connection import QuicConnection, stream_is_unidirectional

URGENCIES = range(8)
"""0 comes first (RFC 9218 §4.1)."""

_URGENCY = {str(urgency): urgency for urgency in URGENCIES}
USUAL_URGENCY = 3
PRIORITY_UPDATE = 0xF0700
CONTROL = 0
"""The type of the stream that has these frames (RFC 9114 §6.2.1)."""

MOST_BYTES = 4096
"""Of a control stream; what comes later is not read."""

Rank = tuple[int, int]
"""The smaller one is sent first; equal ones take turns."""

_OWN: Rank = (-1, 0)
"""Of the connection's own streams, as those of QPACK, for which others wait."""


def rank(stream: int, field: str) -> Rank:
    """Where a stream stands by a Priority field value (RFC 9218 §4), as ``u=1, i``.

    Incremental responses of one urgency take turns; the others come one after another (§10).
    """
    urgency, incremental = USUAL_URGENCY, False
    for part in field.split(","):
        name, _, value = part.partition(";")[0].strip().partition("=")  # parameters say nothing
        if name == "u":
            urgency = _URGENCY.get(value, urgency)
        elif name == "i":
            incremental = value in ("", "?1")
    return urgency, -1 if incremental else stream


def update(stream: int, field: str) -> bytes:
    """A PRIORITY_UPDATE frame for a request's stream (RFC 9218 §7.2)."""
    body = Buffer(capacity=8 + len(field))
    body.push_uint_var(stream)
    body.push_bytes(field.encode())
    return bytes(encode_frame(PRIORITY_UPDATE, body.data))


def updates(said: bytes) -> dict[int, str]:
    """The last Priority field value for each stream that PRIORITY_UPDATE frames name.

    Args:
        said: a client's unidirectional stream from its beginning.
    """
    found: dict[int, str] = {}
    body = Buffer(data=said)
    with contextlib.suppress(BufferReadError):  # the rest has not come yet
        if body.pull_uint_var() != CONTROL:
            return found
        while True:
            kind, size = body.pull_uint_var(), body.pull_uint_var()
            frame = Buffer(data=body.pull_bytes(size))
            if kind == PRIORITY_UPDATE:
                stream = frame.pull_uint_var()
                found[stream] = frame.data_slice(frame.tell(), size).decode("ascii", "replace")
    return found


class _Queue(list[Any]):
    """Streams in the order in which they are served."""

    def __init__(self, streams: Iterable[Any], ranks: dict[int, Rank]) -> None:
        super().__init__(streams)
        self.ranks = ranks

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(super().__iter__(), key=self._rank))

    def _rank(self, stream: Any) -> Rank:
        number = stream.stream_id
        usual = _OWN if stream_is_unidirectional(number) else (USUAL_URGENCY, -1)
        return self.ranks.get(number, usual)


class Connection(QuicConnection):
    """A QUIC connection that serves its streams by their ranks."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.ranks: dict[int, Rank] = {}
        super().__init__(*given, **named)

    @property
    def _streams_queue(self) -> list[Any]:
        return self._queue

    @_streams_queue.setter
    def _streams_queue(self, streams: list[Any]) -> None:
        """The library makes a new list with each packet, those that were served at its end."""
        self._queue = _Queue(streams, self.ranks)
