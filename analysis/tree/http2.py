"""Frames of HTTP/2 as trees, where a packet begins with one (RFC 9113 §4, §6).

Header blocks stay compressed: what they mean depends on those before them, in other packets.
"""

from __future__ import annotations

from analysis.dissect.http2_frames import ERRORS, HEAD_BYTES, PREFACE, SETTINGS, TYPES
from analysis.tree.nodes import Part, flags_text, octets_text

_LARGEST_BYTES = 1 << 14
"""Of a frame that no setting allows to be larger (§6.5.2)."""

_SIZES = {"PRIORITY": 5, "RST_STREAM": 4, "PING": 8, "WINDOW_UPDATE": 4}
_OF_THE_CONNECTION = {"SETTINGS", "PING", "GOAWAY", "ORIGIN", "PRIORITY_UPDATE"}
_OF_EITHER = {"WINDOW_UPDATE", "ALTSVC"}
_END_OF_HEADERS = [(0x4, "END_HEADERS"), (0x8, "PADDED")]
_FLAGS = {
    "DATA": [(0x1, "END_STREAM"), (0x8, "PADDED")],
    "HEADERS": [(0x1, "END_STREAM"), *_END_OF_HEADERS, (0x20, "PRIORITY")],
    "PUSH_PROMISE": _END_OF_HEADERS,
    "CONTINUATION": _END_OF_HEADERS[:1],
    "SETTINGS": [(0x1, "ACK")],
    "PING": [(0x1, "ACK")],
}
_ERROR_NAMES = dict(enumerate(ERRORS))


def begins(octets: bytes) -> bool:
    """Whether bytes begin with the preface, or are frames one after another as far as they go."""
    if octets.startswith(PREFACE):
        return True
    place = 0
    while place + HEAD_BYTES <= len(octets):
        if not _is_head(octets[place : place + HEAD_BYTES]):
            return False
        place += HEAD_BYTES + int.from_bytes(octets[place : place + 3], "big")
    return place > 0


def _is_head(octets: bytes) -> bool:
    size, name = int.from_bytes(octets[:3], "big"), TYPES.get(octets[3], "")
    stream = int.from_bytes(octets[5:9], "big")
    right_stream = name in _OF_EITHER or (stream == 0) == (name in _OF_THE_CONNECTION)
    right_size = size <= _LARGEST_BYTES and size == _SIZES.get(name, size)
    return bool(name) and right_stream and right_size and stream < 1 << 31


def http2(part: Part) -> str:
    """The preface, and frames."""
    said = []
    if part.peek(len(PREFACE)) == PREFACE:
        part.text("preface", len(PREFACE))
        said.append("preface")
    for _ in part.each():
        size = int.from_bytes(part.peek(3), "big")
        frame = part.below("frame", min(HEAD_BYTES + size, part.left))
        whole = frame.left == HEAD_BYTES + size
        said.append(_frame(frame) + ("" if whole else ", goes on"))
        frame.node.value = said[-1]
    part.node.value = ", ".join(said[:6])
    return ""


def _frame(frame: Part) -> str:
    """One frame; its name with its stream."""
    frame.uint("length", 3, unit="bytes")
    name = TYPES.get(frame.uint("type", 1, TYPES), "unknown type")
    flags = frame.octets(1)[0]
    frame.at -= 1
    frame.take("flags", 1, lambda raw: flags_text(_FLAGS.get(name, []))(raw[0]))
    stream = frame.uint("stream", 4) & 0x7FFF_FFFF
    _payload(frame, name, flags)
    if frame.left:
        frame.raw("header block" if name in _BLOCKS else "data", frame.left)
    return f"{name} on stream {stream}" if stream else name


_BLOCKS = ("HEADERS", "PUSH_PROMISE", "CONTINUATION")


def _payload(frame: Part, name: str, flags: int) -> None:
    """What the frame's type says of its payload, up to data or a header block."""
    padding = 0
    if flags & 0x8 and name in ("DATA", "HEADERS", "PUSH_PROMISE") and frame.left:
        padding = frame.uint("padding", 1, unit="bytes")
    if (name == "HEADERS" and flags & 0x20) or name == "PRIORITY":
        frame.hexa("depends on", 4)
        frame.uint("weight", 1)
    elif name == "PUSH_PROMISE":
        frame.uint("promised stream", 4)
    elif name == "SETTINGS":
        for _ in frame.each():
            setting = frame.below("setting", 6)
            number = setting.uint("identifier", 2, SETTINGS)
            setting.node.value = f"{SETTINGS.get(number, number)} = {setting.uint('value', 4)}"
    elif name == "WINDOW_UPDATE":
        frame.uint("increment", 4, unit="bytes")
    elif name == "RST_STREAM":
        frame.uint("error", 4, _ERROR_NAMES)
    elif name == "GOAWAY":
        frame.uint("last stream", 4)
        frame.uint("error", 4, _ERROR_NAMES)
    elif name == "PRIORITY_UPDATE":
        frame.uint("prioritized stream", 4)
        frame.take("priority", frame.left, octets_text)
    if padding and frame.left >= padding:
        content = frame.left - padding
        if content:
            frame.raw("header block" if name in _BLOCKS else "data", content)
        frame.raw("padding bytes", padding)
