"""Sends UDP datagrams with the header fields asked for; prints one JSON object per datagram.

    raw_udp.py '[{"host": "10.0.2.11", "sport": 6000, "dport": 7000, "data": "00ff"}, ...]'

All else is optional, and as a correct sender would have it where it is not given:
    length      the length field
    checksum    the checksum field; 0 means none
    pseudo      the destination address that the checksum's pseudo-header has
    flip        the byte of the data that is inverted after the checksum was computed
    balance     true: the kernel sends it, and the last two bytes of the data make the computed
                checksum 0

The kernel adds the IP header, so that all routers pass the packet on.
"""

import json
import socket
import struct
import sys

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from testbed.core.checksum import internet_checksum
from testbed.programs.telling import tell

_HEADER_BYTES = 8


def main(wanted: list) -> None:  # type: ignore[type-arg]
    """Sends them one after another."""
    for datagram in wanted:
        address = _own_address(datagram["host"])
        if datagram.get("balance"):
            _by_kernel(address, **datagram)
        else:
            _by_hand(address, **datagram)
        tell(source=address, **datagram)


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _own_address(host: str) -> str:
    """The source address that the kernel chooses towards a host."""
    with socket.socket(_family(host), socket.SOCK_DGRAM) as sock:
        sock.connect((host, 9))
        return str(sock.getsockname()[0])


def _by_hand(address: str, host: str, sport: int, dport: int, data: str, **fields: object) -> None:
    body = bytearray.fromhex(data)
    length = int(str(fields.get("length", _HEADER_BYTES + len(body))))
    head = struct.pack("!HHHH", sport, dport, length, 0)
    total = checksum(address, str(fields.get("pseudo", host)), length, (head + body)[:length])
    if "flip" in fields:
        body[int(str(fields["flip"]))] ^= 0xFF
    head = head[:6] + struct.pack("!H", fields.get("checksum", total or 0xFFFF))
    with socket.socket(_family(host), socket.SOCK_RAW, socket.IPPROTO_UDP) as sock:
        sock.sendto(head + body, (host, 0))


def _by_kernel(address: str, host: str, sport: int, dport: int, data: str, **_: object) -> None:
    body = bytes.fromhex(data)[:-2] + b"\0\0"
    head = struct.pack("!HHHH", sport, dport, _HEADER_BYTES + len(body), 0)
    rest = struct.pack("!H", checksum(address, host, len(head + body), head + body))
    with socket.socket(_family(host), socket.SOCK_DGRAM) as sock:
        sock.bind(("", sport))
        sock.sendto(body[:-2] + rest, (host, dport))


def checksum(source: str, target: str, length: int, datagram: bytes) -> int:
    """RFC 768 (IPv6: RFC 8200 §8.1), over a datagram whose checksum field is 0."""
    family = _family(target)
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    whole = addresses + struct.pack("!LL", socket.IPPROTO_UDP, length) + datagram
    return internet_checksum(whole)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
