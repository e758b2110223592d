"""HTTP/2 of a capture (RFC 9113, RFC 7541): its frames, and the messages that they make up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis import streams, tls
from analysis.dissect import http, http2_frames, tables
from analysis.dissect.http2_frames import Connection, Frame
from analysis.dissect.http_messages import REQUEST, RESPONSE, Message
from analysis.streams import Beginnings, Conversation, Octets
from analysis.tcp.flows import Mask

COLUMNS = streams.COLUMNS
"""What `packets` must hold. Connections are known by their preface, whatever the port."""

FRAME = (
    "frame",
    "first_frame",
    "connection",
    "from_client",
    "type",
    "stream",
    "flags",
    "payload_bytes",
    "data_bytes",
    "headers",
    "block_bytes",
    "field_bytes",
    "table_bytes",
    "method",
    "target",
    "host",
    "status",
    "settings",
    "increment",
    "error",
    "last_stream",
    "promised",
    "depends_on",
    "weight",
    "exclusive",
    "detail",
    "cut",
    "malformed",
    "problem",
)

MESSAGE = (*http.MESSAGE, "stream", "pushed", "reset")

_NUMBERS = (
    *("first_frame", "stream", "payload_bytes", "data_bytes", "block_bytes", "field_bytes"),
    *("table_bytes", "status", "increment", "last_stream", "promised", "depends_on", "weight"),
)


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row per frame, in the order in which they were complete.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_ns`` are carried along.

    Returns:
        the columns of `packets` (at the packet that completes the frame) but the payload, and:

        - ``first_frame``: the packet that brings its first byte; ``connection`` (as in
          `analysis.tcp.analyse`), ``from_client``
        - ``type`` (``DATA``, ``HEADERS``, …; ``PREFACE``: the client's first 24 bytes), ``stream``,
          ``flags`` (their names, with commas), ``payload_bytes``
        - ``data_bytes``: of DATA, without padding
        - at the frame that ends a header block: ``headers`` ((name, value), …), ``block_bytes`` (as
          sent), ``field_bytes`` (names and values as text), ``table_bytes`` (the sender's header
          table behind the block, RFC 7541 §4.1), and of the fields ``method``, ``target``,
          ``host`` and ``status``
        - ``settings`` (``NAME=value``, with commas), ``increment`` (WINDOW_UPDATE), ``error``
          (RST_STREAM, GOAWAY), ``last_stream``, ``promised``, ``depends_on``, ``weight``
          (1 to 256), ``exclusive``, ``detail`` (what PING, GOAWAY, ALTSVC and PRIORITY_UPDATE say)
        - ``cut``: the capture lacks a part of it; ``malformed`` and ``problem``: it breaks RFC
          9113, or could not be read, and why

        A row of type ``rest`` stands for bytes in which frames cannot be told apart: behind a hole
        in which a frame begins, behind very many frames (both are ``cut``), or where the sender
        broke off within a frame's head.
    """
    rows = [
        _frame_row(conversation, found, connection)
        for conversation, connection in _connections(packets)
        for frames in connection.frames
        for found in frames
    ]
    rows.sort(key=lambda row: row["frame"])
    table = tables.with_messages(packets, rows, FRAME)
    return table.astype(dict.fromkeys(_NUMBERS, "Int64"))


def messages(packets: pd.DataFrame, *, most_body_bytes: int = http.MOST_BODY_BYTES) -> pd.DataFrame:
    """One row per request and response, in the order in which they were complete.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_ns`` are carried along.
        most_body_bytes: how much of each body is kept in ``body``.

    Returns:
        the columns of `analysis.dissect.http.read`, and ``stream``, ``pushed`` (a request that the
        server promised, or the response to one), ``reset`` (the error with which the stream was
        reset). ``host`` is the authority. ``request_frame`` of the response on stream 1 of an
        upgraded connection is that of the HTTP/1 request, which is not among the rows.
    """
    rows = []
    for conversation, connection in _connections(packets):
        for message in _Messages(conversation, connection, most_body_bytes).all():
            row = http.row(conversation, message)
            row["host"] = _value(message.headers, ":authority") or row["host"]
            rows.append({**row, **message.about})
    rows.sort(key=lambda row: row["frame"])
    table = tables.with_messages(packets, rows, MESSAGE)
    numbers = ("first_frame", "head_frame", "status", "content_bytes", "request_frame", "stream")
    return table.astype(dict.fromkeys(numbers, "Int64"))


def _connections(packets: pd.DataFrame) -> Iterator[tuple[Conversation, Connection]]:
    for conversation in tls.conversations(packets, wanted=_may_speak):
        if (found := http2_frames.read(conversation)) is not None:
            yield conversation, found


def _may_speak(pieces: Beginnings) -> Mask:
    """Streams that begin with a capital letter, as the preface and methods do."""
    speaks: Mask = pieces.head & (pieces.first >= ord("A")) & (pieces.first <= ord("Z"))
    return speaks


def _value(headers: http2_frames.Fields, name: str) -> str | None:
    return next((value for key, value in headers if key == name), None)


def _frame_row(conversation: Conversation, found: Frame, connection: Connection) -> dict[str, Any]:
    stream, headers = conversation.sides[found.side], found.headers or ()
    status = _value(headers, ":status") or ""
    fields = None if found.headers is None else sum(len(n) + len(v) for n, v in found.headers)
    is_data = found.kind == "DATA"
    return {
        "frame": stream.delivered(found.end - 1),
        "first_frame": stream.frame(found.begin),
        "connection": conversation.connection,
        "from_client": found.side == connection.client,
        "type": found.kind,
        "stream": found.stream,
        "flags": ",".join(found.flags),
        "payload_bytes": found.payload_bytes,
        "data_bytes": (found.payload_bytes if found.cut else len(found.data)) if is_data else None,
        "headers": found.headers,
        "block_bytes": found.block_bytes,
        "field_bytes": fields,
        "table_bytes": found.table_bytes,
        "method": _value(headers, ":method"),
        "target": _value(headers, ":path"),
        "host": _value(headers, ":authority"),
        "status": int(status) if status.isdecimal() and len(status) == 3 else None,
        **found.values,
        "cut": found.cut,
        "malformed": bool(found.problem) and not (found.cut and found.kind == http2_frames.REST),
        "problem": found.problem or None,
    }


@dataclass
class _StreamMessage(Message):
    """A message on a stream; `about` are the columns that HTTP/1 has not."""

    about: dict[str, Any] = field(default_factory=dict)


class _Messages:
    """Puts the messages of a connection together."""

    def __init__(
        self, conversation: Conversation, connection: Connection, most_body_bytes: int
    ) -> None:
        self.conversation, self.connection, self.most = conversation, connection, most_body_bytes
        self.requests: dict[int, Message] = {}
        if connection.upgraded:
            self.requests[1] = connection.upgraded
        self.found: list[_StreamMessage] = []

    def all(self) -> list[_StreamMessage]:
        """Requests and responses; the requests first, so that responses find theirs."""
        client = self.connection.client
        for side, kind in ((client, REQUEST), (1 - client, RESPONSE)):
            under_way: dict[int, tuple[_StreamMessage, list[bytes]]] = {}
            for frame in self.connection.frames[side]:
                self._take(frame, kind, under_way)
            lacking = self._lacking(side)
            for message, body in under_way.values():
                message.cut = message.cut or lacking
                message.body = b"".join(body)
        self._note_resets()
        return self.found

    def _lacking(self, side: int) -> bool:
        """Whether the capture may lack what would end the messages of a side."""
        frames = self.connection.frames[side]
        rest = frames[-1] if frames and frames[-1].kind == http2_frames.REST else None
        behind = frames[-1].end if frames else 0
        return rest.cut if rest else Octets(self.conversation.sides[side]).lacking(behind)

    def _take(
        self, frame: Frame, kind: str, under_way: dict[int, tuple[_StreamMessage, list[bytes]]]
    ) -> None:
        """One frame of a side."""
        if frame.opens and frame.opens.kind == "PUSH_PROMISE":
            promised = int(frame.opens.values.get("promised", 0))
            message = self._begin(frame, frame.opens, REQUEST, promised, pushed=True)
            self.requests[promised] = message
            message.complete = not message.problem
            return
        if frame.opens:
            if frame.stream in under_way:  # trailers
                self._add(frame, *under_way[frame.stream])
            else:
                self._head(frame, frame.opens, kind, under_way)
        elif frame.kind == "DATA" and frame.stream in under_way:
            self._add(frame, *under_way[frame.stream])
        ends = (frame.opens or frame).flags if frame.opens or frame.kind == "DATA" else ()
        if "END_STREAM" in ends and frame.stream in under_way:
            message, body = under_way.pop(frame.stream)
            message.complete, message.body = not message.cut, b"".join(body)

    def _head(
        self,
        frame: Frame,
        opens: Frame,
        kind: str,
        under_way: dict[int, tuple[_StreamMessage, list[bytes]]],
    ) -> None:
        """A header block that begins a message."""
        pushed = kind == RESPONSE and frame.stream % 2 == 0
        message = self._begin(frame, opens, kind, frame.stream, pushed=pushed)
        if kind == REQUEST:
            self.requests[frame.stream] = message
        else:
            message.request = self.requests.get(frame.stream)
        if message.status is not None and 100 <= message.status < 200:
            message.complete = True  # another one follows on the stream
        else:
            under_way[frame.stream] = message, []

    def _begin(
        self, frame: Frame, opens: Frame, kind: str, stream: int, *, pushed: bool
    ) -> _StreamMessage:
        headers = frame.headers or ()
        message = _StreamMessage(frame.side, kind, opens.begin, frame.end, frame.end, "2")
        message.about = {"stream": stream, "pushed": pushed, "reset": None}
        message.headers, message.problem, message.cut = headers, frame.problem, frame.cut
        status = _value(headers, ":status") or ""
        if kind == REQUEST:
            message.method, message.target = _value(headers, ":method"), _value(headers, ":path")
        elif status.isdecimal() and len(status) == 3:
            message.status = int(status)
        known = message.problem or message.cut or message.method or message.status
        if not known:
            message.problem = "no :method or :status (RFC 9113 §8.3)"
        self.found.append(message)
        return message

    def _add(self, frame: Frame, message: _StreamMessage, body: list[bytes]) -> None:
        """A part of a message's body, or its trailers."""
        if frame.kind == "DATA":
            room = self.most - message.body_bytes
            if room > 0 and frame.data:
                body.append(frame.data[:room])
            message.body_bytes += frame.payload_bytes if frame.cut else len(frame.data)
        message.cut = message.cut or frame.cut
        message.end = frame.end

    def _note_resets(self) -> None:
        resets = {
            frame.stream: frame.values.get("error")
            for frames in self.connection.frames
            for frame in frames
            if frame.kind == "RST_STREAM"
        }
        for message in self.found:
            message.about["reset"] = resets.get(message.about["stream"])
