"""Sends ICMP echo requests at exact intervals: ``echoes.py ADDRESS COUNT INTERVAL_S [BYTES]``.

Says nothing of answers: a capture shows them. ping spins over intervals of some milliseconds, on
a virtual clock thousands of system calls for each packet.
"""

import os
import socket
import struct
import sys
import time


def main(address: str, count: int, interval_s: float, size_bytes: int = 56) -> None:
    """Sends `count` requests, each at its time."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sock.connect((address, 0))
    identifier, start_s = os.getpid() & 0xFFFF, time.monotonic()
    for number in range(1, count + 1):
        time.sleep(max(0.0, start_s + (number - 1) * interval_s - time.monotonic()))
        try:
            sock.send(request(identifier, number & 0xFFFF, size_bytes))
        except OSError:  # no route for the moment: a packet lost like another
            continue
    time.sleep(1.0)


def request(identifier: int, number: int, size_bytes: int) -> bytes:
    """RFC 792, with its checksum (RFC 1071)."""
    head, rest = struct.pack("!BBH", 8, 0, 0), struct.pack("!HH", identifier, number)
    data = head + rest + bytes(size_bytes)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return data[:2] + struct.pack("!H", ~total & 0xFFFF) + data[4:]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int([*sys.argv, "56"][4]))
