"""The classic pcap file format (draft-ietf-opsawg-pcap): one link type, one record a packet."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from analysis.packets.records import Interface, Records
from analysis.packets.walk import RecordRule, Walked, walk
from analysis.packets.window import Bytes

HEADER_BYTES = 24
_MAX_BELIEVED_BYTES = 16 << 20
_USUAL_LIMIT_BYTES = 262_144
_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Magic number → byte order, nanoseconds in a tick."""


def is_pcap(head: bytes) -> bool:
    """True if the file's first bytes say pcap."""
    return head[:4] in _MAGICS


@dataclass
class Pcap:
    """Reads records of one pcap file; `head` is its 24-byte header."""

    endian: str
    tick_ns: int
    snap_bytes: int
    link_type: int

    @classmethod
    def from_header(cls, head: bytes) -> Pcap:
        """Reads the file header, which is complete."""
        endian, tick_ns = _MAGICS[head[:4]]
        snap, link = struct.unpack_from(endian + "II", head, 16)
        # The upper bits of the last word hold the FCS length (draft §4).
        return cls(endian, tick_ns, snap, link & 0x03FF_FFFF)

    def __post_init__(self) -> None:
        limit = min(max(self.snap_bytes, _USUAL_LIMIT_BYTES), _MAX_BELIEVED_BYTES)
        # 16 bytes of header (seconds, fraction, captured, wire), and the packet
        self.rule = RecordRule(self.endian, 16, 8, 16, 0, limit, 4)
        self.interfaces = [Interface(self.link_type)]

    def walk(self, data: Bytes, start: int, most: int) -> Walked:
        """Starts of at most this many records."""
        return walk(data, start, self.rule, most)

    def describe(self, _data: Bytes, walked: Walked) -> Records:
        """Times and lengths of the records."""
        seconds, ticks, captured, wire = walked.words
        time_ns = seconds.astype(np.int64)
        time_ns *= 1_000_000_000
        time_ns += ticks * np.int64(self.tick_ns)
        return Records(time_ns, wire, captured, walked.offsets + 16)

    def reason(self, bad_length: int) -> str:
        """Why a record's length is not believed."""
        return f"a packet of {bad_length} bytes is longer than {self.rule.max_length} bytes"
