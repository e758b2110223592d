"""OSPF version 2 (RFC 2328) and version 3 (RFC 5340) packets of a capture."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis import datagrams
from analysis.dissect import tables

PROTOCOL = 89
COLUMNS = (*datagrams.COLUMNS, "ip_version", "ip_ttl")
"""What `packets` must hold."""

TYPES = {1: "hello", 2: "description", 3: "request", 4: "update", 5: "acknowledgement"}
"""Packets by their type (§A.3.1)."""

LSA_TYPES = {1: "router", 2: "network", 3: "summary", 4: "summary-asbr", 5: "external", 7: "nssa"}
LSA_TYPES_V3 = {
    0x2001: "router",
    0x2002: "network",
    0x2003: "summary",
    0x2004: "summary-asbr",
    0x4005: "external",
    0x2007: "nssa",
    0x0008: "link",
    0x2009: "prefix",
}
LINK_TYPES = {1: "point-to-point", 2: "transit", 3: "stub", 4: "virtual"}
MAX_AGE_S = 3600
"""An LSA of this age is withdrawn (§B)."""

_LSA_HEADER_BYTES = 20
_READ = ("frame", "payload", "cut")

PACKET = (
    "frame",
    "version",
    "type",
    "router_id",
    "area",
    "hello_interval_s",
    "dead_interval_s",
    "priority",
    "dr",
    "bdr",
    "neighbours",
    "mask",
    "options",
    "dd_flags",
    "dd_sequence",
    "mtu_bytes",
    "lsa_count",
    "cut",
    "malformed",
)
LSA = (
    "frame",
    "carrier",
    "area",
    "ls_type",
    "ls_id",
    "adv_router",
    "sequence",
    "age_s",
    "checksum",
    "lsa_bytes",
    "body",
)


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row per packet.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_s`` are carried along.

    Returns:
        The columns of `packets` but the payload, and: ``version``, ``type`` (`TYPES`),
        ``router_id``, ``area``; of hellos ``hello_interval_s``, ``dead_interval_s``,
        ``priority``, ``dr``, ``bdr``, ``neighbours`` (ids joined by blanks), ``mask``,
        ``options``; of descriptions ``dd_flags`` (letters of I, M, MS), ``dd_sequence``,
        ``mtu_bytes``; ``lsa_count`` (requests: LSAs asked for); ``cut`` (the
        capture lacks a part); ``malformed``.
    """
    chosen = _of_ospf(packets)
    rows = []
    for frame, data, cut in zip(*(chosen[n].to_list() for n in _READ), strict=True):
        said = _packet(data)
        rows.append(
            {"frame": frame, **said, "cut": cut, "malformed": said["malformed"] and not cut}
        )
    return tables.with_messages(chosen, rows, PACKET)


def lsas(packets: pd.DataFrame) -> pd.DataFrame:
    """One row per LSA or LSA header, in whatever packet carries it.

    Returns:
        ``frame``, ``carrier`` (packet type), ``area``, ``ls_type`` (`LSA_TYPES`), ``ls_id``,
        ``adv_router``, ``sequence``, ``age_s``, ``checksum``, ``lsa_bytes``, and ``body``: None
        for headers alone, else what `_body` or `_body_v3` reads.
    """
    chosen = _of_ospf(packets)
    frames, data = chosen["frame"].to_list(), chosen["payload"].to_list()
    rows = [{"frame": f, **lsa} for f, d in zip(frames, data, strict=True) for lsa in _lsas(d)]
    return pd.DataFrame(rows, columns=list(LSA))


def _of_ospf(packets: pd.DataFrame) -> pd.DataFrame:
    chosen = packets["ip_proto"] == PROTOCOL
    found = datagrams.whole(packets[chosen.fillna(False).to_numpy(bool)])
    return found[found["payload"].notna()]


def _ip(raw: bytes) -> str:
    return str(ipaddress.IPv4Address(raw))


def _header_bytes(data: bytes) -> int:
    return 24 if data[0] == 2 else 16


def _whole(data: bytes) -> bool:
    """True if a version we know, and as long as it says."""
    if len(data) < 16 or data[0] not in (2, 3):
        return False
    length = int.from_bytes(data[2:4], "big")
    return _header_bytes(data) <= length <= len(data)


def _packet(data: bytes) -> dict[str, Any]:
    if not _whole(data):
        return {"malformed": True}
    kind = TYPES.get(data[1], str(data[1]))
    row = {
        "version": data[0],
        "type": kind,
        "router_id": _ip(data[4:8]),
        "area": _ip(data[8:12]),
        "malformed": False,
        "lsa_count": 0,
    }
    body = data[_header_bytes(data) : int.from_bytes(data[2:4], "big")]
    if kind == "hello" and len(body) >= 20:
        return row | (_hello(body) if data[0] == 2 else _hello_v3(body))
    if kind == "description" and len(body) >= 8:
        row |= _description(body, data[0])
    if kind == "request":
        return row | {"lsa_count": len(body) // 12}
    return row | {"lsa_count": sum(1 for _ in _lsas(data))}


def _hello(body: bytes) -> dict[str, Any]:
    mask, hello_s, options, priority, dead_s, dr, bdr = struct.unpack_from("!4sHBBI4s4s", body)
    return {
        "mask": _ip(mask),
        "hello_interval_s": hello_s,
        "dead_interval_s": dead_s,
        "options": options,
        "priority": priority,
        "dr": _ip(dr),
        "bdr": _ip(bdr),
        "neighbours": _ids(body[20:]),
    }


def _hello_v3(body: bytes) -> dict[str, Any]:
    _, priority, options, hello_s, dead_s, dr, bdr = struct.unpack_from("!IB3sHH4s4s", body)
    return {
        "hello_interval_s": hello_s,
        "dead_interval_s": dead_s,
        "priority": priority,
        "options": int.from_bytes(options, "big"),
        "dr": _ip(dr),
        "bdr": _ip(bdr),
        "neighbours": _ids(body[20:]),
    }


def _ids(raw: bytes) -> str:
    return " ".join(_ip(raw[at : at + 4]) for at in range(0, len(raw) - 3, 4))


def _description(body: bytes, version: int) -> dict[str, Any]:
    if version == 2:
        mtu_bytes, options, flags, sequence = struct.unpack_from("!HBBI", body)
    elif len(body) >= 12:
        options, mtu_bytes, flags, sequence = struct.unpack_from("!IHxBI", body)
    else:
        return {"malformed": True}
    letters = [name for bit, name in ((4, "I"), (2, "M"), (1, "MS")) if flags & bit]
    return {
        "mtu_bytes": mtu_bytes,
        "options": options,
        "dd_flags": " ".join(letters),
        "dd_sequence": sequence,
    }


def _lsas(data: bytes) -> Iterator[dict[str, Any]]:
    if not _whole(data):
        return
    version, kind, area = data[0], data[1], _ip(data[8:12])
    body = data[_header_bytes(data) : int.from_bytes(data[2:4], "big")]
    headers_only = kind in (2, 5)
    if headers_only:
        at = 0 if kind == 5 else 8 if version == 2 else 12
    elif kind == 4:
        at = 4
    else:
        return
    while at + _LSA_HEADER_BYTES <= len(body):
        lsa = _lsa_header(body[at:], version)
        size = _LSA_HEADER_BYTES if headers_only else lsa["lsa_bytes"]
        if size < _LSA_HEADER_BYTES or at + size > len(body):
            return
        lsa["body"] = None
        if not headers_only:
            read_body = _body if version == 2 else _body_v3
            lsa["body"] = read_body(lsa["ls_type"], body[at + _LSA_HEADER_BYTES : at + size])
        yield {"carrier": TYPES[kind], "area": area, **lsa}
        at += size


def _lsa_header(raw: bytes, version: int) -> dict[str, Any]:
    age_s, kind, ls_id, router, sequence, checksum, size = struct.unpack_from("!HH4s4siHH", raw)
    if version == 2:
        name = LSA_TYPES.get(kind & 0xFF, str(kind & 0xFF))
    else:
        name = LSA_TYPES_V3.get(kind, hex(kind))
    return {
        "ls_type": name,
        "ls_id": _ip(ls_id),
        "adv_router": _ip(router),
        "sequence": sequence,
        "age_s": age_s & 0x7FFF,
        "checksum": checksum,
        "lsa_bytes": size,
    }


def _body(ls_type: str, raw: bytes) -> dict[str, Any] | None:
    """What a version 2 LSA says (RFC 2328 appendix A.4); None if cut short or of another type.

    router: ``flags`` and ``links``, each {type, id, data, metric}; network: ``mask`` and
    ``routers``; summary: ``mask`` and ``metric``; external: also ``type`` (1 or 2).
    """
    if ls_type == "router" and len(raw) >= 4:
        return {"flags": raw[0], "links": list(_links(raw))}
    if ls_type == "network" and len(raw) >= 4:
        return {"mask": _ip(raw[:4]), "routers": _ids(raw[4:]).split()}
    if ls_type in ("summary", "summary-asbr") and len(raw) >= 8:
        return {"mask": _ip(raw[:4]), "metric": int.from_bytes(raw[5:8], "big")}
    if ls_type in ("external", "nssa") and len(raw) >= 16:
        kind = 2 if raw[4] & 0x80 else 1
        metric = int.from_bytes(raw[5:8], "big")
        return {"mask": _ip(raw[:4]), "type": kind, "metric": metric, "forward": _ip(raw[8:12])}
    return None


def _links(raw: bytes) -> Iterator[dict[str, Any]]:
    count, at = int.from_bytes(raw[2:4], "big"), 4
    for _ in range(count):
        if at + 12 > len(raw):
            return
        ident, data, kind, extra, metric = struct.unpack_from("!4s4sBBH", raw, at)
        yield {
            "type": LINK_TYPES.get(kind, str(kind)),
            "id": _ip(ident),
            "data": _ip(data),
            "metric": metric,
        }
        at += 12 + 4 * extra


def _body_v3(ls_type: str, raw: bytes) -> dict[str, Any] | None:
    """What a version 3 LSA says (RFC 5340 appendix A.4); None if cut short or of another type.

    router: ``links``, each {type, id, interface, metric}, ``interface`` being the neighbour's
    number of its own; network: ``routers``; prefix: ``of`` (type, id, and router of the LSA whose
    prefixes they are) and ``prefixes`` → metric; summary: ``prefix`` and ``metric``;
    summary-asbr: ``router`` and ``metric``; external: as summary, and ``type`` (1 or 2).
    """
    if ls_type == "router" and len(raw) >= 4:
        whole = range(4, len(raw) - 15, 16)
        fields = [struct.unpack_from("!BxH4x4s4s", raw, at) for at in whole]
        return {
            "links": [
                {
                    "type": LINK_TYPES.get(kind, str(kind)),
                    "id": _ip(router),
                    "interface": _ip(number),
                    "metric": metric,
                }
                for kind, metric, number, router in fields
            ]
        }
    if ls_type == "network" and len(raw) >= 4:
        return {"routers": _ids(raw[4:]).split()}
    if ls_type == "prefix" and len(raw) >= 12:
        count, kind, ls_id, router = struct.unpack_from("!HH4s4s", raw)
        of = [LSA_TYPES_V3.get(kind, hex(kind)), _ip(ls_id), _ip(router)]
        return {"of": of, "prefixes": dict(_prefixes_v3(raw[12:], count))}
    if ls_type == "summary-asbr" and len(raw) >= 12:
        return {"router": _ip(raw[8:12]), "metric": int.from_bytes(raw[5:8], "big")}
    if ls_type in ("summary", "external", "nssa") and len(raw) >= 8:
        told = {"metric": int.from_bytes(raw[1:4], "big")}
        if ls_type != "summary":
            told["type"] = 2 if raw[0] & 0x04 else 1
        return next(({"prefix": p, **told} for p, _ in _prefixes_v3(raw[4:], 1)), None)
    return None


def _prefixes_v3(raw: bytes, count: int) -> Iterator[tuple[str, int]]:
    """Prefixes with their metrics, each as long as it needs in words of 32 bits."""
    at = 0
    for _ in range(count):
        if at + 4 > len(raw) or raw[at] > 128:
            return
        length, metric = raw[at], int.from_bytes(raw[at + 2 : at + 4], "big")
        size = (length + 31) // 32 * 4
        address = raw[at + 4 : at + 4 + size]
        if len(address) < size:
            return
        yield f"{ipaddress.IPv6Address(address.ljust(16, bytes(1)))}/{length}", metric
        at += 4 + size
