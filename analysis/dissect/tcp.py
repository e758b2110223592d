"""TCP headers of captured frames, field by field: options, padding, checksum (RFC 9293 §3.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from analysis.dissect.ipv4 import Field
from testbed.core.checksum import internet_checksum

_ETHERNET_BYTES, _FIXED_BYTES, _TCP = 14, 20, 6

_END, _NO_OPERATION = 0, 1
OPTION_NAMES = {
    _END: "end",
    _NO_OPERATION: "NOP",
    2: "MSS",
    3: "window scale",
    4: "SACK permitted",
    5: "SACK",
    8: "timestamps",
}
"""Kinds of RFC 9293 §3.1, RFC 7323 §2.2, §3.2 and RFC 2018 §2, §3."""

_WORDS = {5: ("left edge", "right edge"), 8: ("TSval", "TSecr")}
"""The numbers of 32 bits in an option."""

FLAGS = ("CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN")
"""Control bits from left to right."""


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        kind: its number.
        length_bytes: with kind and length.
        data: behind these two.
    """

    kind: int
    length_bytes: int
    data: bytes

    @property
    def name(self) -> str:
        """As in the RFCs."""
        return OPTION_NAMES.get(self.kind, f"kind {self.kind}")


@dataclass(frozen=True)
class Segment:
    """A TCP segment with what its checksum covers.

    Attributes:
        octets: header and data.
        pseudo_header: 12 bytes: both addresses, zero, protocol, length.
    """

    octets: bytes
    pseudo_header: bytes

    @property
    def header_bytes(self) -> int:
        """Four times the data offset."""
        return 4 * (self.octets[12] >> 4)

    @property
    def is_syn(self) -> bool:
        """True if it opens a connection, or answers that."""
        return bool(self.octets[13] & 2)

    @property
    def reserved(self) -> int:
        """The four bits behind the data offset, of which the last may be AE (RFC 9768)."""
        return self.octets[12] & 15

    @property
    def checksum(self) -> int:
        """The field."""
        return int.from_bytes(self.octets[16:18], "big")

    def computed(self, *, with_pseudo_header: bool = True) -> int:
        """What the field must hold."""
        octets = self.octets[:16] + b"\0\0" + self.octets[18:]
        return internet_checksum(self.pseudo_header * with_pseudo_header + octets)

    def options(self) -> Iterator[Option]:
        """All options in order, padding included; stops at one that is not whole."""
        area = self.octets[_FIXED_BYTES : self.header_bytes]
        at = 0
        while at < len(area):
            kind = area[at]
            alone = kind in (_END, _NO_OPERATION)
            length = 1 if alone else area[at + 1] if at + 1 < len(area) else 0
            if length < 1 + (not alone) or at + length > len(area):
                return
            yield Option(kind, length, area[at + 2 : at + length])
            at += length

    def fields(self) -> list[Field]:
        """The header as RFC 9293 draws it, for `analysis.plots.headers`."""
        source, target, seq, ack, mixed, window, checksum, urgent = struct.unpack_from(
            "!HHIIHHHH", self.octets
        )
        bits = [Field(name, 1, str(mixed >> 7 - place & 1), "") for place, name in enumerate(FLAGS)]
        found = [
            Field("source port", 16, str(source), ""),
            Field("destination port", 16, str(target), ""),
            Field("sequence number", 32, str(seq), "of the first byte"),
            Field("acknowledgement number", 32, str(ack), "the next byte expected"),
            Field("data offset", 4, str(mixed >> 12), "in units of 4 bytes"),
            Field("reserved", 4, str(self.reserved), "zero"),
            *bits,
            Field("window", 16, str(window), "bytes that the sender of this segment can take"),
            Field("checksum", 16, f"0x{checksum:04x}", "over pseudo-header, header and data"),
            Field("urgent pointer", 16, str(urgent), "where urgent data ends"),
        ]
        for option in self.options():
            found += _option_fields(option)
        return found


def _option_fields(option: Option) -> list[Field]:
    """An option as fields: kind with length, then its numbers."""
    if option.length_bytes == 1:
        return [Field(option.name, 8, str(option.kind), "")]
    data, head = option.data, f"kind {option.kind}, length {option.length_bytes}"
    if len(data) <= 2:
        value = f": {int.from_bytes(data, 'big')}" if data else ""
        return [Field(option.name, 8 * option.length_bytes, head + value, "")]
    words = [data[at : at + 4] for at in range(0, len(data), 4)]
    names = _WORDS.get(option.kind, ("",))
    return [
        Field(option.name, 16, head, ""),
        *(
            Field(names[place % len(names)], 8 * len(word), str(int.from_bytes(word, "big")), "")
            for place, word in enumerate(words)
        ),
    ]


def segment(frame: bytes) -> Segment | None:
    """The whole TCP segment in an Ethernet frame; None if there is none, or only a part of it."""
    packet = frame[_ETHERNET_BYTES:]
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != _TCP:
        return None
    header_bytes, total = 4 * (packet[0] & 15), int.from_bytes(packet[2:4], "big")
    octets = packet[header_bytes:total]
    fragment = int.from_bytes(packet[6:8], "big") & 0x3FFF
    if len(packet) < total or len(octets) < _FIXED_BYTES or fragment:
        return None
    pseudo = packet[12:20] + struct.pack("!BBH", 0, _TCP, len(octets))
    found = Segment(octets, pseudo)
    return found if _FIXED_BYTES <= found.header_bytes <= len(octets) else None
