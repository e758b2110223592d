"""What the three protocols put into a UDP datagram: kind, number, CRC-32, data.

    0      1      2                    6                   10
    ┌──────┬──────┬────────────────────┬────────────────────┬───────
    │ kind │  0   │ number             │ CRC-32             │ data …
    └──────┴──────┴────────────────────┴────────────────────┴───────

The CRC is that of IEEE 802.3 (zlib's) over everything else. A number of 32 bits does not come back
while an old copy may still be under way; one bit would do for stop-and-wait on a link that keeps
order, but not here.
"""

import struct
import zlib

DATA, LAST, ACK = 1, 2, 3
"""Kinds: data, the last data, an acknowledgement."""

HEADER = struct.Struct("!BxII")
HEADER_BYTES = HEADER.size


class Frame:
    """A datagram that was read."""

    def __init__(self, kind: int, number: int, data: bytes) -> None:
        self.kind, self.number, self.data = kind, number, data


def pack(kind: int, number: int, data: bytes = b"") -> bytes:
    """The datagram, with its CRC."""
    crc = zlib.crc32(HEADER.pack(kind, number, 0) + data)
    return HEADER.pack(kind, number, crc) + data


def unpack(datagram: bytes, *, check: bool = True) -> Frame | None:
    """The frame of a datagram; None if it is too short or its CRC is wrong."""
    if len(datagram) < HEADER_BYTES:
        return None
    kind, number, crc = HEADER.unpack_from(datagram)
    data = datagram[HEADER_BYTES:]
    if check and crc != zlib.crc32(HEADER.pack(kind, number, 0) + data):
        return None
    return Frame(kind, number, data)


def number_of(datagram: bytes) -> int:
    """The number in a datagram that `pack` made."""
    number: int = HEADER.unpack_from(datagram)[1]
    return number


def data_frame(data: list[bytes], number: int) -> bytes:
    """The datagram of one piece of the data."""
    return pack(LAST if number == len(data) - 1 else DATA, number, data[number])
