"""Somebody on the path, into whose ports connections are diverted.

    message_attacks.py ADDRESS CHANGE,REPLAY,IMPERSONATE

passes each connection on to the same port of ADDRESS. At CHANGE it makes 900 euros of 100, in
texts and in ciphertexts whose layout it knows. At REPLAY it sends what the client sent once more,
over a connection of its own. At IMPERSONATE it agrees on a key with each side, reads, changes the
amount, and sends it on. It has no keys but those it makes.
"""

import contextlib
import selectors
import socket
import sys
import threading
import time
from typing import Any

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from testbed.programs.diffie_hellman import Exchange
from testbed.programs.payments import AMOUNT, AMOUNT_AT, WANTED
from testbed.programs.protection import Lines, octets
from testbed.programs.telling import tell

_LIMIT_S, _PAUSE_S = 20.0, 0.2


def main(address: str, ports: list[int]) -> None:
    """Serves until it is ended."""
    doors = selectors.DefaultSelector()
    for port, act in zip(ports, (change, replay, impersonate), strict=True):
        doors.register(socket.create_server(("", port)), selectors.EVENT_READ, (act, port))
    tell(listening=True)
    while True:
        for found, _ in doors.select():
            act, port = found.data
            door: Any = found.fileobj
            with door.accept()[0] as client, contextlib.suppress(OSError):
                act(client, (address, port))


def change(client: socket.socket, target: tuple[str, int]) -> None:
    """Another amount."""
    with socket.create_connection(target, _LIMIT_S) as server:
        relay(Lines(client), Lines(server), changed=True)


def replay(client: socket.socket, target: tuple[str, int]) -> None:
    """The same once more."""
    with socket.create_connection(target, _LIMIT_S) as server:
        kept = relay(Lines(client), Lines(server), changed=False)
    time.sleep(_PAUSE_S)
    with socket.create_connection(target, _LIMIT_S) as server:
        again = Lines(server)
        for message in kept:
            again.send(**message)
        server.shutdown(socket.SHUT_WR)
        tell(replayed=again.receive())


def relay(client: Lines, server: Lines, *, changed: bool) -> list[dict[str, Any]]:
    """Passes messages on in both directions; returns the client's."""
    answering = threading.Thread(target=forward, args=(server, client))
    answering.start()
    kept = []
    while message := client.receive():
        kept.append(message)
        server.send(**(tampered(message) if changed else message))
    server.sock.shutdown(socket.SHUT_WR)
    answering.join(_LIMIT_S)
    return kept


def forward(source: Lines, target: Lines) -> None:
    """The server's messages."""
    with contextlib.suppress(OSError):
        while message := source.receive():
            target.send(**message)


def tampered(message: dict[str, Any]) -> dict[str, Any]:
    """A message with the other amount, in clear or encrypted."""
    found = dict(message)
    if "text" in found:
        found["text"] = found["text"].replace(AMOUNT, WANTED)
    if "ciphertext" in found:
        data = bytearray(octets(found, "ciphertext"))
        for place, (one, two) in enumerate(zip(AMOUNT, WANTED, strict=True), AMOUNT_AT):
            data[place] ^= ord(one) ^ ord(two)
        found["ciphertext"] = bytes(data).hex()
    return found


def impersonate(client: socket.socket, target: tuple[str, int]) -> None:
    """An exchange with each side, pretending to be the other; signatures are passed on."""
    one, two = Exchange(), Exchange()
    with socket.create_connection(target, _LIMIT_S) as server:
        to_client, to_server = Lines(client), Lines(server)
        message = to_client.receive()
        secret, key = one.agree(octets(message, "public"))
        to_server.send(**{**message, "public": two.public})
        answer = to_server.receive()
        other, other_key = two.agree(octets(answer, "public"))
        tell(secrets=[secret.hex(), other.hex()])
        to_client.send(**{**answer, "public": one.public})
        while message := to_client.receive():
            to_server.send(**resealed(message, key, other_key))
        server.shutdown(socket.SHUT_WR)
        to_client.send(**to_server.receive())


def resealed(message: dict[str, Any], key: bytes, other_key: bytes) -> dict[str, Any]:
    """Read with one side's key, changed, and encrypted with the other's."""
    nonce = octets(message, "nonce")
    try:
        text = AESGCM(key).decrypt(nonce, octets(message, "ciphertext"), None).decode()
    except (InvalidTag, ValueError):
        return message
    tell(read=text)
    found = AESGCM(other_key).encrypt(nonce, text.replace(AMOUNT, WANTED).encode(), None)
    return {**message, "ciphertext": found}


if __name__ == "__main__":
    main(sys.argv[1], [int(port) for port in sys.argv[2].split(",")])
