"""Receives a file by UDP: receiver.py PORT FILE. So far it believes everything it gets."""

import socket
import sys
from pathlib import Path

QUIET_S = 3.0


def main(port: int, path: str) -> int:
    """Writes what comes until nothing more comes, and returns the exit code."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", port))
    with Path(path).open("wb") as file:
        while True:
            try:
                data, _source = sock.recvfrom(2000)
            except TimeoutError:
                return 0
            file.write(data)
            sock.settimeout(QUIET_S)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
