"""Records of TLS in a stream (RFC 8446 §5.1, RFC 5246 §6.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from analysis.streams import Beginnings, Run, Stream
from analysis.tcp.flows import Mask

CHANGE_CIPHER, ALERT, HANDSHAKE, APPLICATION = 20, 21, 22, 23

HEADER_BYTES = 5
_MAJOR_VERSION = 3
LONGEST_BYTES = (1 << 14) + 2048  # RFC 5246 §6.2.3
RECORD = re.compile(rb"[\x14-\x18]\x03[\x00-\x04]", re.DOTALL)
_BEGINNING = re.compile(
    rb"\x16\x03[\x00-\x04]..[\x01\x02]\x00|\x15\x03[\x00-\x04]\x00\x02", re.DOTALL
)


@dataclass(frozen=True)
class Record:
    """One record as sent.

    Attributes:
        content: type of its content, by the header (TLS 1.3 hides the real one).
        begin, end: places in the stream.
        frame: the frame that completes it.
        body: what follows the header.
        header: the header.
    """

    content: int
    begin: int
    end: int
    frame: int
    body: bytes
    header: bytes


def records(stream: Stream) -> Iterator[Record]:
    """The records of a stream from its first to a hole, or to what is no record.

    Behind a hole nobody knows how many records are missing, and so the next one's number, which
    takes part in its protection.
    """
    run = next(iter(stream.runs), None)
    if run is None or run.missing_bytes:
        return
    here = first_record(run)
    if here is None:
        return
    data = run.data
    while RECORD.match(data, here) and here + HEADER_BYTES <= len(data):
        size = int.from_bytes(data[here + 3 : here + 5], "big")
        end = here + HEADER_BYTES + size
        if size > LONGEST_BYTES or end > len(data):
            return
        frame = stream.delivered(run.begin + end - 1)
        header = data[here : here + HEADER_BYTES]
        body = data[here + HEADER_BYTES : end]
        yield Record(data[here], run.begin + here, run.begin + end, frame, body, header)
        here = end


def may_begin(pieces: Beginnings) -> Mask:
    """Pieces that can begin with the record of a hello, or of a warning before it."""
    version = (pieces.second == _MAJOR_VERSION) | (pieces.second < 0)
    begins: Mask = ((pieces.first == ALERT) | (pieces.first == HANDSHAKE)) & version
    return begins


def first_record(run: Run) -> int | None:
    """Where records begin: at once, or with a later segment (STARTTLS, or behind a hole)."""
    here = 0
    for piece in run.pieces:
        if _BEGINNING.match(piece):
            return here
        if here == 0 and len(run.pieces) > 1 and _BEGINNING.match(run.data):
            return here
        here += len(piece)
    return None
