"""A client and a server that cut what they send into pieces, each a segment of its own.

    peer.py PLAN

PLAN is JSON: ``prefix_bytes``, ``sizes`` of the pieces (used again and again; 0: all at once),
``pause_s`` between them, ``port``. A client also has ``address`` and ``messages``, and prints the
answers; a server has ``answers``, sends one for each request, and prints the requests.
"""

from __future__ import annotations

import itertools
import json
import socket
import sys
import time
from typing import Any

SILENCE_S, LONGEST_S = 5.0, 18.0
"""How long to wait for more; how long to play at all."""

MOST_BYTES, MOST_MESSAGES = 16_384, 100
"""What is read before the other side is thought to flood us."""

Plan = dict[str, Any]


def main(text: str) -> None:
    """Plays the client or the server."""
    plan = json.loads(text) | {"ends_s": time.monotonic() + LONGEST_S}
    what, play = ("answers", client) if "address" in plan else ("requests", server)
    try:
        tell(what, *play(plan))
    except TimeoutError:
        tell(what, [], f"nobody connects for {SILENCE_S:g} s")
    except OSError as error:
        tell(what, [], f"the connection breaks: {error.strerror}")


def client(plan: Plan) -> tuple[list[str], str]:
    """Sends all requests in pieces; returns the answers."""
    with socket.create_connection((plan["address"], plan["port"]), SILENCE_S) as connection:
        send(connection, b"".join(framed(m, plan) for m in plan["messages"]), plan)
        connection.shutdown(socket.SHUT_WR)
        return messages(connection, plan)


def server(plan: Plan) -> tuple[list[str], str]:
    """Answers one connection's requests in pieces; returns the requests."""
    with socket.create_server(("", plan["port"])) as listener:
        listener.settimeout(SILENCE_S)
        connection = listener.accept()[0]
    with connection:
        connection.settimeout(SILENCE_S)
        send(connection, b"".join(framed(m, plan) for m in plan["answers"]), plan)
        connection.shutdown(socket.SHUT_WR)
        return messages(connection, plan)


def framed(text: str, plan: Plan) -> bytes:
    """A message with its length in front, in network byte order."""
    octets = text.encode()
    return len(octets).to_bytes(plan["prefix_bytes"], "big") + octets


def send(connection: socket.socket, octets: bytes, plan: Plan) -> None:
    """Sends pieces of the given sizes."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for size in itertools.cycle(plan["sizes"]):
        piece, octets = (octets[:size], octets[size:]) if size else (octets, b"")
        connection.sendall(piece)
        if not octets:
            return
        time.sleep(plan["pause_s"])


def messages(connection: socket.socket, plan: Plan) -> tuple[list[str], str]:
    """All messages until the end, and what was wrong with it (empty: nothing)."""
    found: list[str] = []
    rest, width, total = b"", int(plan["prefix_bytes"]), 0
    try:
        while piece := receive(connection, plan["ends_s"]):
            total += len(piece)
            rest += piece
            while len(rest) >= width and len(rest) >= width + int.from_bytes(rest[:width], "big"):
                end = width + int.from_bytes(rest[:width], "big")
                found.append(rest[width:end].decode(errors="replace"))
                rest = rest[end:]
                if len(found) == MOST_MESSAGES:
                    return found, "then too many to read"
            if total >= MOST_BYTES:
                return found, f"then more than {MOST_BYTES} bytes in all"
    except TimeoutError:
        if time.monotonic() >= plan["ends_s"]:
            return found, f"then no end within {LONGEST_S:g} s"
        return found, f"then silence for {SILENCE_S:g} s"
    except OSError as error:
        return found, f"then the connection breaks: {error.strerror}"
    return found, f"then {len(rest)} bytes of half a message" if rest else ""


def receive(connection: socket.socket, ends_s: float) -> bytes:
    """What arrives next; TimeoutError after a silence or at the end of the time."""
    left_s = ends_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    connection.settimeout(min(SILENCE_S, left_s))
    return connection.recv(4096)


def tell(what: str, found: list[str], end: str) -> None:
    """One line of output."""
    print(json.dumps({what: found, "end": end}, ensure_ascii=False), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
