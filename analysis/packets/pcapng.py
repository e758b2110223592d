"""The pcapng file format (draft-ietf-opsawg-pcapng): sections of typed blocks.

Packets come in enhanced, simple and the old packet blocks; interfaces are described before their
packets. All other blocks (names, statistics, secrets, custom ones) are passed over.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from analysis.packets.records import Interface, Records
from analysis.packets.walk import Bytes, Offsets, RecordRule, Walked, walk, walk_one_by_one, words

SECTION, INTERFACE, OLD_PACKET, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_MAX_BLOCK_BYTES = 64 << 20
_BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_IF_NAME, _IF_TSRESOL, _IF_TSOFFSET, _END = 2, 9, 14, 0
_MOST_INTERFACES = 1 << 16
_MOST_SECTIONS = 1 << 10
"""Each section is decoded by itself; a file of nothing but sections would take hours."""


def is_pcapng(head: bytes) -> bool:
    """True if the file's first bytes say pcapng."""
    return head[:4] == b"\x0a\x0d\x0d\x0a" and head[8:12] in _BYTE_ORDER


class BlockRule(RecordRule):
    """Blocks: type, total length, body, total length again; padded to 4 bytes."""

    header_bytes, length_at, overhead_bytes, min_length = 8, 4, 0, 12
    max_length = _MAX_BLOCK_BYTES

    def __init__(self, endian: str) -> None:
        self.endian = endian

    def mark(self, data: Bytes, first: int) -> tuple[bytes, int]:
        """Block type 6."""
        return struct.pack(self.endian + "I", ENHANCED), 0

    def plausible(self, data: Bytes, at: Offsets) -> npt.NDArray[np.bool_]:
        """An enhanced packet block whose length stands at both its ends."""
        word = words(data, self.endian)
        length = word[at + 4].astype(np.int64)
        good = (word[at] == ENHANCED) & (length >= 32) & (length % 4 == 0)
        good &= at + length <= len(data)
        again = word[np.where(good, at + length - 4, at)]
        checked: npt.NDArray[np.bool_] = good & (again == length)
        return checked


class Pcapng:
    """Reads the blocks of one file, section after section."""

    def __init__(self) -> None:
        self.interfaces: list[Interface] = []
        self._first_interface = 0
        self._sections = 0
        self._rule = BlockRule("<")
        self._walked_in_section = 0
        self._why = ""

    def walk(self, data: Bytes, start: int, stop: int) -> Walked:
        """Starts of blocks in [start, stop), at most to the next section header.

        A section may turn the byte order round, so nothing behind its header is believed before
        it is read. The walk looks ahead only about as far as the section has already gone: a file
        of nothing but section headers still takes linear time.
        """
        if start + 12 > len(data):
            return Walked(np.empty(0, np.int64), start)
        if data[start : start + 4].tobytes() == b"\x0a\x0d\x0d\x0a":
            return self._section(data, start)
        if self._walked_in_section < 64 << 10:
            stop = min(stop, start + (16 << 10))
            walked = walk_one_by_one(data, start, stop, self._rule, stop_at=SECTION)
        else:
            stop = min(stop, start + 2 * self._walked_in_section)
            walked = self._to_section(data, walk(data, start, stop, self._rule))
        self._walked_in_section += walked.next_offset - start
        if walked.bad_length is not None:
            self._why = f"a block of {walked.bad_length} bytes"
        return walked

    def _section(self, data: Bytes, start: int) -> Walked:
        """Reads a section header block, which is walked alone."""
        endian = _BYTE_ORDER.get(data[start + 8 : start + 12].tobytes())
        if endian is None:
            self._why = "a section header without byte-order magic"
            return Walked(np.empty(0, np.int64), start, 0)
        self._sections += 1
        if self._sections > _MOST_SECTIONS:
            self._why = f"more than {_MOST_SECTIONS} sections"
            return Walked(np.empty(0, np.int64), start, 0)
        self._rule = BlockRule(endian)
        self._walked_in_section = 0
        self._first_interface = len(self.interfaces)
        walked = walk_one_by_one(data, start, start + 1, self._rule)
        if walked.bad_length is not None:
            self._why = f"a section header of {walked.bad_length} bytes"
        return walked

    def _to_section(self, data: Bytes, walked: Walked) -> Walked:
        kinds = words(data, self._rule.endian)[walked.offsets]
        headers = np.flatnonzero(kinds == SECTION)
        if not len(headers):
            return walked
        first = int(headers[0])
        return Walked(walked.offsets[:first], int(walked.offsets[first]))

    def reason(self, bad_length: int) -> str:
        """What is wrong with a block."""
        return self._why or f"a block of {bad_length} bytes"

    def describe(self, data: Bytes, at: Offsets) -> Records:
        """Takes in the interfaces and gives the packets among the blocks."""
        word = words(data, self._rule.endian)
        kinds = word[at]
        for offset in at[kinds == INTERFACE].tolist():
            self._add_interface(data, offset)
        is_packet = (kinds == ENHANCED) | (kinds == SIMPLE) | (kinds == OLD_PACKET)
        if not is_packet.all():
            at, kinds = at[is_packet], kinds[is_packet]
        if not len(at):
            return _no_records()
        return self._packets(data, word, at, kinds)

    def _add_interface(self, data: Bytes, offset: int) -> None:
        order = self._rule.endian
        length = int(words(data, order)[offset + 4])
        block = data[offset : offset + length].tobytes()
        if len(block) < 20 or len(self.interfaces) >= _MOST_INTERFACES:
            self.interfaces.append(Interface(-1))
            return
        link_type, _, snap = struct.unpack_from(order + "HHI", block, 8)
        options = _options(block[16:-4], order)
        resolution = options.get(_IF_TSRESOL, b"\x06")[:1] or b"\x06"
        shift = options.get(_IF_TSOFFSET, b"")
        offset_s = struct.unpack(order + "q", shift)[0] if len(shift) == 8 else 0
        name = options.get(_IF_NAME, b"").split(b"\0")[0].decode("utf-8", "replace")
        self.interfaces.append(
            Interface(
                link_type, name, resolution[0] & 0x7F, bool(resolution[0] & 0x80), offset_s, snap
            )
        )

    def _packets(
        self, data: Bytes, word: npt.NDArray[np.uint32], at: Offsets, kinds: npt.NDArray[np.uint32]
    ) -> Records:
        """Fields of the three kinds of packet block."""
        length = word[at + 4].astype(np.int64)
        simple = kinds == SIMPLE
        whole = length >= np.where(simple, 16, 32)
        head = np.ndarray((max(0, len(data) - 31),), "V32", data, strides=(1,))
        row = _rows(data, head, at).view(f"{self._rule.endian}u4").reshape(-1, 8).astype(np.uint32)
        number, high, low, captured, wire = (row[:, i].copy() for i in (2, 3, 4, 5, 6))
        body = np.full(len(at), 28, np.int64)
        if simple.any():
            number[simple], high[simple], low[simple] = 0, 0, 0
            wire[simple], body[simple] = row[simple, 2], 12
            captured[simple] = np.minimum(wire, self._snap())[simple]
        old = kinds == OLD_PACKET
        if old.any():  # its interface is the first half of the word, drops the second
            number[old] = number[old] >> 16 if self._rule.endian == ">" else number[old] & 0xFFFF
        room = np.where(whole, length - body - 4, 0)
        captured = np.minimum(captured, room).astype(np.uint32)
        wire[~whole] = 0
        interface = self._interface_of(number)
        ticks = (high.astype(np.int64) << 32) | low
        return Records(self._times(ticks, interface), wire, captured, at + body, interface)

    def _snap(self) -> int:
        if self._first_interface < len(self.interfaces):
            return self.interfaces[self._first_interface].snap_bytes or 0xFFFF_FFFF
        return 0xFFFF_FFFF

    def _interface_of(self, number: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
        """Index into `interfaces`; a number never described gets one of no link type."""
        known = len(self.interfaces) - self._first_interface
        index = number.astype(np.int64) + self._first_interface
        wrong = number >= known
        if wrong.any():
            index[wrong] = len(self.interfaces)
            self.interfaces.append(Interface(-1))
        return index.astype(np.int32)

    def _times(
        self, ticks: npt.NDArray[np.int64], interface: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.int64]:
        used = np.unique(interface).tolist()
        if len(used) == 1:
            return _to_ns(ticks, self.interfaces[used[0]])
        time_ns = np.empty(len(ticks), np.int64)
        for index in used:
            those = interface == index
            time_ns[those] = _to_ns(ticks[those], self.interfaces[index])
        return time_ns


def _no_records() -> Records:
    none = np.empty(0, np.uint32)
    return Records(np.empty(0, np.int64), none, none, np.empty(0, np.int64))


def _rows(data: Bytes, head: npt.NDArray[np.void], at: Offsets) -> npt.NDArray[np.void]:
    """32 bytes from each block; a shorter last block is padded with zeros."""
    if int(at.max()) < len(head):
        return head[at]
    inside = at < len(head)
    rows = np.zeros(len(at), "V32")
    rows[inside] = head[at[inside]]
    for index in np.flatnonzero(~inside).tolist():
        rows[index] = np.void(data[int(at[index]) :].tobytes().ljust(32, b"\0"))
    return rows


def _options(raw: bytes, order: str) -> dict[int, bytes]:
    """Options of a block: code, length, value padded to 4 bytes."""
    found: dict[int, bytes] = {}
    here = 0
    while here + 4 <= len(raw):
        code, length = struct.unpack_from(order + "HH", raw, here)
        if code == _END or here + 4 + length > len(raw):
            break
        found.setdefault(code, raw[here + 4 : here + 4 + length])
        here += 4 + length + (-length % 4)
    return found


def _to_ns(ticks: npt.NDArray[np.int64], interface: Interface) -> npt.NDArray[np.int64]:
    """Ticks of an interface as nanoseconds since the epoch (if_tsresol, if_tsoffset)."""
    n = interface.ticks_exponent
    if interface.binary_ticks:
        n = min(n, 62)
        whole, part = ticks >> n, ticks & ((1 << n) - 1)
        if n > 32:
            part, n = part >> (n - 32), 32
        ns = whole * 1_000_000_000 + ((part * 1_000_000_000) >> n)
    elif n <= 9:
        ns = ticks * 10 ** (9 - n)
    else:
        ns = ticks // 10 ** min(n - 9, 18)
    offset_ns = (interface.offset_s * 1_000_000_000 + 2**63) % 2**64 - 2**63
    return ns + np.int64(offset_ns)
