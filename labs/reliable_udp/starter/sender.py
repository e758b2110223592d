"""Sends a file by UDP: sender.py HOST PORT FILE. So far it hopes for the best."""

import socket
import sys
from pathlib import Path

PIECE_BYTES = 1400


def main(host: str, port: int, path: str) -> int:
    """Sends everything once, and returns the exit code."""
    data = Path(path).read_bytes()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for start in range(0, len(data), PIECE_BYTES):
        sock.sendto(data[start : start + PIECE_BYTES], (host, port))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
