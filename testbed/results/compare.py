"""Compares two run directories with the same inputs file by file. Pure: it only reads.

Where the clock was virtual every file must be the same, byte by byte, the report (without the time
of the run) and the figures included; where it was real the verdicts must be, and the measured
numbers lie within `REAL_CLOCK_TOLERANCE` of each other.
"""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from testbed.author import experiment_folder
from testbed.core.errors import CaptureError
from testbed.core.rundir import REPORT, RUN, VERDICTS, RunDir, read_json

REAL_CLOCK_TOLERANCE = 0.10
"""Allowed relative difference of a claim's observed number between two real-clock runs."""

_ORDER = ("scenarios", "tables", VERDICTS, "plots", REPORT)
"""From cause to effect: the first difference in this order is where to look."""

_SHOWN_CHARS = 120
_WHEN_AND_WHERE = re.compile(rb"<time>[^<]*</time>|(?<=<code>testbed run )[^<]*?(?= --)")
"""Of a report: the time of the run, and the path of the experiment's file in its command."""
_PCAP_ORDERS = {
    b"\xd4\xc3\xb2\xa1": "<",
    b"\x4d\x3c\xb2\xa1": "<",
    b"\xa1\xb2\xc3\xd4": ">",
    b"\xa1\xb2\x3c\x4d": ">",
}

_NANOSECONDS = (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        where: program, file or claim, with the packet, line or row where the difference begins.
        recorded, again: the value in the run, and the value now.
    """

    where: str
    recorded: str
    again: str


def compared_files(run: RunDir) -> dict[str, Path]:
    """Every file of a run but ``run.json`` (which tells when and how fast), by relative name.

    The copy of the experiment is an input, so it is compared with the versions.
    """
    copies = experiment_folder.copies(run)
    found = {}
    for path in run.path.rglob("*"):
        name = path.relative_to(run.path)
        own = any(path.is_relative_to(experiment_folder.root_of(copy)) for copy in copies)
        if path.is_file() and name.name != RUN and not own and "__pycache__" not in name.parts:
            found[name.as_posix()] = path
    return found


def bytes_that_differ(recorded: RunDir, again: RunDir) -> Iterator[Difference]:
    """All files that differ, causes before effects, each with the place where it begins.

    Captures come first, beginning with the one that has the earliest differing packet.
    """
    one, two = compared_files(recorded), compared_files(again)
    captures = []
    rest = []
    for name in sorted({*one, *two}, key=_rank):
        if name not in one or name not in two:
            rest.append(Difference(name, _presence(name in one), _presence(name in two)))
        elif _contents(one[name]) != _contents(two[name]):
            if name.endswith(".pcap"):
                captures.append(_first_packet(name, one[name].read_bytes(), two[name].read_bytes()))
            else:
                rest.append(_first_difference(name, one[name], two[name]))
    yield from (found for _, found in sorted(captures, key=lambda pair: pair[0]))
    yield from rest


def _contents(path: Path) -> bytes:
    """A file's bytes; of a report without when and from where it was run, which may differ."""
    data = path.read_bytes()
    return _WHEN_AND_WHERE.sub(b"", data) if path.name == REPORT else data


def _rank(name: str) -> tuple[int, bool, str]:
    top = name.split("/", maxsplit=1)[0]
    return (_ORDER.index(top) if top in _ORDER else len(_ORDER), ".pcap" not in name, name)


def _presence(there: bool) -> str:
    return "there" if there else "missing"


def _first_difference(name: str, one: Path, two: Path) -> Difference:
    if name.endswith(".parquet"):
        return _first_row(name, one, two)
    if name.endswith((".json", ".jsonl", ".log", ".txt", ".svg", ".html", ".conf")):
        return _first_line(name, one, two)
    return _first_byte(name, one.read_bytes(), two.read_bytes())


def _first_byte(name: str, one: bytes, two: bytes) -> Difference:
    at = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
    if at is None:
        return Difference(f"{name} length", f"{len(one)} bytes", f"{len(two)} bytes")
    return Difference(f"{name} byte {at}", one[at : at + 8].hex(), two[at : at + 8].hex())


def _first_line(name: str, one: Path, two: Path) -> Difference:
    lines = [_contents(path).decode(errors="replace").splitlines() for path in (one, two)]
    for number, (a, b) in enumerate(zip_longest(*lines, fillvalue="(no line)"), 1):
        if a != b:
            return Difference(f"{name} line {number}", _short(a, b), _short(b, a))
    return Difference(f"{name} line ends", "some", "others")


def _short(text: str, other: str) -> str:
    """The line from shortly before the first differing character."""
    same = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), 0)
    start = max(0, same - 40) if len(text) > _SHOWN_CHARS else 0
    cut = text[start : start + _SHOWN_CHARS].strip()
    return f"{'…' * bool(start)}{cut}{'…' * (start + _SHOWN_CHARS < len(text))}"


def _first_row(name: str, one: Path, two: Path) -> Difference:
    import pandas as pd

    # bytes may not be text, and categories may differ
    frames = [pd.read_parquet(path).astype(object).map(str) for path in (one, two)]
    if list(frames[0].columns) != list(frames[1].columns):
        return Difference(f"{name} columns", *(", ".join(f.columns) for f in frames))
    shared = min(map(len, frames))
    differing = (frames[0].head(shared) != frames[1].head(shared)).to_numpy()
    if not differing.any():
        return Difference(f"{name} rows", *(str(len(f)) for f in frames))
    row = int(differing.any(axis=1).argmax())
    columns = [c for c, other in zip(frames[0], differing[row], strict=True) if other]
    shown = [", ".join(f"{c}={f[c].iloc[row]}" for c in columns[:4]) for f in frames]
    return Difference(f"{name} row {row + 1}", *shown)


# ---- captures


def _records(capture: bytes) -> Iterator[bytes]:
    """The records of a pcap, headers included; a truncated last record comes as it is."""
    order = _PCAP_ORDERS.get(capture[:4], "<")
    at = 24
    while at < len(capture):
        header = capture[at : at + 16]
        size = struct.unpack(order + "I", header[8:12])[0] if len(header) == 16 else 0
        yield capture[at : at + 16 + size]
        at += 16 + size


def _time_ns(magic: bytes, record: bytes) -> int:
    """When a packet was captured; 0 if its record is cut off."""
    if len(record) < 8:
        return 0
    order = _PCAP_ORDERS.get(magic, "<")
    seconds, fraction = struct.unpack(order + "II", record[:8])
    return int(seconds) * 10**9 + int(fraction) * (1 if magic in _NANOSECONDS else 1000)


def first_packet(name: str, one: bytes, two: bytes) -> Difference:
    """The first packet in which two captures differ: its number and fields."""
    return _first_packet(name, one, two)[1]


def _first_packet(name: str, one: bytes, two: bytes) -> tuple[int, Difference]:
    """The time of the first differing packet, in ns, and how it differs."""
    if one[:24] != two[:24]:
        return 0, Difference(f"{name} file header", one[:24].hex(), two[:24].hex())
    for number, (a, b) in enumerate(zip_longest(_records(one), _records(two)), 1):
        if a == b:
            continue
        time_ns = min(_time_ns(one[:4], x) for x in (a, b) if x is not None)
        where = f"{name} packet {number}"
        if a is None or b is None:
            shown = [
                "(the capture ends)" if x is None else _described(one[:24] + x) for x in (a, b)
            ]
            return time_ns, Difference(where, *shown)
        return time_ns, Difference(where, *_fields(one[:24] + a, two[:24] + b))
    return 0, Difference(name, "some bytes", "others")


def _fields(one: bytes, two: bytes) -> tuple[str, str]:
    """The header fields in which two captures of one packet differ."""
    rows = [_row(capture) for capture in (one, two)]
    names = [n for n in dict.fromkeys([*rows[0], *rows[1]]) if rows[0].get(n) != rows[1].get(n)]
    if not names:
        found = _first_byte("payload", one[40:], two[40:])
        return f"{found.where} {found.recorded}", f"{found.where} {found.again}"
    first, second = (", ".join(f"{n}={row.get(n, '-')}" for n in names[:4]) for row in rows)
    return first, second


def _row(capture: bytes) -> dict[str, str]:
    from analysis import packets

    try:
        frame = packets.read(io.BytesIO(capture))
    except CaptureError as error:
        frame = error.packets
    return {str(k): str(v) for k, v in frame.iloc[0].items()} if len(frame) else {}


def _described(capture: bytes) -> str:
    row = _row(capture)
    wanted = ("time_ns", "ip_src", "ip_dst", "wire_bytes")
    return ", ".join(f"{n}={row[n]}" for n in wanted if n in row) or "a damaged packet"


# ---- the real clock


def numbers_that_differ(recorded: RunDir, again: RunDir) -> Iterator[Difference]:
    """Claims with different verdicts, or with numbers further apart than the tolerance."""
    one, two = (_verdicts(r) for r in (recorded, again))
    for claim in dict.fromkeys([*one, *two]):
        a, b = one.get(claim), two.get(claim)
        if a is None or b is None:
            yield Difference(f"claim {claim}", _presence(a is not None), _presence(b is not None))
        elif a["status"] != b["status"]:
            yield Difference(f"claim {claim}", *(f"{v['status']}: {v['observed']}" for v in (a, b)))
        elif not _close(a.get("value"), b.get("value")):
            yield Difference(f"claim {claim}", a["observed"], b["observed"])


def _verdicts(run: RunDir) -> dict[str, dict[str, Any]]:
    return {v["claim"]: v for v in read_json(run.path / VERDICTS)}


def _close(one: float | None, two: float | None) -> bool:
    if one is None or two is None:
        return one is two
    return math.isclose(one, two, rel_tol=REAL_CLOCK_TOLERANCE)
