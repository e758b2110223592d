"""HTTP/2 frames in the streams of a connection (RFC 9113); hyperframe and hpack do the parsing.

A connection is known by the client's preface, at its beginning or behind an upgrade from HTTP/1
(RFC 7540 §3.2). Header compression has a memory: where a header block could not be read, the later
ones of that side cannot be read either, and say so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import hpack
from hyperframe import exceptions
from hyperframe import frame as wire

from analysis.dissect.http_messages import RESPONSE, Message, messages
from analysis.streams import Conversation, Octets, Stream

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

TYPES = {
    0x0: "DATA",
    0x1: "HEADERS",
    0x2: "PRIORITY",
    0x3: "RST_STREAM",
    0x4: "SETTINGS",
    0x5: "PUSH_PROMISE",
    0x6: "PING",
    0x7: "GOAWAY",
    0x8: "WINDOW_UPDATE",
    0x9: "CONTINUATION",
    0xA: "ALTSVC",
    0xC: "ORIGIN",
    0x10: "PRIORITY_UPDATE",
}
"""RFC 9113 §6, RFC 7838 §4, RFC 8336 §2, RFC 9218 §7.1."""

SETTINGS = {
    0x1: "HEADER_TABLE_SIZE",
    0x2: "ENABLE_PUSH",
    0x3: "MAX_CONCURRENT_STREAMS",
    0x4: "INITIAL_WINDOW_SIZE",
    0x5: "MAX_FRAME_SIZE",
    0x6: "MAX_HEADER_LIST_SIZE",
    0x8: "ENABLE_CONNECT_PROTOCOL",
    0x9: "NO_RFC7540_PRIORITIES",
}
"""RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1."""

ERRORS = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT"),
    *("STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR"),
    *("CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"),
)
"""RFC 9113 §7."""

REST = "rest"
"""The kind of a row that stands for bytes in which frames cannot be told apart."""

HEAD_BYTES = 9
LONGEST_BLOCK_BYTES = 1 << 17
"""Of a header block as sent, and of its fields as RFC 7541 §4.1 counts them."""

LARGEST_TABLE_BYTES = 1 << 20
MOST_FRAMES = 200_000
"""Of one side of a connection."""

_BROKEN_OFF = "the stream ends within the frame"
_BROKEN = "the header table is not known: an earlier block could not be read"
_LONGEST_PROBLEM = 200
_ID_BYTES = 4
_ENTRY_BYTES = 32
_WITH_FIELDS = (wire.HeadersFrame, wire.PushPromiseFrame, wire.ContinuationFrame)

Fields = tuple[tuple[str, str], ...]


@dataclass
class Frame:
    """One frame.

    Attributes:
        side: of the connection that sent it.
        begin, end: places in the side's stream; `end` is that of the last byte captured, plus one.
        kind: its type's name; ``PREFACE`` for the client's first bytes.
        flags: names of the flags that are set.
        stream: its stream identifier.
        payload_bytes: its length, without the frame's head.
        data: of DATA, without padding.
        opens: of a frame that ends a header block the frame that began it.
        block_bytes: length of that block as sent.
        headers: the block's fields; None if it could not be read, or if the frame ends none.
        table_bytes: size of the sender's header table behind the block (RFC 7541 §4.1).
        values: what other frames hold: names of the table's columns → values.
        cut: the capture lacks a part.
        problem: what is wrong with it, or empty; of a `REST` that is cut, why it is unread.
    """

    side: int
    begin: int
    end: int
    kind: str
    flags: tuple[str, ...] = ()
    stream: int = 0
    payload_bytes: int = 0
    data: bytes = b""
    opens: Frame | None = None
    block_bytes: int | None = None
    headers: Fields | None = None
    table_bytes: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    cut: bool = False
    problem: str = ""


@dataclass
class Connection:
    """The frames of both sides.

    Attributes:
        client: the side that sent the preface.
        frames: of side 0, and of side 1.
        upgraded: the HTTP/1 request that became stream 1, or None.
    """

    client: int
    frames: tuple[list[Frame], list[Frame]]
    upgraded: Message | None


def read(conversation: Conversation) -> Connection | None:
    """The frames of a connection; None if it does not speak HTTP/2."""
    begins: list[int | None] = [0, 0]
    upgraded = None
    client = next((n for n, s in enumerate(conversation.sides) if _opens(s)), None)
    if client is None:
        if (found := _upgrade(conversation)) is None:
            return None
        client, begins, upgraded = found
    sides: list[list[Frame]] = [[], []]
    for side, stream in enumerate(conversation.sides):
        if (begin := begins[side]) is not None:
            sides[side] = list(_Side(stream, side, begin, side == client).frames())
    return Connection(client, (sides[0], sides[1]), upgraded)


def _opens(stream: Stream) -> bool:
    """Whether a stream begins with the preface."""
    return stream.head[:1] == b"P" and stream.runs[0].data.startswith(PREFACE)


def _upgrade(conversation: Conversation) -> tuple[int, list[int | None], Message] | None:
    """The side of the client, where the frames of both sides begin, and the request."""
    if not any(b"h2c" in run.data for stream in conversation.sides for run in stream.runs[:1]):
        return None
    for switch in messages(conversation, (), 0):
        request = switch.request
        if switch.kind != RESPONSE or switch.status != 101 or request is None:
            continue
        if (switch.header("upgrade") or "").lower() != "h2c":
            continue
        for run in conversation.sides[request.side].runs:
            if (at := run.data.find(PREFACE, max(0, request.head_end - run.begin))) >= 0:
                begins: list[int | None] = [None, None]
                begins[request.side], begins[switch.side] = run.begin + at, switch.head_end
                return request.side, begins, request
    return None


class _Side:
    """Reads the frames of one stream."""

    def __init__(self, stream: Stream, side: int, begin: int, is_client: bool) -> None:
        self.octets, self.side, self.place, self.is_client = Octets(stream), side, begin, is_client
        self.fields = _Fields()

    def frames(self) -> Iterator[Frame]:
        """All frames, in their order."""
        if self.is_client:
            behind = self.place + len(PREFACE)
            yield Frame(self.side, self.place, behind, "PREFACE", payload_bytes=len(PREFACE))
            self.place = behind
        for count in range(MOST_FRAMES + 1):
            head = self.octets.at(self.place, HEAD_BYTES)
            if len(head) < HEAD_BYTES:
                yield from self._end(head)
                return
            if count == MOST_FRAMES:
                yield self._rest(f"more than the first {MOST_FRAMES} frames", cut=True)
                return
            found = self._frame(head)
            if count == 0 and found.kind != "SETTINGS":
                return  # RFC 9113 §3.4: it does not speak HTTP/2
            yield found

    def _end(self, head: bytes) -> Iterator[Frame]:
        """What is left where no whole head of a frame is."""
        behind = self.place + len(head)
        if self.octets.more(behind):
            if not head:
                self.place = self.octets.next_begin(behind)
            yield self._rest("the capture lacks where a frame begins: the rest is unread", cut=True)
        elif head:
            yield self._rest(_BROKEN_OFF, cut=self.octets.lacking(behind))

    def _rest(self, why: str, *, cut: bool) -> Frame:
        return Frame(self.side, self.place, self.place + 1, REST, cut=cut, problem=why)

    def _frame(self, head: bytes) -> Frame:
        """The frame at `self.place`, which moves behind it."""
        begin, size = self.place, int.from_bytes(head[:3], "big")
        payload = self.octets.at(begin + HEAD_BYTES, size)
        end = begin + HEAD_BYTES + len(payload)
        whole = len(payload) == size
        cut = not whole and self.octets.lacking(end)
        self.place = begin + HEAD_BYTES + size
        found = Frame(
            self.side,
            begin,
            end,
            TYPES.get(head[3], f"type {head[3]:#04x}"),
            stream=int.from_bytes(head[5:9], "big") & 0x7FFF_FFFF,
            payload_bytes=size,
            cut=cut,
            problem="" if whole or cut else _BROKEN_OFF,
        )
        parsed = _parsed(found, head, payload, whole)
        self.fields.take(found, parsed)
        return found


def _parsed(found: Frame, head: bytes, payload: bytes, whole: bool) -> wire.Frame | None:
    """What hyperframe reads; None of a frame that it does not take, or that is not whole."""
    kind = wire.FRAMES.get(head[3])
    if kind is None:
        found.values["detail"] = _said(found.kind, payload[:_LONGEST_PROBLEM])
        return None
    found.flags = tuple(name for name, bit in kind.defined_flags if head[4] & bit)
    if not whole:
        padded = found.kind == "DATA" and "PADDED" in found.flags
        found.data = payload[padded:] if found.kind == "DATA" else b""
        return None
    try:
        parsed = kind(found.stream)
        parsed.parse_flags(head[4])
        parsed.parse_body(memoryview(payload))
        found.values |= _VALUES.get(found.kind, _nothing)(parsed)
    except exceptions.HyperframeError as error:
        found.problem = str(error)[:_LONGEST_PROBLEM]
        return None
    if isinstance(parsed, wire.DataFrame):
        found.data = bytes(parsed.data)
    return parsed


class _Fields:
    """The header blocks of one side, and the table that they share."""

    def __init__(self) -> None:
        self.decoder: hpack.Decoder | None = hpack.Decoder(LONGEST_BLOCK_BYTES)
        self.decoder.max_allowed_table_size = LARGEST_TABLE_BYTES
        self.table = _TableSize()
        self.lost_by = ""
        self.block = bytearray()
        self.opening: Frame | None = None
        self.texts: dict[bytes, str] = {}

    def take(self, found: Frame, parsed: wire.Frame | None) -> None:
        """One more frame of the side."""
        begins = found.kind in ("HEADERS", "PUSH_PROMISE")
        goes_on = found.kind == "CONTINUATION"
        if self.opening and not (goes_on and found.stream == self.opening.stream):
            found.problem = found.problem or "within another stream's header block (§6.10)"
            self._lose(_BROKEN, ended=True)
        elif goes_on and not self.opening:
            found.problem = found.problem or "CONTINUATION without a header block (§6.10)"
        elif begins or goes_on:
            self._add(found, parsed)

    def _add(self, found: Frame, parsed: wire.Frame | None) -> None:
        """A part of a header block."""
        self.opening = self.opening or found
        ended = "END_HEADERS" in found.flags
        if not isinstance(parsed, _WITH_FIELDS):
            self._lose("" if found.cut else _BROKEN, ended)
            return
        self.block += parsed.data
        if len(self.block) > LONGEST_BLOCK_BYTES:
            found.problem = f"a header block of more than {LONGEST_BLOCK_BYTES} bytes is not read"
            self._lose(_BROKEN, ended)
        elif ended:
            self._finish(found, self.opening)

    def _finish(self, found: Frame, opening: Frame) -> None:
        """The last part of a header block."""
        found.opens, octets = opening, bytes(self.block)
        self.block.clear()
        self.opening = None
        if self.decoder is None:
            found.cut, found.problem = not self.lost_by, self.lost_by
            return
        found.block_bytes = len(octets)
        try:
            fields = list(self.decoder.decode(octets, raw=True))
        except hpack.HPACKError as error:
            found.problem = f"header block: {error}"[:_LONGEST_PROBLEM]
            self._lose(_BROKEN, ended=True)
            return
        found.headers = tuple((self._text(name), self._text(value)) for name, value in fields)
        found.table_bytes = self.table.bytes_now(self.decoder.header_table.dynamic_entries)

    def _text(self, octets: bytes) -> str:
        """As text; equal texts are one, because a short block can name a long field often."""
        return self.texts.setdefault(octets, _text(octets))

    def _lose(self, why: str, ended: bool) -> None:
        """A block could not be read, so the table is not known; `why` is empty for a cut one."""
        self.lost_by = self.lost_by if self.decoder is None else why
        self.decoder = None
        self.block.clear()
        if ended:
            self.opening = None


class _TableSize:
    """The size of a header table, without adding it up behind each block."""

    def __init__(self) -> None:
        self.sizes: deque[int] = deque()
        self.total_bytes = 0
        self.newest: object = None

    def bytes_now(self, entries: deque[tuple[bytes, bytes]]) -> int:
        """The size (RFC 7541 §4.1) of a table whose newest entry is the first."""
        added = list(takewhile(lambda entry: entry is not self.newest, entries))
        for name, value in reversed(added):
            self.sizes.appendleft(_ENTRY_BYTES + len(name) + len(value))
            self.total_bytes += self.sizes[0]
        while len(self.sizes) > len(entries):
            self.total_bytes -= self.sizes.pop()
        self.newest = entries[0] if entries else None
        return self.total_bytes


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def _error(code: int) -> str:
    return ERRORS[code] if code < len(ERRORS) else f"{code:#x}"


def _nothing(_: Any) -> dict[str, Any]:
    return {}


def _priority(parsed: Any) -> dict[str, Any]:
    if "PRIORITY" not in parsed.flags and not isinstance(parsed, wire.PriorityFrame):
        return {}
    return {
        "depends_on": parsed.depends_on,
        "weight": parsed.stream_weight + 1,  # RFC 9113 §5.3.2 of its predecessor, RFC 7540
        "exclusive": parsed.exclusive,
    }


def _said(kind: str, payload: bytes) -> str | None:
    """What a frame says that hyperframe does not know."""
    if kind == "PRIORITY_UPDATE" and len(payload) >= _ID_BYTES:  # RFC 9218 §7.1
        stream = int.from_bytes(payload[:_ID_BYTES], "big") & 0x7FFF_FFFF
        return f"{stream}: {_text(payload[_ID_BYTES:])}"
    return _text(payload) if kind == "ORIGIN" else None


_VALUES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "HEADERS": _priority,
    "PRIORITY": _priority,
    "RST_STREAM": lambda parsed: {"error": _error(parsed.error_code)},
    "SETTINGS": lambda parsed: {
        "settings": ",".join(f"{SETTINGS.get(n, hex(n))}={v}" for n, v in parsed.settings.items())
    },
    "PUSH_PROMISE": lambda parsed: {"promised": parsed.promised_stream_id},
    "PING": lambda parsed: {"detail": parsed.opaque_data.hex()},
    "GOAWAY": lambda parsed: {
        "last_stream": parsed.last_stream_id,
        "error": _error(parsed.error_code),
        "detail": _text(parsed.additional_data[:_LONGEST_PROBLEM]) or None,
    },
    "WINDOW_UPDATE": lambda parsed: {"increment": parsed.window_increment},
    "ALTSVC": lambda parsed: {"detail": _text(parsed.field[:_LONGEST_PROBLEM])},
}
"""Type → the columns that a frame of it fills."""
