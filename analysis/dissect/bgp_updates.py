"""UPDATE messages of BGP: path attributes and prefixes (RFC 4271 §4.3, RFC 4760)."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

ORIGINS = {0: "IGP", 1: "EGP", 2: "incomplete"}
WELL_KNOWN = {
    0xFFFF0000: "graceful-shutdown",
    0xFFFF029A: "blackhole",
    0xFFFFFF01: "no-export",
    0xFFFFFF02: "no-advertise",
    0xFFFFFF03: "no-export-subconfed",
    0xFFFFFF04: "no-peer",
}
"""Communities with names (RFC 1997, RFC 3765, RFC 7999, RFC 8326)."""

_IPV4, _IPV6, _UNICAST = 1, 2, 1
_SET, _SEQUENCE, _CONFED_SEQUENCE, _CONFED_SET = 1, 2, 3, 4
_SEGMENTS = {_SET: "{}", _SEQUENCE: "", _CONFED_SEQUENCE: "()", _CONFED_SET: "[]"}
_EXTENDED = 0x10
_MP_REACH, _MP_UNREACH = 14, 15


@dataclass(frozen=True)
class Coding:
    """How the updates of one side are written.

    Attributes:
        wide: AS numbers have four octets; None: not known.
        numbered: address families (1, 2) whose prefixes have a path identifier in front.
    """

    wide: bool | None = None
    numbered: frozenset[int] = frozenset()


def update(body: bytes, coding: Coding) -> dict[str, Any]:
    """The fields of an UPDATE behind its header.

    Raises:
        ValueError: it is not one, by its lengths.
        struct.error: it ends too early.
    """
    (withdrawn_bytes,) = struct.unpack_from("!H", body)
    (attribute_bytes,) = struct.unpack_from("!H", body, 2 + withdrawn_bytes)
    begin = 4 + withdrawn_bytes
    end = begin + attribute_bytes
    if end > len(body):
        raise ValueError("attributes longer than the message")
    withdrawn = list(_prefixes(body[2 : 2 + withdrawn_bytes], _IPV4, coding))
    reached = list(_prefixes(body[end:], _IPV4, coding))
    found: dict[str, Any] = {}
    for kind, value in _attributes(body[begin:end]):
        if kind == _MP_REACH:
            next_hop, more = _reach(value, coding)
            reached += more
            if next_hop:
                found["next_hop"] = next_hop
        elif kind == _MP_UNREACH:
            afi, safi = struct.unpack_from("!HB", value)
            if safi == _UNICAST and afi in (_IPV4, _IPV6):
                withdrawn += _prefixes(value[3:], afi, coding)
        elif kind == 2:
            found["as_path"] = as_path(value, coding.wide)
        elif kind in _READERS:
            name, reader = _READERS[kind]
            found[name] = reader(value)
    lists = {"prefixes": reached, "withdrawn": withdrawn}
    return found | {name: ",".join(some) for name, some in lists.items() if some}


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each path attribute."""
    here = 0
    while here < len(data):
        flags, kind = data[here], data[here + 1]
        size = 2 if flags & _EXTENDED else 1
        length = int.from_bytes(data[here + 2 : here + 2 + size], "big")
        begin = here + 2 + size
        if begin + length > len(data):
            raise ValueError("attribute longer than the attributes")
        yield kind, data[begin : begin + length]
        here = begin + length


def _prefixes(data: bytes, afi: int, coding: Coding) -> Iterator[str]:
    """Prefixes, each a length in bits and as many octets as it needs."""
    here, most = 0, 32 if afi == _IPV4 else 128
    while here < len(data):
        here += 4 if afi in coding.numbered else 0
        bits = data[here]
        size = (bits + 7) // 8
        raw = data[here + 1 : here + 1 + size]
        if bits > most or len(raw) < size:
            raise ValueError("a prefix of more bits than there are")
        address = ipaddress.ip_address(raw.ljust(most // 8, b"\0"))
        yield str(ipaddress.ip_network((address, bits), strict=False))
        here += 1 + size


def _reach(value: bytes, coding: Coding) -> tuple[str, list[str]]:
    """MP_REACH_NLRI (RFC 4760 §3): next hop, prefixes; of unicast alone."""
    afi, safi, size = struct.unpack_from("!HBB", value)
    if safi != _UNICAST or afi not in (_IPV4, _IPV6):
        return "", []
    hop = value[4 : 4 + size]
    if len(hop) not in (4, 16, 32):
        raise ValueError("a next hop of no known length")
    own = ipaddress.ip_address(hop[:16])  # a link-local one may stand behind it
    return str(own), list(_prefixes(value[5 + size :], afi, coding))


def as_path(value: bytes, wide: bool | None) -> str:
    """AS numbers by spaces, sets in braces.

    Args:
        value: of the attribute.
        wide: numbers of four octets; None: whichever fills the attribute.

    Raises:
        ValueError: the segments do not fill it.
    """
    if wide is None:
        try:
            return _segments(value, 4)
        except ValueError:
            return _segments(value, 2)
    return _segments(value, 4 if wide else 2)


def _segments(value: bytes, size: int) -> str:
    words, here = [], 0
    while here < len(value):
        if here + 2 > len(value) or value[here] not in _SEGMENTS:
            raise ValueError("not a segment of an AS path")
        kind, end = value[here], here + 2 + size * value[here + 1]
        if end > len(value):
            raise ValueError("a segment longer than the path")
        numbers = [
            str(int.from_bytes(value[i : i + size], "big")) for i in range(here + 2, end, size)
        ]
        braces = _SEGMENTS[kind]
        words.append(f"{braces[0]}{','.join(numbers)}{braces[1]}" if braces else " ".join(numbers))
        here = end
    return " ".join(words)


def _address(value: bytes) -> str:
    return str(ipaddress.IPv4Address(value))


def _number(value: bytes) -> int:
    if len(value) != 4:
        raise ValueError("not a number of four octets")
    return int.from_bytes(value, "big")


def _origin(value: bytes) -> str:
    return ORIGINS.get(value[0], str(value[0]))


def _communities(value: bytes) -> str:
    numbers = [number for (number,) in struct.iter_unpack("!I", value)]
    return " ".join(WELL_KNOWN.get(n, f"{n >> 16}:{n & 0xFFFF}") for n in numbers)


def _clusters(value: bytes) -> str:
    return " ".join(_address(value[i : i + 4]) for i in range(0, len(value), 4))


_READERS: dict[int, tuple[str, Callable[[bytes], Any]]] = {
    1: ("origin", _origin),
    3: ("next_hop", _address),
    4: ("med", _number),
    5: ("local_pref", _number),
    8: ("communities", _communities),
    9: ("originator", _address),
    10: ("clusters", _clusters),
}
"""Attributes by type (RFC 4271 §5.1, RFC 1997, RFC 4456)."""
