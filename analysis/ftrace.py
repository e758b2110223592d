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
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from testbed.claims import MissingDataError
from testbed.errors import ParseError

_PAGE_BYTES = 4096
_HEADER_BYTES = 16
_COMMIT_MASK = (1 << 27) - 1
_PADDING, _TIME_EXTEND, _TIME_STAMP = 29, 30, 31
_FAMILY_IPV4, _FAMILY_IPV6 = 2, 10

TCP_STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
    "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV",
)  # fmt: skip
"""Socket states by the kernel's number (include/net/tcp_states.h)."""

CONG_STATES = ("Open", "Disorder", "CWR", "Recovery", "Loss")
"""Congestion states by the kernel's number (``enum tcp_ca_state``)."""

_U64 = npt.NDArray[np.uint64]
_I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Format:
    """Layout of one event's record.

    Attributes:
        event_id: the number that marks its records.
        fields: name → (offset, size, signed), in bytes.
    """

    event_id: int
    fields: dict[str, tuple[int, int, bool]]

    @classmethod
    def parse(cls, text: str, source: str) -> Format:
        """Reads a ``format`` file of tracefs."""
        ident = re.search(r"^ID: (\d+)$", text, re.M)
        rows = re.findall(
            r"field:(?:.*?)(\w+)(?:\[\d*\])?;\s*offset:(\d+);\s*size:(\d+);\s*signed:([01]);", text
        )
        if ident is None or not rows:
            raise ParseError(source, "format", "is not an event's format")
        return cls(int(ident[1]), {name: (int(o), int(s), sg == "1") for name, o, s, sg in rows})


def read(folder: Path, event: str) -> pd.DataFrame:
    """All occurrences of `event`, in order of time.

    Returns:
        ``time_ns`` (int64, trace clock) and the event's fields. Socket addresses become text
        (``saddr``, ``daddr``), socket and congestion states their names; pointers stay numbers.

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
    ids = _field(buffer, offsets, 0, 2, False)
    mine = ids == layout.event_id
    frame = pd.DataFrame({"time_ns": times_ns[mine]})
    for name, (offset, size, signed) in layout.fields.items():
        if name.startswith("common_") and name != "common_pid":
            continue
        if size in (1, 2, 4, 8):
            frame[name] = _field(buffer, offsets[mine], offset, size, signed)
    _name_addresses(frame, buffer, offsets[mine], layout)
    _name_states(frame)
    return frame


@lru_cache(maxsize=4)
def _records(folder: Path, stamp: int) -> tuple[npt.NDArray[np.uint8], _I64, _I64]:
    """Every record of all CPUs: the bytes, where each payload begins, and its time in ns."""
    raw = [np.fromfile(path, dtype=np.uint8) for path in sorted(folder.glob("cpu*.raw"))]
    whole = [r[: len(r) // _PAGE_BYTES * _PAGE_BYTES] for r in raw]
    buffer = np.concatenate([*whole, np.zeros(256, np.uint8)])  # room to read past the end
    starts = np.arange(0, len(buffer) - 256, _PAGE_BYTES, dtype=np.int64)
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


def _name_addresses(
    frame: pd.DataFrame, buffer: npt.NDArray[np.uint8], offsets: _I64, layout: Format
) -> None:
    """Adds ``saddr`` and ``daddr`` as text."""
    for name in ("saddr", "daddr"):
        if name not in layout.fields or "family" not in frame:
            continue
        offset, size, _ = layout.fields[name]
        frame[name] = ""
        ipv4 = (frame["family"] == _FAMILY_IPV4).to_numpy()
        # tcp_probe holds a sockaddr (address behind family and port); the others the address
        frame.loc[ipv4, name] = _texts(buffer, offsets[ipv4], offset + (4 if size == 28 else 0), 4)
        at, skip = (offset, 8) if size == 28 else (layout.fields[f"{name}_v6"][0], 0)
        ipv6 = (frame["family"] == _FAMILY_IPV6).to_numpy()
        frame.loc[ipv6, name] = _texts(buffer, offsets[ipv6], at + skip, 16)


def _texts(buffer: npt.NDArray[np.uint8], offsets: _I64, at: int, size: int) -> list[str]:
    """Addresses of `size` bytes as text, in order."""
    if not len(offsets):
        return []
    halves = max(1, size // 8)
    words = [
        np.asarray(_field(buffer, offsets, at + 8 * i, min(size, 8), False)) for i in range(halves)
    ]
    codes = [pd.factorize(word) for word in words]
    code = sum(c * (1 << 20) ** i for i, (c, _) in enumerate(codes))
    index, first = pd.factorize(np.asarray(code, np.int64))
    _, where = np.unique(index, return_index=True)
    known = [_text(bytes(buffer[offsets[w] + at : offsets[w] + at + size])) for w in where]
    assert len(known) == len(first)
    return list(np.array(known, dtype=object)[index])


def _text(packed: bytes) -> str:
    """An address as packets show it: an IPv4 one even on an IPv6 socket (RFC 4291 §2.5.5.2)."""
    address = ipaddress.ip_address(packed)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _name_states(frame: pd.DataFrame) -> None:
    for column, names in (
        ("oldstate", TCP_STATES),
        ("newstate", TCP_STATES),
        ("cong_state", CONG_STATES),
    ):
        if column in frame:
            codes = frame[column].astype("int64").to_numpy()
            frame[column] = pd.Categorical.from_codes(codes, pd.Index(names))
