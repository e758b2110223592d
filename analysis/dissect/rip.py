"""RIP (RFC 1058, RFC 2453) and RIPng (RFC 2080) messages of a capture."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from typing import Any

import pandas as pd

PORT, PORT_NG = 520, 521
COLUMNS = ("frame", "ip_src", "ip_dst", "ip_ttl", "udp_sport", "udp_dport", "payload")
"""What `packets` must hold."""

INFINITY = 16
COMMANDS = {1: "request", 2: "response"}
_NEXT_HOP_METRIC = 0xFF

MESSAGE = ("frame", "protocol", "command", "version", "entry_count", "whole_table", "malformed")
ENTRY = ("frame", "prefix", "metric", "next_hop", "tag", "mask_given")


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row a message.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_s`` are carried along.

    Returns:
        The columns of `packets` but the payload, and: ``protocol`` (``RIP`` or ``RIPng``),
        ``command`` (``request``, ``response``, or its number), ``version``, ``entry_count``,
        ``whole_table`` (a request for everything, RFC 2453 §3.9.1), ``malformed``.
    """
    chosen = _of_rip(packets)
    rows = [_message(frame, port, data) for frame, port, data in _each(chosen)]
    found = pd.DataFrame(rows, columns=list(MESSAGE))
    return chosen.drop(columns="payload").merge(found, on="frame", validate="one_to_one")


def entries(packets: pd.DataFrame) -> pd.DataFrame:
    """One row a route entry.

    Returns:
        ``frame``, ``prefix`` (``10.0.1.0/24``; of version 1 by the class), ``metric``,
        ``next_hop`` (None: the sender), ``tag``, ``mask_given`` (False in version 1).
    """
    rows = [
        {"frame": frame, **entry}
        for frame, port, data in _each(_of_rip(packets))
        for entry in (_entries_ng(data) if port == PORT_NG else _entries(data))
    ]
    return pd.DataFrame(rows, columns=list(ENTRY))


def _of_rip(packets: pd.DataFrame) -> pd.DataFrame:
    ports = packets[["udp_sport", "udp_dport"]].isin([PORT, PORT_NG]).any(axis=1)
    return packets[ports & packets["payload"].notna()]


def _each(packets: pd.DataFrame) -> Iterator[tuple[int, int, bytes]]:
    names = ("frame", "udp_sport", "udp_dport", "payload")
    for frame, sport, dport, data in zip(*(packets[n].to_list() for n in names), strict=True):
        yield frame, PORT_NG if PORT_NG in (sport, dport) else PORT, data


def _message(frame: int, port: int, data: bytes) -> dict[str, Any]:
    protocol = "RIPng" if port == PORT_NG else "RIP"
    if len(data) < 4:
        return {"frame": frame, "protocol": protocol, "malformed": True}
    found = list(_entries_ng(data) if port == PORT_NG else _entries(data))
    return {
        "frame": frame,
        "protocol": protocol,
        "command": COMMANDS.get(data[0], str(data[0])),
        "version": data[1],
        "entry_count": (len(data) - 4) // 20,
        "whole_table": data[0] == 1
        and (len(data) - 4) // 20 == 1
        and int.from_bytes(data[20:24], "big") % 256 == INFINITY,
        "malformed": (len(data) - 4) % 20 != 0 or any(not e["prefix"] for e in found),
    }


def _entries(data: bytes) -> Iterator[dict[str, Any]]:
    version = data[1] if len(data) > 1 else 0
    for at in range(4, len(data) - 19, 20):
        family, tag, address, mask, hop, metric = struct.unpack_from("!HH4s4s4sI", data, at)
        if family == 0xFFFF:  # authentication
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
