"""Sends UDP packet trains; prints one JSON line a train: its source port and when it sent what.

train.py sink     takes all datagrams and reads none, so that no ICMP error reports them as unwanted
train.py '[{"address": "10.0.0.2", "count": 100, "size_bytes": 1472, "gap_ns": 0, "then_s": 1}]'

`gap_ns` 0 sends as fast as the program can; `then_s` is the rest before the next train. Each train
has a socket of its own, so that its datagrams' IP identifications count up by one. Its buffer holds
more than any queue under test, so that the queue fills and the program never waits; `buffer_bytes`
sets another size, 0 leaves the kernel's default.
"""

import json
import socket
import sys
import time

_PORT = 5001
_BUFFER_BYTES = 1 << 28


def main(trains: list) -> None:  # type: ignore[type-arg]
    """Sends all trains, one after another."""
    for train in trains:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if buffer_bytes := train.get("buffer_bytes", _BUFFER_BYTES):
            force = getattr(socket, "SO_SNDBUFFORCE", 32)
            sock.setsockopt(socket.SOL_SOCKET, force, buffer_bytes)
        sock.connect((train["address"], _PORT))
        sent_ns = send(sock, train["count"], bytes(train["size_bytes"]), train["gap_ns"])
        row = {**train, "sport": sock.getsockname()[1], "sent_ns": sent_ns}
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()
        time.sleep(train["then_s"])


def sink() -> None:
    """Holds the port until the program is ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", _PORT))
        time.sleep(1e9)


def send(sock: socket.socket, count: int, payload: bytes, gap_ns: int) -> list:  # type: ignore[type-arg]
    """Sends one train; returns the times just before each datagram was handed over."""
    sent_ns = []
    next_ns = time.time_ns()
    for _ in range(count):
        sent_ns.append(time.time_ns())
        sock.send(payload)
        if gap_ns:
            next_ns += gap_ns
            time.sleep(max(0.0, (next_ns - time.time_ns()) / 1e9))
    return sent_ns


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        sink()
    else:
        main(json.loads(sys.argv[1]))
