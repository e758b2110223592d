"""Sends ICMP echo requests at exact times, and hears no answers: a capture shows them.

    echoes.py ADDRESS COUNT INTERVAL_S [BYTES [flood]]

ping spins over intervals of some milliseconds, on a virtual clock thousands of system calls for
each packet. With ``flood`` they are replies nobody asked for, which nobody answers, at random
times (a Poisson process): even ones would stay in step with the queue they fill.
"""

import os
import random
import socket
import struct
import sys
import time

_REQUEST, _REPLY = 8, 0


def main(address: str, count: int, interval_s: float, size_bytes: int, flood: bool) -> None:
    """Sends `count` messages, each at its time."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sock.connect((address, 0))
    identifier, next_s = os.getpid() & 0xFFFF, time.monotonic()
    chance = random.Random(1)
    kind = _REPLY if flood else _REQUEST
    for number in range(1, count + 1):
        time.sleep(max(0.0, next_s - time.monotonic()))
        next_s += chance.expovariate(1 / interval_s) if flood else interval_s
        try:
            sock.send(message(kind, identifier, number & 0xFFFF, size_bytes))
        except OSError:  # no route for the moment: a packet lost like another
            continue
    time.sleep(1.0)


def message(kind: int, identifier: int, number: int, size_bytes: int) -> bytes:
    """RFC 792, with its checksum (RFC 1071)."""
    data = struct.pack("!BBHHH", kind, 0, 0, identifier, number) + bytes(size_bytes)
    total = (kind << 8) + identifier + number  # the rest is zero
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return data[:2] + struct.pack("!H", ~total & 0xFFFF) + data[4:]


if __name__ == "__main__":
    words = [*sys.argv[1:], "56"][:4]
    main(words[0], int(words[1]), float(words[2]), int(words[3]), "flood" in sys.argv)
