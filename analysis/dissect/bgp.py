"""BGP-4 messages of a capture (RFC 4271, here by section; capabilities of RFC 5492)."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import decode_as, streams
from analysis.dissect.bgp_updates import Coding, update

PORT = 179
COLUMNS = streams.COLUMNS
"""What `packets` must hold."""

TYPES = {1: "OPEN", 2: "UPDATE", 3: "NOTIFICATION", 4: "KEEPALIVE", 5: "ROUTE-REFRESH"}
"""§4.1, RFC 2918."""

ERRORS = {
    1: "message header",
    2: "OPEN message",
    3: "UPDATE message",
    4: "hold timer expired",
    5: "finite state machine",
    6: "cease",
}
"""§4.5, by code."""

SUBCODES = {
    (2, 2): "bad peer AS",
    (2, 3): "bad BGP identifier",
    (2, 6): "unacceptable hold time",
    (2, 7): "unsupported capability",
    (6, 1): "maximum number of prefixes",
    (6, 2): "administrative shutdown",
    (6, 3): "peer de-configured",
    (6, 4): "administrative reset",
    (6, 5): "connection rejected",
    (6, 6): "other configuration change",
    (6, 7): "connection collision resolution",
    (6, 9): "hard reset",
    (6, 10): "BFD down",
}
"""§4.5, RFC 4486, RFC 8538, RFC 9384."""

CAPABILITIES = {
    1: "multiprotocol",
    2: "route refresh",
    6: "extended message",
    9: "role",
    64: "graceful restart",
    65: "4-octet AS",
    69: "add-path",
    70: "enhanced route refresh",
    71: "long-lived graceful restart",
    73: "FQDN",
}
"""IANA's registry, those that FRR announces."""

MESSAGE = (
    "frame",
    "time_s",
    "connection",
    "sender",
    "receiver",
    "type",
    "bytes",
    "asn",
    "hold_s",
    "router_id",
    "capabilities",
    "prefixes",
    "withdrawn",
    "origin",
    "as_path",
    "next_hop",
    "med",
    "local_pref",
    "communities",
    "originator",
    "clusters",
    "error",
    "cut",
    "malformed",
)

_HEADER = struct.Struct("!16sHB")
_MARKER = b"\xff" * 16
_MOST_BYTES = 65_535
"""§4.1 allows 4,096; RFC 8654 more."""
_OPEN, _UPDATE, _NOTIFICATION = 1, 2, 3
_CAPABILITIES, _FOUR_OCTETS, _ADD_PATH = 2, 65, 69
_AS_TRANS = 23456


def read(packets: pd.DataFrame, ports: Collection[int] | None = None) -> pd.DataFrame:
    """One row per message, in the order in which they arrived.

    Args:
        packets: with `COLUMNS`; times are ``time_s`` if there is such a column.
        ports: of the side that listens; None: `PORT`, as `analysis.decode_as` changes it.

    Returns:
        ``frame`` and ``time_s`` of the segment that completes it; ``connection`` (as in
        `analysis.tcp.analyse`), ``sender``, ``receiver`` (addresses), ``type`` (of `TYPES`),
        ``bytes``; of an OPEN ``asn``, ``hold_s``, ``router_id``, ``capabilities`` (names, by
        commas); of an UPDATE ``prefixes`` and ``withdrawn`` (by commas; IPv4 and IPv6),
        ``origin`` (``IGP``, ``EGP``, ``incomplete``), ``as_path`` (AS numbers by spaces, sets in
        braces; empty: from inside), ``next_hop``, ``med``, ``local_pref``, ``communities``
        (``65001:100`` or names, by spaces), ``originator`` and ``clusters`` (RFC 4456); of a
        NOTIFICATION ``error``; ``cut`` (the capture lacks a part), ``malformed``. Null: not there.
    """
    ports = decode_as.ports(packets, "bgp", (PORT,)) if ports is None else ports
    rows = sorted(_messages(packets, ports), key=lambda row: row["frame"])
    table = pd.DataFrame(rows, columns=list(MESSAGE))
    table["time_s"] = table["frame"].map(_times_s(packets)).astype("float64")
    numbers = ("asn", "hold_s", "med", "local_pref")
    return table.astype(dict.fromkeys(numbers, "Int64") | {"cut": "bool", "malformed": "bool"})


def _times_s(packets: pd.DataFrame) -> pd.Series[float]:
    if "time_s" in packets:
        return packets.set_index("frame")["time_s"]
    time_ns = packets.set_index("frame")["time_ns"]
    times_s: pd.Series[float] = (time_ns - time_ns.min()) / 1e9
    return times_s


def _messages(packets: pd.DataFrame, ports: Collection[int]) -> Iterator[dict[str, Any]]:
    for conversation in streams.conversations(packets, ports):
        sides = [list(_of_stream(stream)) for stream in conversation.sides]
        opens = [
            next((_open(raw) for _, raw, _ in side if raw[18] == _OPEN), None) for side in sides
        ]
        for place, stream in enumerate(conversation.sides):
            coding = _coding(opens[place], opens[1 - place])
            about = {
                "connection": conversation.connection,
                "sender": stream.src,
                "receiver": stream.dst,
            }
            for frame, raw, cut in sides[place]:
                yield {"frame": frame, **about, **_message(raw, cut, coding)}


def _of_stream(stream: streams.Stream) -> Iterator[tuple[int, bytes, bool]]:
    """Messages with the frame that completes each, and whether it is cut.

    Behind a hole reading begins at the next marker; what is no message is one up to the next.
    """
    for run in stream.runs:
        data = run.data
        here = 0
        if run.missing_bytes or not stream.from_start:
            here = data.find(_MARKER)
            if here < 0:
                continue
        while here + _HEADER.size <= len(data):
            marker, length, _ = _HEADER.unpack_from(data, here)
            if marker != _MARKER or not _HEADER.size <= length <= _MOST_BYTES:
                found = data.find(_MARKER, here + 1)
                after = found if found > 0 else len(data)
            else:
                after = here + length
            end = min(after, len(data))
            yield stream.delivered(run.begin + end - 1), data[here:end], after > end
            here = after


@dataclass(frozen=True)
class _Open:
    """What a side said of itself.

    Attributes:
        fields: of the message.
        wide: it knows AS numbers of four octets (RFC 6793).
        sends, takes: it may send, or takes, several paths of one prefix (RFC 7911), by AFI.
    """

    fields: dict[str, Any]
    wide: bool
    sends: frozenset[int]
    takes: frozenset[int]


def _coding(mine: _Open | None, theirs: _Open | None) -> Coding:
    """How one side's updates are written; what was not captured is guessed from the bytes."""
    if mine is None or theirs is None:
        return Coding()
    return Coding(mine.wide and theirs.wide, mine.sends & theirs.takes)


def _message(raw: bytes, cut: bool, coding: Coding) -> dict[str, Any]:
    marker, length, kind = _HEADER.unpack_from(raw)
    found: dict[str, Any] = {
        "type": TYPES.get(kind, str(kind)),
        "bytes": len(raw),
        "cut": cut,
        "malformed": marker != _MARKER or kind not in TYPES or (length != len(raw) and not cut),
    }
    if found["malformed"]:
        return found
    try:
        if kind == _OPEN:
            return found | _open(raw).fields
        if kind == _UPDATE:
            return found | update(raw[_HEADER.size :], coding)
        if kind == _NOTIFICATION:
            return found | {"error": _error(raw[19], raw[20])}
    except (struct.error, IndexError, ValueError):
        return found | {"malformed": not cut}
    return found


def _open(raw: bytes) -> _Open:
    """§4.2. What stands behind a damaged option is not read."""
    _, asn, hold_s, *router_id = struct.unpack_from("!BHH4B", raw, 19)
    fields = {"asn": asn, "hold_s": hold_s, "router_id": ".".join(map(str, router_id))}
    known: list[str] = []
    wide, sends, takes = False, set[int](), set[int]()
    for code, value in _capabilities(raw[29 : 29 + raw[28]]):
        known.append(CAPABILITIES.get(code, str(code)))
        if code == _FOUR_OCTETS and len(value) == 4:
            wide = True
            if asn == _AS_TRANS:
                fields["asn"] = int.from_bytes(value, "big")
        if code == _ADD_PATH:
            for afi, _, direction in struct.iter_unpack("!HBB", value[: len(value) // 4 * 4]):
                takes |= {afi} if direction & 1 else set()
                sends |= {afi} if direction & 2 else set()
    fields["capabilities"] = ",".join(dict.fromkeys(known))
    return _Open(fields, wide, frozenset(sends), frozenset(takes))


def _capabilities(options: bytes) -> Iterator[tuple[int, bytes]]:
    """Code and value of each capability (RFC 5492 §4)."""
    for kind, value in _pairs(options):
        if kind == _CAPABILITIES:
            yield from _pairs(value)


def _pairs(data: bytes) -> Iterator[tuple[int, bytes]]:
    here = 0
    while here + 2 <= len(data):
        kind, length = data[here], data[here + 1]
        yield kind, data[here + 2 : here + 2 + length]
        here += 2 + length


def _error(code: int, subcode: int) -> str:
    words = [ERRORS.get(code, f"error {code}")]
    if subcode:
        words.append(SUBCODES.get((code, subcode), f"subcode {subcode}"))
    return ": ".join(words)
