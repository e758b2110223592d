"""The pcapng file format (draft-ietf-opsawg-pcapng): sections of typed blocks.

Packets come in enhanced, simple and the old packet blocks; interfaces are described before their
packets. Secrets of TLS are kept. All other blocks (names, statistics, custom ones) are passed over,
and are not counted as frames; Wireshark 4 counts custom blocks. Simple packet blocks have no time:
it is 0.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from analysis.packets.records import Interface, Records
from analysis.packets.walk import Offsets, RecordRule, Walked, Words, walk
from analysis.packets.window import Bytes, take

SECTION, INTERFACE, OLD_PACKET, SIMPLE, ENHANCED, SECRETS = 0x0A0D0D0A, 1, 2, 3, 6, 10
TLS_KEY_LOG = 0x544C534B
"""The kind of secrets that are a TLS key log."""

_MAX_BLOCK_BYTES = 64 << 20
_BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_IF_NAME, _IF_TSRESOL, _IF_TSOFFSET, _END = 2, 9, 14, 0
_MOST_INTERFACES = 1 << 16
_MOST_SECRETS_BYTES = 64 << 20
_MOST_SECRETS_BLOCKS = 1000
_MOST_SECTIONS = 1 << 10
"""Each section is decoded by itself; a file of nothing but sections would take hours."""


def is_pcapng(head: bytes) -> bool:
    """True if the file's first bytes say pcapng."""
    return head[:4] == b"\x0a\x0d\x0d\x0a" and head[8:12] in _BYTE_ORDER


def _rule(endian: str, stop_at: int = SECTION) -> RecordRule:
    """Blocks: type, total length, body, total length again. Packets have five words between."""
    return RecordRule(endian, 8, 4, 0, 12, _MAX_BLOCK_BYTES, 7, stop_at)


class Pcapng:
    """Reads the blocks of one file, section after section."""

    def __init__(self) -> None:
        self.interfaces: list[Interface] = []
        self.key_logs: list[bytes] = []
        self._first_interface = 0
        self._sections = 0
        self._rule = _rule("<")
        self._why = ""

    def walk(self, data: Bytes, start: int, most: int) -> Walked:
        """Starts of at most this many blocks, at most to the next section header.

        A section may turn the byte order round, so nothing behind its header is believed before
        it is read.
        """
        if start + 12 > len(data):
            return _nothing(start)
        if data[start : start + 4].tobytes() == b"\x0a\x0d\x0d\x0a":
            return self._section(data, start)
        walked = walk(data, start, self._rule, most)
        if walked.bad_length is not None:
            self._why = f"a block of {walked.bad_length} bytes"
        return self._checked(data, walked)

    def _checked(self, data: Bytes, walked: Walked) -> Walked:
        """What was walked up to a block that says another length at its end."""
        length = walked.words[1].astype(np.int64)
        last = take(data, walked.offsets + length - 4, 4).view(f"{self._rule.endian}u4")
        wrong = np.flatnonzero(last != length)
        if not len(wrong):
            return walked
        at, first = int(walked.offsets[wrong[0]]), int(length[wrong[0]])
        self._why = (
            f"a block that is {first} bytes long at its start and {last[wrong[0]]} at its end"
        )
        return Walked(walked.offsets[: wrong[0]], walked.words[:, : wrong[0]], at, first)

    def _section(self, data: Bytes, start: int) -> Walked:
        """Reads a section header block, which is walked alone."""
        endian = _BYTE_ORDER.get(data[start + 8 : start + 12].tobytes())
        if endian is None:
            self._why = "a section header without byte-order magic"
            return _nothing(start, 0)
        self._sections += 1
        if self._sections > _MOST_SECTIONS:
            self._why = f"more than {_MOST_SECTIONS} sections"
            return _nothing(start, 0)
        self._rule = _rule(endian)
        self._first_interface = len(self.interfaces)
        walked = walk(data, start, _rule(endian, -1), 1)
        if walked.bad_length is not None:
            self._why = f"a section header of {walked.bad_length} bytes"
        return walked

    def reason(self, bad_length: int) -> str:
        """What is wrong with a block."""
        return self._why or f"a block of {bad_length} bytes"

    def describe(self, data: Bytes, walked: Walked) -> Records:
        """Takes in the interfaces and gives the packets among the blocks."""
        at, words = walked.offsets, walked.words
        kinds = words[0]
        for offset, length in zip(
            at[kinds == INTERFACE], words[1, kinds == INTERFACE], strict=True
        ):
            self._add_interface(data[offset : offset + length].tobytes())
        for offset, length in zip(at[kinds == SECRETS], words[1, kinds == SECRETS], strict=True):
            self._add_secrets(data[offset : offset + length].tobytes())
        is_packet = (kinds == ENHANCED) | (kinds == SIMPLE) | (kinds == OLD_PACKET)
        if not is_packet.all():
            at, words = at[is_packet], words[:, is_packet]
        if not len(at):
            return _no_records()
        return self._packets(at, words)

    def _add_interface(self, block: bytes) -> None:
        order = self._rule.endian
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

    def _add_secrets(self, block: bytes) -> None:
        if len(block) < 20:
            return
        kind, length = struct.unpack_from(self._rule.endian + "II", block, 8)
        if kind != TLS_KEY_LOG or not length or len(self.key_logs) >= _MOST_SECRETS_BLOCKS:
            return
        if sum(map(len, self.key_logs)) + length <= _MOST_SECRETS_BYTES:
            self.key_logs.append(block[16 : min(16 + length, len(block) - 4)])

    def _packets(self, at: Offsets, words: Words) -> Records:
        """Fields of the three kinds of packet block."""
        kinds, length = words[0], words[1].astype(np.int64)
        simple = kinds == SIMPLE
        whole = length >= np.where(simple, 16, 32)
        number, high, low, captured, wire = words[2:].copy()
        body = np.full(len(at), 28, np.int64)
        if simple.any():
            number[simple], high[simple], low[simple] = 0, 0, 0
            wire[simple], body[simple] = words[2, simple], 12
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


def _nothing(start: int, bad_length: int | None = None) -> Walked:
    return Walked(np.empty(0, np.int64), np.empty((7, 0), np.uint32), start, bad_length)


def _no_records() -> Records:
    none = np.empty(0, np.uint32)
    return Records(np.empty(0, np.int64), none, none, np.empty(0, np.int64))


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
