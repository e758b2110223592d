"""Kernel events from the ring buffer's own binary pages to DataFrames.

The pages stand in ``traces/cpu<N>.raw`` as `trace_pipe_raw` gives them (kernel:
Documentation/trace/ring-buffer-map, include/linux/ring_buffer.h); each event's layout in
``<event>.format``. The walk from record to record is serial within a page, so it is done for
the n-th record of *all* pages at once.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from testbed.core.claims import MissingDataError
from testbed.core.errors import ParseError

_PAGE_BYTES = 4096
_HEADER_BYTES = 16
_COMMIT_MASK = (1 << 27) - 1
_PADDING, _TIME_EXTEND, _TIME_STAMP = 29, 30, 31
_FAMILY_IPV4, _FAMILY_IPV6 = 2, 10

TCP_STATES = (
    "",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
)
"""Socket states by the kernel's number (include/net/tcp_states.h)."""

CONG_STATES = ("Open", "Disorder", "CWR", "Recovery", "Loss")
"""Congestion states by the kernel's number (``enum tcp_ca_state``)."""

_STATES = {"oldstate": TCP_STATES, "newstate": TCP_STATES, "cong_state": CONG_STATES}

_NAMED = ("reason",)
"""Fields that become the names in the event's format: why a packet was dropped (``kfree_skb``)."""

_U64 = npt.NDArray[np.uint64]
_I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Format:
    """Layout of one event's record.

    Attributes:
        event_id: the number that marks its records.
        fields: name → (offset, size, signed), in bytes.
        names: field → number → name, for fields that the kernel prints by name.
    """

    event_id: int
    fields: dict[str, tuple[int, int, bool]]
    names: dict[str, dict[int, str]] = field(default_factory=dict)

    @property
    def record_bytes(self) -> int:
        """As long as the last field needs."""
        return max(offset + size for offset, size, _ in self.fields.values())

    @classmethod
    def parse(cls, text: str, source: str) -> Format:
        """Reads a ``format`` file of tracefs."""
        ident = re.search(r"^ID: (\d+)$", text, re.M)
        rows = re.findall(
            r"field:(?:.*?)(\w+)(?:\[\d*\])?;\s*offset:(\d+);\s*size:(\d+);\s*signed:([01]);", text
        )
        if ident is None or not rows:
            raise ParseError(source, "format", "is not an event's format")
        fields = {name: (int(o), int(s), sg == "1") for name, o, s, sg in rows}
        layout = cls(int(ident[1]), fields, _symbols(text))
        if layout.record_bytes > _PAGE_BYTES:
            raise ParseError(source, "format", "has fields behind the end of a page")
        return layout


def _symbols(text: str) -> dict[str, dict[int, str]]:
    """The names that a format's ``print fmt`` has for the values of its fields."""
    return {
        name: {int(n): word for n, word in re.findall(r'{ ?(\d+), ?"([^"]*)" ?}', pairs)}
        for name, pairs in re.findall(r"__print_symbolic\(REC->(\w+), ([^)]*)\)", text)
        if name in _NAMED
    }


def read(folder: Path, event: str) -> pd.DataFrame:
    """All occurrences of `event`, in order of time.

    Returns:
        ``time_ns`` (int64, trace clock) and the event's fields. Socket addresses become text
        (``saddr``, ``daddr``), socket and congestion states and reasons of drops their names, all
        of them categories; pointers stay numbers.

    Raises:
        MissingDataError: the event was not recorded, or the kernel lost occurrences.
        ParseError: the files are damaged.
    """
    meta = json.loads((folder / "trace.json").read_text(encoding="utf-8"))
    if event not in meta["events"]:
        raise MissingDataError(f"kernel event '{event}' was not recorded")
    if meta["lost"]:
        raise MissingDataError(f"the kernel's buffer lost {meta['lost']} events; enlarge it")
    layout = Format.parse(
        (folder / f"{event}.format").read_text(encoding="utf-8"), f"{event}.format"
    )
    stamp = (folder / "trace.json").stat().st_mtime_ns
    buffer, offsets, times_ns = _records(folder, stamp)
    mine = _field(buffer, offsets, 0, 2, False) == layout.event_id
    columns = _columns(buffer, offsets[mine], layout)
    return pd.DataFrame({"time_ns": times_ns[mine]} | columns)


def _columns(buffer: npt.NDArray[np.uint8], offsets: _I64, layout: Format) -> dict[str, Any]:
    """The fields of one event's records; each record is fetched once, for all of them."""
    window = np.lib.stride_tricks.sliding_window_view(buffer, layout.record_bytes)
    records = window[np.minimum(offsets, len(window) - 1)]
    columns: dict[str, Any] = {
        name: _number(records, offset, size, signed)
        for name, (offset, size, signed) in layout.fields.items()
        if size in (1, 2, 4, 8) and (not name.startswith("common_") or name == "common_pid")
    }
    for name in ("saddr", "daddr"):
        if name in layout.fields and "family" in columns:
            columns[name] = _addresses(records, layout, name, columns["family"])
    for name, names in _STATES.items():
        if name in columns:
            codes = columns[name].astype(np.int64)
            columns[name] = pd.Categorical.from_codes(codes, pd.Index(names))
    for name in columns.keys() & layout.names.keys():
        numbers = pd.Series(columns[name].astype(np.int64))
        known = numbers.map(layout.names[name])
        columns[name] = known.fillna(numbers.astype(str)).astype("category")
    return columns


@lru_cache(maxsize=4)
def _records(folder: Path, stamp: int) -> tuple[npt.NDArray[np.uint8], _I64, _I64]:
    """Every record of all CPUs: the bytes, where each payload begins, and its time in ns."""
    raw = [np.fromfile(path, dtype=np.uint8) for path in sorted(folder.glob("cpu*.raw"))]
    whole = [r[: len(r) // _PAGE_BYTES * _PAGE_BYTES] for r in raw]
    buffer = np.concatenate([*whole, np.zeros(_PAGE_BYTES, np.uint8)])  # room to read past the end
    starts = np.arange(0, len(buffer) - _PAGE_BYTES, _PAGE_BYTES, dtype=np.int64)
    offsets, times = _walk(buffer, starts)
    order = np.argsort(times, kind="stable")
    return buffer, offsets[order], times[order]


def _walk(buffer: npt.NDArray[np.uint8], pages: _I64) -> tuple[_I64, _I64]:
    time_ns = _field(buffer, pages, 0, 8, False).astype(np.int64)
    commit = _field(buffer, pages, 8, 8, False).astype(np.int64) & _COMMIT_MASK
    position = pages + _HEADER_BYTES
    end = np.minimum(position + commit, pages + _PAGE_BYTES)
    offsets, times = [], []
    while True:
        alive = position + 4 <= end
        position, end, time_ns = position[alive], end[alive], time_ns[alive]
        if not position.size:
            break
        head = _field(buffer, position, 0, 4, False).astype(np.int64)
        kind, delta = head & 31, head >> 5
        extra = _field(buffer, position, 4, 4, False).astype(np.int64)
        is_data, is_long = kind <= 28, kind == 0
        extended = kind == _TIME_EXTEND
        absolute = kind == _TIME_STAMP
        high = time_ns & ~np.int64((1 << 59) - 1)
        time_ns = time_ns + np.where(absolute, 0, delta) + np.where(extended, extra << 27, 0)
        time_ns = np.where(absolute, high | (delta + (extra << 27)), time_ns)
        payload = position + np.where(is_long, 8, 4)
        length = np.where(is_long, extra + 4, np.where(is_data, kind * 4 + 4, 8))
        length = np.where(kind == _PADDING, np.where(delta == 0, _PAGE_BYTES, extra + 4), length)
        offsets.append(payload[is_data])
        times.append(time_ns[is_data])
        position = position + np.maximum(length, 4)
    if not offsets:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate(offsets), np.concatenate(times)


def _field(
    buffer: npt.NDArray[np.uint8], base: _I64, offset: int, size: int, signed: bool
) -> npt.NDArray[np.generic]:
    """The little-endian integer at `offset` behind each base."""
    window = np.lib.stride_tricks.sliding_window_view(buffer, size)
    bytes_ = np.ascontiguousarray(window[np.minimum(base + offset, len(window) - 1)])
    return bytes_.view(f"<{'i' if signed else 'u'}{size}").reshape(-1)


def _number(
    records: npt.NDArray[np.uint8], offset: int, size: int, signed: bool
) -> npt.NDArray[np.generic]:
    """The little-endian integer at `offset` of each record."""
    bytes_ = np.ascontiguousarray(records[:, offset : offset + size])
    return bytes_.view(f"<{'i' if signed else 'u'}{size}").reshape(-1)


def _addresses(
    records: npt.NDArray[np.uint8], layout: Format, name: str, family: npt.NDArray[np.generic]
) -> pd.Categorical[str]:
    """A field's addresses as text; empty where the family is neither IPv4 nor IPv6."""
    offset, size, _ = layout.fields[name]
    # tcp_probe holds a sockaddr (address behind family and port); the others the address
    at = {
        _FAMILY_IPV4: (offset + (4 if size == 28 else 0), 4),
        _FAMILY_IPV6: (offset + 8 if size == 28 else layout.fields[f"{name}_v6"][0], 16),
    }
    codes = np.zeros(len(records), np.int64)
    texts = {"": 0}
    for number, (start, width) in at.items():
        chosen = np.flatnonzero(family == number)
        packed = np.ascontiguousarray(records[chosen, start : start + width])
        kind = np.zeros(len(chosen), np.int64)
        for word in packed.view("<u4").T:
            kind, _ = pd.factorize(pd.factorize(word)[0] + kind * len(chosen))
        _, first = np.unique(kind, return_index=True)
        known = [texts.setdefault(_text(bytes(packed[row])), len(texts)) for row in first]
        codes[chosen] = np.array(known, np.int64)[kind]
    return pd.Categorical.from_codes(codes, pd.Index(list(texts)))


def _text(packed: bytes) -> str:
    """An address as packets show it: an IPv4 one even on an IPv6 socket (RFC 4291 §2.5.5.2)."""
    address = ipaddress.ip_address(packed)
    return str(getattr(address, "ipv4_mapped", None) or address)
