"""Sends HTTP requests exactly as written, each step with its name, and reads the responses.

    http_client.py FILE

FILE holds a JSON list of steps: ``{"step": name, "port": 80, "send": [text, …]}``, with the server
in ``host``. A step has one connection; what is sent next waits for the response to what was sent
before. One JSON object per line says when a step began, and what came: a browser in one process.
"""

import json
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from testbed.programs.telling import tell

_LIMIT_S = 20.0
_PAUSE_S = 0.05
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


def main(arguments: list[str]) -> None:
    """Does all steps of the file, one after another."""
    for step in json.loads(Path(arguments[0]).read_text(encoding="utf-8")):
        time.sleep(step.get("wait_s", _PAUSE_S))
        tell(step=step["step"])
        try:
            do(step)
        except OSError as error:  # no answer in time, or no connection: the next step still comes
            tell(error=type(error).__name__)


def do(step: dict[str, Any]) -> None:
    """One step; raises OSError if there is no connection, or no answer within the limit."""
    with socket.create_connection((step["host"], step["port"]), _LIMIT_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for text in step["send"]:
            sock.sendall(text.encode("latin-1"))
            head, body = receive(sock, text.startswith("HEAD "))
            tell(status=head[:60].split("\r\n")[0], body_bytes=len(body))


def receive(sock: socket.socket, only_head: bool) -> tuple[str, bytes]:
    """One response: its head, and its body as sent; an interim response counts as one."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := sock.recv(65536)):
            return data.decode("latin-1"), b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length, chunked = _LENGTH.search(head), _CHUNKED.search(head)
    if only_head or re.match(rb"HTTP/1.. (1\d\d|204|304)", head):
        return head.decode("latin-1"), body
    while not (
        (length and len(body) >= int(length[1])) or (chunked and body.endswith(b"0\r\n\r\n"))
    ):
        if not (more := sock.recv(65536)):
            break
        body += more
    return head.decode("latin-1"), body


if __name__ == "__main__":
    main(sys.argv[1:])
