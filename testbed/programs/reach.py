"""Asks many addresses at once for an echo: ``reach.py WAIT_S ADDRESS...``.

Prints the addresses that did not answer in time, one a line; asks each again every second.
"""

import select
import socket
import struct
import sys
import time

_REQUEST, _REPLY, _IDENTIFIER = 8, 0, 4711


def main(wait_s: float, addresses: list[str]) -> None:
    """Sends to all, and waits for the answers."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    missing, end_s, next_s = set(addresses), time.monotonic() + wait_s, 0.0
    while missing and time.monotonic() < end_s:
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + 1.0
            for address in sorted(missing):
                sock.sendto(_request(), (address, 0))
        until_s = max(0.0, min(next_s, end_s) - time.monotonic())
        if select.select([sock], [], [], until_s)[0]:
            data, (sender, _) = sock.recvfrom(2048)
            header = 4 * (data[0] & 15)
            kind, _, _, identifier, _ = struct.unpack_from("!BBHHH", data, header)
            if kind == _REPLY and identifier == _IDENTIFIER:
                missing.discard(sender)
    sys.stdout.write("".join(f"{address}\n" for address in sorted(missing)))


def _request() -> bytes:
    """RFC 792; sequence number 1, no data."""
    total = ~((_REQUEST << 8) + _IDENTIFIER + 1) & 0xFFFF
    return struct.pack("!BBHHH", _REQUEST, 0, total, _IDENTIFIER, 1)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
