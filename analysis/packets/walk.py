"""Where the records of a capture start.

Each record says how long it is, so record n+1 is only known after record n: a serial chain, which
NumPy cannot walk. Compiled code takes 5 ns a record, the same loop in Python 150.
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis import compiled
from analysis.packets.window import Bytes, take

Offsets = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class RecordRule:
    """How records of one file are chained.

    Attributes:
        endian: ``<`` or ``>``.
        header_bytes: bytes needed to know a record's length.
        length_at: offset of the 32-bit length in the record.
        overhead_bytes: bytes of the record that its length does not count.
        min_length: smallest length believed.
        max_length: largest length believed.
        words: how many 32-bit words of each record's beginning are noted.
        stop_at: the walk stops before a record that begins with this number; -1: with none.
    """

    endian: str
    header_bytes: int
    length_at: int
    overhead_bytes: int
    min_length: int
    max_length: int
    words: int
    stop_at: int = -1


@dataclass(frozen=True)
class Walked:
    """What a walk found.

    Attributes:
        offsets: starts of the complete records, in order.
        words: (rule.words, records) their first words; 0 behind a record's end.
        next_offset: behind the last of them.
        bad_length: a length at `next_offset` that is not believable, else None.
    """

    offsets: Offsets
    words: Words
    next_offset: int
    bad_length: int | None = None


def walk(data: Bytes, start: int, rule: RecordRule, most: int) -> Walked:
    """Walks records that end within `data`.

    Args:
        data: the buffer.
        start: a sure record start.
        rule: how the records are chained.
        most: number of records to stop after.
    """
    library = compiled.library()
    if library is None:
        return _walk_in_python(data, start, rule, most)
    offsets, end = np.empty(most, np.int64), _End()
    words = np.empty((rule.words, most), np.uint32)
    count: int = library.walk(
        ctypes.c_void_p(data.ctypes.data),
        ctypes.c_int64(len(data)),
        ctypes.c_int64(start),
        ctypes.byref(_Rule.of(rule)),
        ctypes.c_int64(most),
        ctypes.c_void_p(offsets.ctypes.data),
        ctypes.c_void_p(words.ctypes.data),
        ctypes.byref(end),
    )
    bad_length = None if end.bad_length < 0 else end.bad_length
    return Walked(offsets[:count], words[:, :count], end.next_offset, bad_length)


class _Rule(ctypes.Structure):
    """`struct rule` of straight.c."""

    _fields_ = [
        (name, ctypes.c_int64)
        for name in (
            "big_endian",
            "header_bytes",
            "length_at",
            "overhead_bytes",
            "min_length",
            "max_length",
            "stop_at",
            "words",
        )
    ]

    @classmethod
    def of(cls, rule: RecordRule) -> _Rule:
        return cls(
            rule.endian == ">",
            rule.header_bytes,
            rule.length_at,
            rule.overhead_bytes,
            rule.min_length,
            rule.max_length,
            rule.stop_at,
            rule.words,
        )


class _End(ctypes.Structure):
    """`struct end` of straight.c."""

    _fields_ = [("next_offset", ctypes.c_int64), ("bad_length", ctypes.c_int64)]


def _walk_in_python(data: Bytes, start: int, rule: RecordRule, most: int) -> Walked:
    unpack = struct.Struct(rule.endian + "I").unpack_from
    length_at, overhead, header = rule.length_at, rule.overhead_bytes, rule.header_bytes
    low, high, size, stop_at = rule.min_length, rule.max_length, len(data), rule.stop_at
    view = data.data
    found: list[int] = []
    here, bad_length = start, None
    while here + header <= size and len(found) < most and unpack(view, here)[0] != stop_at:
        length: int = unpack(view, here + length_at)[0]
        if not low <= length <= high:
            bad_length = length
            break
        after = here + length + overhead
        if after > size:
            break
        found.append(here)
        here = after
    offsets = np.array(found, np.int64)
    return Walked(offsets, _words(data, offsets, here, rule), here, bad_length)


def _words(data: Bytes, offsets: Offsets, end: int, rule: RecordRule) -> Words:
    octets = take(data, offsets, 4 * rule.words).view(f"{rule.endian}u4")
    found = octets.reshape(-1, rule.words).T.astype(np.uint32)
    bytes_ = np.diff(offsets, append=end)
    found[4 * np.arange(1, rule.words + 1)[:, None] > bytes_] = 0
    return found
