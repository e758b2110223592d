"""WebSocket frames in one direction of a connection (RFC 6455 §5), with RFC 7692's compression.

The header of a frame has 2 to 14 bytes and is read here: libraries such as wsproto refuse what an
endpoint must refuse, and an observer has to show just that. What breaks a rule is read as far as it
goes, and says which rule it breaks.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from analysis.streams import Octets, Stream

OPCODES = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
"""Opcode → name (RFC 6455 §11.8)."""

REST = "rest"
"""The type of a row that stands for bytes in which frames cannot be told apart."""

DEFLATE = "permessage-deflate"

_CONTROL, _CLOSE = 8, 8
_MOST_CONTROL_BYTES = 125
_RSV1 = 4
_NEVER_SENT = {1005, 1006, 1015}  # they say that no frame with a code came (§7.4.1)
_TAIL = b"\0\0\xff\xff"  # left out by the sender (RFC 7692 §7.2.1)
_INFLATED_BYTES, _INFLATED_PER_BYTE = 1 << 16, 64
"""Compressed messages of a stream are read up to this many bytes, and this many more for each byte
captured, so that time is linear in the capture."""

MOST_FRAMES = 100_000
"""Frames that are read of a stream."""


@dataclass
class Frame:
    """One frame.

    Attributes:
        begin, end: places in the stream; the end is that of the payload, captured or not.
        opcode: 0 to 15; None for `REST`.
        fin: the last frame of its message.
        rsv: the three reserved bits, as 0 to 7.
        masking_key: 4 bytes; None without a mask.
        header_bytes: with the extended length and the masking key.
        payload_bytes: by the header.
        payload: without the mask, as far as captured; still compressed if it was sent so.
        message: number of the data message that it belongs to, from 1; 0 for control frames.
        message_type: ``text`` or ``binary``, also of a continuation; empty for control frames.
        compressed: its message is compressed.
        text: of a text message what this frame adds, of a close the reason; None if unreadable.
        close_code: of a close; None if it has none.
        complete: all of it was sent.
        cut: the capture lacks a part.
        problems: rules that it breaks.
    """

    begin: int
    end: int
    opcode: int | None = None
    fin: bool = False
    rsv: int = 0
    masking_key: bytes | None = None
    header_bytes: int = 0
    payload_bytes: int = 0
    payload: bytes = b""
    message: int = 0
    message_type: str = ""
    compressed: bool = False
    text: str | None = None
    close_code: int | None = None
    complete: bool = True
    cut: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def type(self) -> str:
        """The opcode's name."""
        if self.opcode is None:
            return REST
        return OPCODES.get(self.opcode, f"opcode {self.opcode}")


def frames(stream: Stream, begin: int, *, from_client: bool, extensions: str) -> Iterator[Frame]:
    """The frames of one direction, in their order.

    Args:
        stream: what one side sent: of a TCP connection, or of a stream in HTTP/2 (RFC 8441).
        begin: place of the first frame: behind the handshake.
        from_client: the client sent it, and so has to mask (§5.1).
        extensions: as the server's handshake names them.
    """
    messages = _Messages(from_client, extensions, _captured_bytes(stream))
    octets = Octets(stream)
    place = begin
    for number in range(MOST_FRAMES + 1):
        header = octets.at(place, 14)
        if not header:
            if octets.more(place):
                yield _rest(octets.next_begin(place), "the capture lacks where a frame begins")
            return
        if number == MOST_FRAMES:
            yield _rest(place, f"more than {MOST_FRAMES} frames")
            return
        frame = _header(header, place)
        frame.payload = octets.at(place + frame.header_bytes, frame.payload_bytes)
        missing = len(frame.payload) < frame.payload_bytes or len(header) < frame.header_bytes
        if missing:
            whole_head = len(header) >= frame.header_bytes
            read_bytes = frame.header_bytes + len(frame.payload) if whole_head else len(header)
            frame.cut = octets.lacking(place + read_bytes)
            frame.complete = octets.more(frame.end - 1)
        if frame.masking_key:
            frame.payload = unmask(frame.payload, frame.masking_key)
        messages.read(frame, whole=not missing)
        yield frame
        place = frame.end


def unmask(octets: bytes, key: bytes) -> bytes:
    """XOR with the key, which repeats (§5.3)."""
    mask = np.resize(np.frombuffer(key, np.uint8), len(octets))
    return (np.frombuffer(octets, np.uint8) ^ mask).tobytes()


def _rest(place: int, why: str) -> Frame:
    return Frame(
        place, place + 1, complete=False, cut=True, problems=[f"{why}: the rest is unread"]
    )


def _captured_bytes(stream: Stream) -> int:
    return sum(run.end - run.begin for run in stream.runs)


def _header(octets: bytes, place: int) -> Frame:
    """§5.2; of a header that is cut off only what there is."""
    first, second = octets[0], octets[1] if len(octets) > 1 else 0
    masked, short = bool(second & 0x80), second & 0x7F
    size = {126: 2, 127: 8}.get(short, 0)
    length = int.from_bytes(octets[2 : 2 + size], "big") if size else short
    header_bytes = 2 + size + 4 * masked
    frame = Frame(place, place + header_bytes + length, first & 0xF, bool(first & 0x80))
    frame.rsv, frame.header_bytes, frame.payload_bytes = first >> 4 & 7, header_bytes, length
    if masked and len(octets) >= header_bytes:
        frame.masking_key = octets[2 + size : header_bytes]
    if len(octets) < header_bytes:
        frame.payload_bytes, frame.end = 0, place + max(header_bytes, len(octets))
    elif size and length < (126 if size == 2 else 1 << 16):
        frame.problems.append("the length is not in its shortest form")
    elif length >> 63:
        frame.problems.append("a length of more than 63 bits")
    if len(octets) > 1 and not masked:
        frame.masking_key = None
    return frame


class _Messages:
    """What frames make together: messages, their text, and the end."""

    def __init__(self, from_client: bool, extensions: str, captured_bytes: int) -> None:
        self.from_client = from_client
        self.side = "client" if from_client else "server"
        self.count, self.open_type, self.open_compressed = 0, "", False
        self.closed = False
        self.deflated = DEFLATE in extensions
        fresh = f"{self.side}_no_context_takeover" in extensions
        budget = _INFLATED_BYTES + _INFLATED_PER_BYTE * captured_bytes
        self.inflater = _Inflater(fresh, budget)
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def read(self, frame: Frame, whole: bool) -> None:
        """Takes the next frame, and says what it belongs to and which rules it breaks."""
        opcode = frame.opcode or 0
        if whole and (frame.masking_key is not None) != self.from_client:
            said = "has no mask" if self.from_client else "is masked"
            frame.problems.append(f"a {self.side}'s frame {said}")
        if opcode not in OPCODES:
            frame.problems.append("a reserved opcode")
        first = 0 < opcode < _CONTROL
        if frame.rsv & ~(_RSV1 if self.deflated and first else 0):
            frame.problems.append("reserved bits without an extension that uses them")
        if self.closed:
            frame.problems.append("comes after a close")
        if opcode >= _CONTROL:
            self._control(frame, whole)
        else:
            self._data(frame, whole)

    def _control(self, frame: Frame, whole: bool) -> None:
        """§5.5."""
        if not frame.fin:
            frame.problems.append("a control frame in fragments")
        if frame.payload_bytes > _MOST_CONTROL_BYTES:
            frame.problems.append("a control frame of more than 125 bytes")
        if frame.opcode != _CLOSE:
            return
        self.closed = True
        if len(frame.payload) >= 2:
            frame.close_code = int.from_bytes(frame.payload[:2], "big")
            frame.text = frame.payload[2:].decode("utf-8", "replace")
            if not 1000 <= frame.close_code < 5000 or frame.close_code in _NEVER_SENT:
                frame.problems.append(f"close code {frame.close_code} must not be sent")
        elif whole and frame.payload_bytes == 1:
            frame.problems.append("a close code of one byte")

    def _data(self, frame: Frame, whole: bool) -> None:
        """§5.4, §5.6."""
        if frame.opcode:
            if self.open_type:
                frame.problems.append("begins a message before the last one has ended")
            self.count += 1
            self.open_type = frame.type
            self.open_compressed = self.deflated and bool(frame.rsv & _RSV1)
            self.decoder.reset()
            self.inflater.begin()
        elif not self.open_type:
            frame.problems.append("continues no message")
        else:
            frame.message_type = self.open_type
        frame.message = self.count if self.open_type else 0
        frame.message_type, frame.compressed = self.open_type, self.open_compressed
        octets: bytes | None = frame.payload
        if self.open_compressed:
            octets = self.inflater.read(frame, whole)
        if frame.message_type == "text" and octets is not None:
            self._decode(frame, octets, whole)
        if frame.fin:
            self.open_type = ""

    def _decode(self, frame: Frame, octets: bytes, whole: bool) -> None:
        """§8.1: a character may lie in two frames, but not in two messages."""
        try:
            frame.text = self.decoder.decode(octets, frame.fin and whole)
        except UnicodeDecodeError:
            frame.text = octets.decode("utf-8", "backslashreplace")
            frame.problems.append("text that is not UTF-8")
            self.decoder.reset()


class _Inflater:
    """RFC 7692 §7.2.2, as far as the budget allows."""

    def __init__(self, fresh: bool, budget_bytes: int) -> None:
        """`fresh`: each message is compressed by itself."""
        self.fresh, self.budget_bytes = fresh, budget_bytes
        self.stream, self.lost = zlib.decompressobj(-zlib.MAX_WBITS), False

    def begin(self) -> None:
        """A message begins."""
        if self.fresh or self.stream.eof:
            self.stream, self.lost = zlib.decompressobj(-zlib.MAX_WBITS), False

    def read(self, frame: Frame, whole: bool) -> bytes | None:
        """What a frame adds to its message; None if that cannot be known."""
        if self.lost or not whole:
            self.lost = True  # what comes later refers to what is missing
            return None
        octets = frame.payload + (_TAIL if frame.fin else b"")
        try:
            found = self.stream.decompress(octets, max(1, self.budget_bytes))
        except zlib.error:
            frame.problems.append("compressed data that cannot be read")
            self.lost = True
            return None
        self.budget_bytes -= len(found)
        if self.stream.unconsumed_tail:
            self.lost = True
        return found
