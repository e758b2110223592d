"""Frames of QUIC packets (RFC 9000 §19, RFC 9221)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from analysis.quic.headers import QuicReader
from analysis.tls.reader import Cut

PADDING, PING, ACK, CRYPTO, STREAM = "PADDING", "PING", "ACK", "CRYPTO", "STREAM"
CONNECTION_CLOSE, NEW_CONNECTION_ID = "CONNECTION_CLOSE", "NEW_CONNECTION_ID"
MALFORMED = "malformed"

ERRORS = {
    0x0: "NO_ERROR",
    0x1: "INTERNAL_ERROR",
    0x2: "CONNECTION_REFUSED",
    0x3: "FLOW_CONTROL_ERROR",
    0x4: "STREAM_LIMIT_ERROR",
    0x5: "STREAM_STATE_ERROR",
    0x6: "FINAL_SIZE_ERROR",
    0x7: "FRAME_ENCODING_ERROR",
    0x8: "TRANSPORT_PARAMETER_ERROR",
    0x9: "CONNECTION_ID_LIMIT_ERROR",
    0xA: "PROTOCOL_VIOLATION",
    0xB: "INVALID_TOKEN",
    0xC: "APPLICATION_ERROR",
    0xD: "CRYPTO_BUFFER_EXCEEDED",
    0xE: "KEY_UPDATE_ERROR",
    0xF: "AEAD_LIMIT_REACHED",
    0x10: "NO_VIABLE_PATH",
}
"""Of the transport (RFC 9000 §20.1); 0x1xx are alerts of TLS."""

_MOST_RANGES = 1 << 12


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        type: its name.
        about: its fields by the names of `analysis.dissect.quic.FRAME`.
        data: what CRYPTO and STREAM carry.
    """

    type: str
    about: dict[str, Any]
    data: bytes = b""


def read(payload: bytes) -> Iterator[Frame]:
    """All frames of a packet; a last one of type `MALFORMED` if the payload cannot be read on.

    Padding in a row is one frame.
    """
    body = QuicReader(payload)
    while body.left:
        if body.data[body.at] == 0:
            rest = body.data[body.at :]
            count = len(rest) - len(rest.lstrip(b"\0"))
            body.take(count)
            yield Frame(PADDING, {"data_bytes": count})
            continue
        try:
            yield _one(body)
        except Cut:
            yield Frame(MALFORMED, {"problem": "a frame goes over the packet's end"})
            return
        except _UnknownError as error:
            yield Frame(MALFORMED, {"problem": str(error)})
            return


class _UnknownError(Exception):
    """A frame's type, or a value that no frame may have."""


def _one(body: QuicReader) -> Frame:
    kind = body.varint()
    if 0x08 <= kind <= 0x0F:
        return _stream(body, kind)
    if kind in (0x30, 0x31):  # RFC 9221 §4
        data = body.take(body.varint() if kind & 1 else body.left)
        return Frame("DATAGRAM", {"data_bytes": len(data)}, data)
    if kind not in _FRAMES:
        raise _UnknownError(f"no frame has the type 0x{kind:x}")
    return _FRAMES[kind](body, kind)


def _stream(body: QuicReader, kind: int) -> Frame:
    stream = body.varint()
    offset = body.varint() if kind & 4 else 0
    data = body.take(body.varint() if kind & 2 else body.left)
    about = {"stream": stream, "offset": offset, "data_bytes": len(data), "fin": bool(kind & 1)}
    return Frame(STREAM, about, data)


def _crypto(body: QuicReader, kind: int) -> Frame:
    offset = body.varint()
    data = body.take(body.varint())
    return Frame(CRYPTO, {"offset": offset, "data_bytes": len(data)}, data)


def _ack(body: QuicReader, kind: int) -> Frame:
    """RFC 9000 §19.3."""
    largest, delay, count = body.varint(), body.varint(), body.varint()
    if count > _MOST_RANGES:
        raise _UnknownError(f"an ACK with {count} ranges")
    low = largest - body.varint()
    ranges = [(low, largest)]
    for _ in range(count):
        high = low - body.varint() - 2
        low = high - body.varint()
        ranges.append((low, high))
    if low < 0:
        raise _UnknownError("an ACK of negative packet numbers")
    if kind & 1:  # counts of ECN
        for _ in range(3):
            body.varint()
    return Frame(ACK, {"largest": largest, "ack_delay": delay, "ranges": tuple(ranges)})


def _new_connection_id(body: QuicReader, kind: int) -> Frame:
    about: dict[str, Any] = {"sequence": body.varint(), "retired_below": body.varint()}
    about["id"] = body.vector(1).data.hex()
    body.take(16)  # the token of a stateless reset
    return Frame(NEW_CONNECTION_ID, about)


def _close(body: QuicReader, kind: int) -> Frame:
    error = body.varint()
    if kind == 0x1C:
        body.varint()  # the frame that caused it
    reason = body.take(body.varint()).decode("utf-8", "replace")
    name = f"0x{error:x}"
    if kind == 0x1C:
        name = f"TLS alert {error - 0x100}" if 0x100 <= error < 0x200 else ERRORS.get(error, name)
    return Frame(CONNECTION_CLOSE, {"error": name, "reason": reason})


def _fields(name: str, *fields: str) -> Callable[[QuicReader, int], Frame]:
    """A frame of integers."""

    def read_fields(body: QuicReader, kind: int) -> Frame:
        about: dict[str, Any] = {field: body.varint() for field in fields}
        if name.startswith(("MAX_STREAMS", "STREAMS_BLOCKED")):
            about["unidirectional"] = bool(kind & 1)
        return Frame(name, about)

    return read_fields


def _path(name: str) -> Callable[[QuicReader, int], Frame]:
    return lambda body, kind: Frame(name, {"challenge": body.take(8).hex()})


def _new_token(body: QuicReader, kind: int) -> Frame:
    return Frame("NEW_TOKEN", {"data_bytes": len(body.take(body.varint()))})


_FRAMES: dict[int, Callable[[QuicReader, int], Frame]] = {
    0x01: _fields(PING),
    0x02: _ack,
    0x03: _ack,
    0x04: _fields("RESET_STREAM", "stream", "code", "offset"),
    0x05: _fields("STOP_SENDING", "stream", "code"),
    0x06: _crypto,
    0x07: _new_token,
    0x10: _fields("MAX_DATA", "limit"),
    0x11: _fields("MAX_STREAM_DATA", "stream", "limit"),
    0x12: _fields("MAX_STREAMS", "limit"),
    0x13: _fields("MAX_STREAMS", "limit"),
    0x14: _fields("DATA_BLOCKED", "limit"),
    0x15: _fields("STREAM_DATA_BLOCKED", "stream", "limit"),
    0x16: _fields("STREAMS_BLOCKED", "limit"),
    0x17: _fields("STREAMS_BLOCKED", "limit"),
    0x18: _new_connection_id,
    0x19: _fields("RETIRE_CONNECTION_ID", "sequence"),
    0x1A: _path("PATH_CHALLENGE"),
    0x1B: _path("PATH_RESPONSE"),
    0x1C: _close,
    0x1D: _close,
    0x1E: _fields("HANDSHAKE_DONE"),
}
