"""Bodies of HTTP messages without their compression (RFC 9110 §8.4)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import pyarrow as pa

from analysis.dissect.http_messages import Message

MOST_CODINGS = 4
"""Codings of one body that are undone; a longer list is only made to cost time."""

_PIECE_BYTES = 1 << 16
_ARROW = {"br": "brotli", "zstd": "zstd"}


@dataclass(frozen=True)
class Body:
    """What a message carries.

    Attributes:
        data: its first bytes, without the codings that could be undone.
        codings: those undone, as the message names them, the outermost first.
        problem: why the rest is still coded or missing; empty if nothing is.
        more: the body goes on behind `data`.
    """

    data: bytes
    codings: tuple[str, ...] = ()
    problem: str = ""
    more: bool = False


def decoded(message: Message, most_bytes: int) -> Body:
    """The body of a message as its reader sees it.

    Args:
        message: with as much of its body as was kept.
        most_bytes: no more than these are unpacked, at each coding.
    """
    data, more = message.body[:most_bytes], message.body_bytes > min(len(message.body), most_bytes)
    undone: list[str] = []
    for coding in _codings(message):
        if len(undone) == MOST_CODINGS:
            return Body(data, tuple(undone), f"more than {MOST_CODINGS} codings", more)
        if coding not in {"gzip", "x-gzip", "deflate", *_ARROW}:
            return Body(data, tuple(undone), f"coding {coding} is not known", more)
        unpacked, problem, longer = _unpack(coding, data, most_bytes)
        if problem and not unpacked:
            return Body(data, tuple(undone), problem, more)
        data, more = unpacked, more or longer
        undone.append(coding)
        if problem:
            return Body(data, tuple(undone), problem, more)
    return Body(data, tuple(undone), "", more)


def _codings(message: Message) -> list[str]:
    """Codings in the order in which they are undone; the last one named was put on last."""
    if not message.body:
        return []
    named = ",".join(value for name, value in message.headers if name.lower() == "content-encoding")
    codings = [name.strip().lower() for name in named.split(",")]
    return [name for name in reversed(codings) if name not in ("", "identity")]


def _unpack(coding: str, data: bytes, most_bytes: int) -> tuple[bytes, str, bool]:
    """What could be unpacked, why no more, and whether it is longer than `most_bytes`."""
    if coding in _ARROW:
        found, problem = _with_arrow(_ARROW[coding], data, most_bytes + 1)
    else:
        found, problem = _with_zlib(coding, data, most_bytes + 1)
    longer = len(found) > most_bytes
    return found[:most_bytes], "" if longer else problem, longer


def _with_zlib(coding: str, data: bytes, most_bytes: int) -> tuple[bytes, str]:
    """gzip (RFC 1952) and deflate, which is zlib's format (RFC 1950); some send it bare."""
    bits = 16 + zlib.MAX_WBITS
    if coding == "deflate":
        bare = data[:1] != b"\x78"
        bits = -zlib.MAX_WBITS if bare else zlib.MAX_WBITS
    unpacker, found = zlib.decompressobj(bits), bytearray()
    for at in range(0, len(data), _PIECE_BYTES):
        try:
            found += unpacker.decompress(data[at : at + _PIECE_BYTES], most_bytes - len(found))
        except zlib.error:
            return bytes(found), f"{coding} data that cannot be read"
        if unpacker.eof or len(found) >= most_bytes:
            return bytes(found), ""
    return bytes(found), f"{coding} data that ends early"


def _with_arrow(codec: str, data: bytes, most_bytes: int) -> tuple[bytes, str]:
    """Brotli (RFC 7932) and Zstandard (RFC 8878)."""
    found = bytearray()
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
            while len(found) < most_bytes:
                piece = stream.read(min(_PIECE_BYTES, most_bytes - len(found)))
                if not piece:
                    break
                found += piece
    except (OSError, pa.ArrowException):
        return bytes(found), f"{codec} data that cannot be read"
    return bytes(found), ""
