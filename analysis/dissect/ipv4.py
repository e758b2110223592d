"""IPv4 headers, field by field and bit by bit (RFC 791 §3.1)."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from testbed.core.errors import ParseError

_GLOBAL_BYTES, _RECORD_BYTES, _ETHERNET_BYTES = 24, 16, 14
_MAGICS = {b"\x4d\x3c\xb2\xa1": "<", b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}


@dataclass(frozen=True)
class Field:
    """One field of a header.

    Attributes:
        name: as in RFC 791, or its successors.
        bits: its width.
        value: as people write it.
        meaning: in a few words.
    """

    name: str
    bits: int
    value: str
    meaning: str


def frames(path: Path, numbers: Iterable[int]) -> dict[int, bytes]:
    """Bytes of some frames of a pcap capture, by number (1-based).

    Raises:
        ParseError: not a pcap file.
    """
    wanted = set(numbers)
    found: dict[int, bytes] = {}
    with path.open("rb") as file:
        order = _MAGICS.get(file.read(_GLOBAL_BYTES)[:4])
        if order is None:
            raise ParseError(path.name, "byte 0", "is not a pcap capture")
        number = 0
        while len(head := file.read(_RECORD_BYTES)) == _RECORD_BYTES and wanted - found.keys():
            number += 1
            data = file.read(struct.unpack(f"{order}8xI4x", head)[0])
            if number in wanted:
                found[number] = data
    return found


def fields(frame: bytes) -> list[Field]:
    """The IPv4 header of an Ethernet frame; empty if it holds none or not all of it."""
    header = frame[_ETHERNET_BYTES:]
    if len(header) < 20 or header[0] >> 4 != 4 or len(header) < 4 * (header[0] & 15):
        return []
    first, service, total, number, cut, ttl, protocol, checksum = struct.unpack_from(
        "!BBHHHBBH", header
    )
    source, target = (str(ipaddress.IPv4Address(header[at : at + 4])) for at in (12, 16))
    options = header[20 : 4 * (first & 15)]
    flags = {bit: cut >> bit & 1 for bit in (15, 14, 13)}
    found = [
        Field("version", 4, str(first >> 4), "4"),
        Field("header length", 4, str(first & 15), f"in units of 4 bytes: {4 * (first & 15)}"),
        Field("DSCP", 6, str(service >> 2), "class of service"),
        Field("ECN", 2, str(service & 3), "congestion marks"),
        Field("total length", 16, str(total), "header and payload in bytes, at most 65535"),
        Field("identification", 16, f"0x{number:04x}", "the same in all fragments"),
        Field("0", 1, str(flags[15]), "unused"),
        Field("DF", 1, str(flags[14]), "don't fragment"),
        Field("MF", 1, str(flags[13]), "more fragments"),
        Field("fragment offset", 13, str(cut & 0x1FFF), "in units of 8 bytes"),
        Field("time to live", 8, str(ttl), "routers left to pass"),
        Field("protocol", 8, str(protocol), "what is inside"),
        Field("header checksum", 16, f"0x{checksum:04x}", "recomputed at each hop"),
        Field("source address", 32, source, ""),
        Field("destination address", 32, target, ""),
    ]
    words = [options[at : at + 4] for at in range(0, len(options), 4)]
    return found + [Field("options", 32, word.hex(" "), "padded to 4 bytes") for word in words]


def recorded_route(frame: bytes) -> list[str]:
    """Addresses that routers noted in a record-route option, in order (RFC 791 p. 20)."""
    header = frame[_ETHERNET_BYTES:]
    options = header[20 : 4 * (header[0] & 15)] if header else b""
    at = 0
    while at < len(options) and options[at] == 1:  # no operation: padding in front
        at += 1
    if len(options) < at + 3 or options[at] != 7:
        return []
    end = at + options[at + 2] - 1  # the pointer counts from 1
    noted = options[at + 3 : end]
    return [str(ipaddress.IPv4Address(noted[i : i + 4])) for i in range(0, len(noted) - 3, 4)]
