"""The classic pcap file format (draft-ietf-opsawg-pcap): one link type, one record a packet."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.packets import link
from analysis.packets.records import Interface, Records
from analysis.packets.walk import Bytes, Offsets, RecordRule, Walked, walk, words
from analysis.packets.window import CELL_BYTES, WORD_BYTES, Cells, take

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


class PcapRule(RecordRule):
    """Records of 16 bytes header (seconds, fraction, captured, wire) and the packet."""

    header_bytes, length_at, overhead_bytes, min_length = 16, 8, 16, 0

    def __init__(self, endian: str, max_length: int, ticks_a_second: int) -> None:
        self.endian, self.max_length = endian, max_length
        self.ticks_a_second = ticks_a_second

    def mark(self, data: Bytes, first: int) -> tuple[bytes, int]:
        """The upper half of the seconds: the same for 18 hours."""
        at = 2 if self.endian == "<" else 0
        return data[first + at : first + at + 2].tobytes(), at

    def plausible(self, data: Bytes, at: Offsets) -> npt.NDArray[np.bool_]:
        """Two headers in a row with a sane fraction of a second and sane lengths."""
        word = words(data, self.endian)
        good = self._sane(word, at)
        after = at + 16 + word[at + 8].astype(np.int64)
        inside = after + 16 <= len(data)
        good &= ~inside | self._sane(word, np.where(inside, after, at))
        return good

    def _sane(self, word: npt.NDArray[np.uint32], at: Offsets) -> npt.NDArray[np.bool_]:
        captured, wire = word[at + 8], word[at + 12]
        sane: npt.NDArray[np.bool_] = (
            (word[at + 4] < self.ticks_a_second)
            & (captured <= self.max_length)
            & (captured <= wire)
            & (wire <= _MAX_BELIEVED_BYTES)
        )
        return sane


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
        self.rule = PcapRule(self.endian, limit, 1_000_000_000 // self.tick_ns)
        self.interfaces = [Interface(self.link_type)]

    def walk(self, data: Bytes, start: int, stop: int) -> Walked:
        """Record starts in [start, stop)."""
        return walk(data, start, stop, self.rule)

    def describe(self, data: Bytes, at: Offsets) -> Records:
        """Times and lengths of the records that start at `at`."""
        lead = link.lead_bytes(self.link_type) if int(at[0]) >= WORD_BYTES else 0
        cells = Cells(take(data, at - lead, 16 + CELL_BYTES + WORD_BYTES))
        seconds, ticks, captured, wire = (
            cells.field(lead + 4 * i, f"{self.endian}u4").astype(np.uint32) for i in range(4)
        )
        time_ns = seconds.astype(np.int64)
        time_ns *= 1_000_000_000
        time_ns += ticks * np.int64(self.tick_ns)
        return Records(
            time_ns,
            wire,
            captured,
            at + 16,
            cells=cells,
            cells_base=lead + 16,
        )

    def reason(self, bad_length: int) -> str:
        """Why a record's length is not believed."""
        return f"a packet of {bad_length} bytes is longer than {self.rule.max_length} bytes"
