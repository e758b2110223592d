"""WebSocket frames of a capture (RFC 6455), in connections whose upgrade from HTTP it shows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import pandas as pd

from analysis import decode_as, streams, tls
from analysis.dissect import http, tables
from analysis.dissect.http_messages import Message, messages
from analysis.dissect.websocket_frames import Frame, frames
from analysis.streams import Conversation, Stream

COLUMNS = streams.COLUMNS
"""What `packets` must hold."""

FRAME = (
    "frame",
    "first_frame",
    "connection",
    "side",
    "type",
    "opcode",
    "fin",
    "rsv",
    "masked",
    "masking_key",
    "header_bytes",
    "payload_bytes",
    "message",
    "message_type",
    "extensions",
    "compressed",
    "text",
    "data",
    "close_code",
    "complete",
    "cut",
    "malformed",
    "problem",
)

MOST_DATA_BYTES = 1 << 16

_SWITCHES = re.compile(rb"HTTP/1\.1 101[ \r]")


def read(
    packets: pd.DataFrame,
    ports: Collection[int] | None = None,
    *,
    most_data_bytes: int = MOST_DATA_BYTES,
) -> pd.DataFrame:
    """One row per frame, in the order in which they were complete.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_ns`` are carried along.
        ports: where a stream whose beginning was not captured is searched for the handshake; None:
            those of `analysis.dissect.http`.
        most_data_bytes: how much of each payload is kept in ``data`` and in ``text``.

    Returns:
        the columns of `packets` (at the TCP segment that completes the WebSocket frame) but the
        payload, and:

        - ``frame``, ``first_frame``: the packets that complete it, and that bring its first byte;
          ``connection`` (as in `analysis.tcp.analyse`); ``side`` (``client``, ``server``)
        - ``type`` (``continuation``, ``text``, ``binary``, ``close``, ``ping``, ``pong``; a
          reserved one as ``opcode 11``), ``opcode``, ``fin``, ``rsv`` (0 to 7), ``masked``,
          ``masking_key`` (hexadecimal); ``header_bytes``, ``payload_bytes`` (as the header says)
        - ``message`` (number of its message among those of its side, from 1; 0 for control frames),
          ``message_type`` (``text``, ``binary``, also of a continuation)
        - ``extensions`` (as agreed in the handshake, for example ``permessage-deflate``),
          ``compressed``
        - ``data`` (the payload without its mask, compressed if it was sent so), ``text`` (readable:
          without compression; of a close its reason), ``close_code``
        - ``complete``: all of it was sent; ``cut``: the capture lacks a part; ``malformed`` and
          ``problem``: it breaks RFC 6455 or 7692, and how

        A row of type ``rest`` stands for bytes in which frames cannot be told apart: behind a hole
        in which a frame begins, or behind very many frames.
    """
    ports = decode_as.ports(packets, "http", http.PORTS) if ports is None else ports
    rows = [
        row
        for conversation in tls.conversations(packets, wanted=partial(http.may_speak, ports))
        for row in _rows(conversation, ports, most_data_bytes)
    ]
    rows.sort(key=lambda row: row["frame"])
    table = tables.with_messages(packets, rows, FRAME)
    numbers = dict.fromkeys(("first_frame", "opcode", "close_code"), "Int64")
    return table.astype({**numbers, "payload_bytes": "UInt64"})


def _rows(
    conversation: Conversation, ports: Collection[int], most_data_bytes: int
) -> Iterator[dict[str, Any]]:
    """The frames of a connection."""
    response = handshake(conversation, ports)
    if response is None:
        return
    extensions = response.header("sec-websocket-extensions") or ""
    request = response.request
    begins = [(response.side, response.end, False)]
    if request:
        begins.append((request.side, request.end, True))
    for side, begin, from_client in begins:
        stream = conversation.sides[side]
        for frame in frames(stream, begin, from_client=from_client, extensions=extensions):
            about = {
                "connection": conversation.connection,
                "side": "client" if from_client else "server",
                "extensions": extensions,
            }
            yield about | _row(stream, frame, most_data_bytes)


def handshake(conversation: Conversation, ports: Collection[int] = http.PORTS) -> Message | None:
    """The response that switches a connection to WebSocket; None if there is none.

    Args:
        conversation: the connection.
        ports: as for `read`.
    """
    runs = (run for stream in conversation.sides for run in stream.runs)
    if not any(_SWITCHES.search(run.data) for run in runs):
        return None
    for message in messages(conversation, ports, 0):
        if message.status == 101 and (message.header("upgrade") or "").lower() == "websocket":
            return message
    return None


def _row(stream: Stream, frame: Frame, most_data_bytes: int) -> dict[str, Any]:
    last = min(frame.end, stream.end) - 1
    return {
        "frame": stream.delivered(max(frame.begin, last)),
        "first_frame": stream.frame(frame.begin),
        "type": frame.type,
        "opcode": frame.opcode,
        "fin": frame.fin,
        "rsv": frame.rsv,
        "masked": frame.masking_key is not None,
        "masking_key": frame.masking_key.hex() if frame.masking_key else None,
        "header_bytes": frame.header_bytes,
        "payload_bytes": frame.payload_bytes,
        "message": frame.message,
        "message_type": frame.message_type or None,
        "compressed": frame.compressed,
        "text": None if frame.text is None else frame.text[:most_data_bytes],
        "data": frame.payload[:most_data_bytes],
        "close_code": frame.close_code,
        "complete": frame.complete,
        "cut": frame.cut,
        "malformed": bool(frame.problems) and frame.opcode is not None,
        "problem": "; ".join(frame.problems) or None,
    }
