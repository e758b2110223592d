"""A machine on the path that passes TLS records on, and can change them.

    tls_relay.py HOST PORT MODE=LISTEN ...

Each mode listens at a port of its own and passes connections on to HOST. ``pass`` changes nothing;
``record`` keeps what clients send, and ``replay`` sends the last of that once more, over a
connection of its own, when somebody connects; ``flip`` changes one bit of the server's first
application data; ``downgrade`` takes TLS 1.3 out of the client's offer.
"""

import contextlib
import socket
import sys
import threading
from collections.abc import Callable

_HANDSHAKE, _APPLICATION = 22, 23
_HEADER_BYTES = 5
_LIMIT_S = 20.0
_SUPPORTED_VERSIONS = b"\x00\x2b"

Change = Callable[[bytes], bytes]

kept: list[bytes] = []
"""What the last client of ``record`` sent."""


def main(arguments: list[str]) -> None:
    """Serves all modes until it is ended."""
    target = (arguments[0], int(arguments[1]))
    for word in arguments[2:]:
        mode, port = word.split("=")
        listener = socket.create_server(("", int(port)), reuse_port=False)
        threading.Thread(target=serve, args=(listener, mode, target)).start()


def serve(listener: socket.socket, mode: str, target: tuple[str, int]) -> None:
    """One connection after another."""
    while True:
        client, _ = listener.accept()
        with client, contextlib.suppress(OSError):  # a refused connection ends itself alone
            if mode == "replay":
                replay(target)
            else:
                relay(client, mode, target)


def replay(target: tuple[str, int]) -> None:
    """Sends what was kept, as it is, and reads what comes back."""
    with socket.create_connection(target, _LIMIT_S) as server:
        server.sendall(b"".join(kept))
        drain(server)


def drain(server: socket.socket) -> None:
    """Reads until the other side ends, or says nothing for a while."""
    server.settimeout(1.0)
    try:
        while server.recv(65536):
            pass
    except OSError:
        return


def relay(client: socket.socket, mode: str, target: tuple[str, int]) -> None:
    """Passes records on in both directions."""
    if mode == "record":
        kept.clear()
    changes = {"flip": (same, flip()), "downgrade": (downgraded, same)}
    forth, back = changes.get(mode, (remembered if mode == "record" else same, same))
    with socket.create_connection(target, _LIMIT_S) as server:
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answering = threading.Thread(target=pump, args=(server, client, back))
        answering.start()
        pump(client, server, forth)
        answering.join(_LIMIT_S)


def pump(source: socket.socket, target: socket.socket, change: Change) -> None:
    """Passes records on until the source ends."""
    pending = b""
    try:
        while more := source.recv(65536):
            pending += more
            while len(pending) >= _HEADER_BYTES:
                end = _HEADER_BYTES + int.from_bytes(pending[3:5], "big")
                if len(pending) < end:
                    break
                target.sendall(change(pending[:end]))
                pending = pending[end:]
        target.shutdown(socket.SHUT_WR)
    except OSError:  # one side has reset the connection
        return


def same(record: bytes) -> bytes:
    """The record as it came."""
    return record


def remembered(record: bytes) -> bytes:
    """The record as it came, kept for later."""
    kept.append(record)
    return record


def flip() -> Change:
    """A change of one bit in the middle of the first long record of application data."""
    done: list[bool] = []

    def change(record: bytes) -> bytes:
        if done or record[0] != _APPLICATION or len(record) < 1000:
            return record
        done.append(True)
        middle = len(record) // 2
        return record[:middle] + bytes([record[middle] ^ 1]) + record[middle + 1 :]

    return change


def downgraded(record: bytes) -> bytes:
    """A client hello that offers TLS 1.2 where it offered 1.3."""
    at = record.find(_SUPPORTED_VERSIONS)
    if record[0] != _HANDSHAKE or record[5] != 1 or at < 0:
        return record
    end = at + 5 + record[at + 4]
    offered = record[at + 5 : end].replace(b"\x03\x04", b"\x03\x03")
    return record[: at + 5] + offered + record[end:]


if __name__ == "__main__":
    main(sys.argv[1:])
