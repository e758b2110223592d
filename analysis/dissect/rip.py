"""RIP (RFC 1058, RFC 2453) and RIPng (RFC 2080) messages of a capture."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Collection, Iterator
from typing import Any

import pandas as pd

from analysis import datagrams, decode_as
from analysis.dissect import tables

PORT, PORT_NG = 520, 521
NAMES = {"rip": PORT, "ripng": PORT_NG}
"""What is read, and its usual port of UDP; `analysis.decode_as` may change it."""

COLUMNS = (*datagrams.COLUMNS, "ip_ttl")
"""What `packets` must hold."""

INFINITY = 16
COMMANDS = {1: "request", 2: "response"}
AUTHENTICATIONS = {2: "password", 3: "digest"}
"""RFC 2453 §4.1, RFC 4822 §2.1 (and RFC 2082): by the type in the first entry's place."""

_AUTHENTICATION, _DIGEST = 0xFFFF, 3
_AF_UNSPECIFIED, _AF_INET = 0, 2
_NEXT_HOP_METRIC = 0xFF

MESSAGE = (
    "frame",
    "protocol",
    "command",
    "version",
    "entry_count",
    "whole_table",
    "authentication",
    "cut",
    "malformed",
)
ENTRY = ("frame", "prefix", "metric", "next_hop", "tag", "mask_given")


def read(packets: pd.DataFrame, names: Collection[str] = NAMES) -> pd.DataFrame:
    """One row per message.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_s`` are carried along.
        names: which of `NAMES` to read.

    Returns:
        The columns of `packets` but the payload, and: ``protocol`` (``RIP`` or ``RIPng``),
        ``command`` (``request``, ``response``, or its number), ``version``, ``entry_count`` (routes
        and next hops, not the authentication), ``whole_table`` (a request for everything, RFC 2453
        §3.9.1), ``authentication`` (of `AUTHENTICATIONS`, its number, or None), ``cut`` (the
        capture lacks a part), ``malformed``.
    """
    chosen, ng_ports = _of_rip(packets, names)
    rows = [_message(*one) for one in _each(chosen, ng_ports)]
    return tables.with_messages(chosen, rows, MESSAGE)


def entries(packets: pd.DataFrame, names: Collection[str] = NAMES) -> pd.DataFrame:
    """One row per route entry.

    Returns:
        ``frame``, ``prefix`` (``10.0.1.0/24``; of version 1 by the class), ``metric``,
        ``next_hop`` (None: the sender), ``tag``, ``mask_given`` (False in version 1).
    """
    rows = [
        {"frame": frame, **entry}
        for frame, is_ng, data, _ in _each(*_of_rip(packets, names))
        for entry in (_entries_ng(data) if is_ng else _entries(data))
    ]
    return pd.DataFrame(rows, columns=list(ENTRY))


def _of_rip(packets: pd.DataFrame, names: Collection[str]) -> tuple[pd.DataFrame, frozenset[int]]:
    """The datagrams of the protocols wanted, and RIPng's ports."""
    of = {name: decode_as.ports(packets, name, [port]) for name, port in NAMES.items()}
    chosen = tables.of_udp(packets, frozenset().union(*(of[name] for name in names)))
    return chosen, of["ripng"]


def _each(
    chosen: pd.DataFrame, ng_ports: frozenset[int]
) -> Iterator[tuple[int, bool, bytes, bool]]:
    columns = ("frame", "udp_sport", "udp_dport", "payload", "cut")
    for frame, sport, dport, data, cut in zip(*(chosen[n].to_list() for n in columns), strict=True):
        yield frame, not ng_ports.isdisjoint((sport, dport)), data, cut


def _message(frame: int, is_ng: bool, data: bytes, cut: bool) -> dict[str, Any]:
    protocol = "RIPng" if is_ng else "RIP"
    row: dict[str, Any] = {"frame": frame, "protocol": protocol, "cut": cut}
    if len(data) < 4:
        return {**row, "malformed": not cut}
    if is_ng:
        found, kind, places = list(_entries_ng(data)), None, range(4, len(data), 20)
    else:
        found, (kind, places) = list(_entries(data)), _places(data)
    rest = len(data) - 4 if kind != _DIGEST else places.stop - 4
    whole = rest % 20 == 0 and (kind != _DIGEST or _digest_place(data) is not None)
    return {
        **row,
        "command": COMMANDS.get(data[0], str(data[0])),
        "version": data[1],
        "entry_count": (places.stop - places.start) // 20,
        "whole_table": data[0] == 1
        and len(places) == 1
        and int.from_bytes(data[places.start + 16 : places.start + 20], "big") % 256 == INFINITY,
        "authentication": None if kind is None else AUTHENTICATIONS.get(kind, str(kind)),
        "malformed": not cut and (not whole or any(not e["prefix"] for e in found)),
    }


def _places(data: bytes) -> tuple[int | None, range]:
    """The type of authentication, and where the entries behind it begin.

    A digest has its own length of the entries in front, and stands behind them (RFC 4822 §2).
    """
    if int.from_bytes(data[4:6], "big") != _AUTHENTICATION or len(data) < 24:
        return None, range(4, len(data), 20)
    kind = int.from_bytes(data[6:8], "big")
    end = _digest_place(data) if kind == _DIGEST else None
    return kind, range(24, len(data) if end is None else end, 20)


def _digest_place(data: bytes) -> int | None:
    """Where the digest begins, by the message; None if it cannot be there."""
    length = int.from_bytes(data[8:10], "big")
    return length if 24 <= length <= len(data) else None


def _entries(data: bytes) -> Iterator[dict[str, Any]]:
    version = data[1] if len(data) > 1 else 0
    _, places = _places(data)
    for at in places:
        if at + 20 > places.stop:
            return
        family, tag, address, mask, hop, metric = struct.unpack_from("!HH4s4s4sI", data, at)
        if family not in (_AF_INET, _AF_UNSPECIFIED):  # not of IP (RFC 2453 §3.6)
            continue
        length = _length_of(mask) if version > 1 and mask != b"\0\0\0\0" else _class_length(address)
        yield {
            "prefix": f"{ipaddress.IPv4Address(address)}/{length}" if length is not None else "",
            "metric": metric,
            "next_hop": str(ipaddress.IPv4Address(hop)) if any(hop) else None,
            "tag": tag,
            "mask_given": mask != b"\0\0\0\0",
        }


def _length_of(mask: bytes) -> int | None:
    """32 - zeros of a mask; None if its ones are not in front."""
    number = int.from_bytes(mask, "big")
    length = number.bit_count()
    return length if number == (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF else None


def _class_length(address: bytes) -> int:
    """Prefix length by the address's class (RFC 1058); 0 for the default route."""
    first = address[0]
    if address == b"\0\0\0\0":
        return 0
    return 8 if first < 128 else 16 if first < 192 else 24


def _entries_ng(data: bytes) -> Iterator[dict[str, Any]]:
    hop = None
    for at in range(4, len(data) - 19, 20):
        address, tag, length, metric = struct.unpack_from("!16sHBB", data, at)
        if metric == _NEXT_HOP_METRIC:  # RFC 2080 §2.1.1: next hop of the entries behind it
            hop = str(ipaddress.IPv6Address(address)) if any(address) else None
            continue
        yield {
            "prefix": f"{ipaddress.IPv6Address(address)}/{length}" if length <= 128 else "",
            "metric": metric,
            "next_hop": hop,
            "tag": tag,
            "mask_given": True,
        }
