"""The server, and the one on the path, who interferes.

    peer.py keys PLAN     makes the server's key, and another one
    peer.py serve PLAN    h2: a session per connection
    peer.py attack PLAN   r1: takes connections to the server for itself

PLAN is JSON: ``prime`` (hexadecimal), ``label``, ``keys`` (a folder), ``mode`` (a file that names
the session, which says what to do), ``server`` (its address), ``port``. Prints one JSON object per
line.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SILENCE_S = 5.0
LONGEST_LINE_BYTES, MOST_MESSAGES = 1 << 14, 20
GENERATOR, PUBLIC_BYTES, EXPONENT_BITS = 2, 256, 256
LIE = "a lie by the one on the path"

Message = dict[str, Any]


class Ended(Exception):
    """The other side said nothing more that can be understood."""


class Lines:
    """JSON objects, each on a line of its own."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(SILENCE_S)
        self.sock, self.file = sock, sock.makefile("rb")

    def send(self, message: Message) -> None:
        """One message."""
        self.sock.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> Message:
        """The next message."""
        line = self.file.readline(LONGEST_LINE_BYTES)
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise Ended from None
        if not isinstance(found, dict):
            raise Ended
        return found


def octets(message: Message, name: str) -> bytes:
    """A field in hexadecimal."""
    try:
        return bytes.fromhex(message[name])
    except (KeyError, TypeError, ValueError):
        raise Ended from None


def tell(**row: object) -> None:
    """One line of output."""
    line = {"time_ns": time.time_ns(), **row}
    print(json.dumps(line, ensure_ascii=False), flush=True)  # noqa: T201 (its output)


class Agreement:
    """One side of an exchange: exponent, public value, and then two keys."""

    def __init__(self, plan: Message, public: int | None = None) -> None:
        self.prime, self.label = int(plan["prime"], 16), plan["label"]
        self.exponent = secrets.randbits(EXPONENT_BITS) | 1 << EXPONENT_BITS - 1
        value = pow(GENERATOR, self.exponent, self.prime) if public is None else public
        self.public = value.to_bytes(PUBLIC_BYTES, "big")
        self.client_key = self.server_key = b""

    def agree(self, other: bytes) -> None:
        """Derives the keys of both directions."""
        secret = pow(int.from_bytes(other, "big"), self.exponent, self.prime)
        shared = secret.to_bytes(PUBLIC_BYTES, "big")
        self.client_key = self.derived(shared, "client")
        self.server_key = self.derived(shared, "server")
        for one in (shared, self.client_key, self.server_key):
            tell(secret=one.hex())

    def derived(self, shared: bytes, side: str) -> bytes:
        """A key for what one side sends."""
        return HKDF(hashes.SHA256(), 32, None, f"{self.label} {side}".encode()).derive(shared)


def nonce(number: int) -> bytes:
    """The nonce of a message."""
    return number.to_bytes(12, "big")


def seal(key: bytes, number: int, text: str) -> Message:
    """An encrypted message."""
    return {
        "number": number,
        "sealed": AESGCM(key).encrypt(nonce(number), text.encode(), None).hex(),
    }


def opened(key: bytes, message: Message) -> str | None:
    """Its text; None: the key does not fit."""
    number = message.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 32:
        raise Ended
    try:
        found = AESGCM(key).decrypt(nonce(number), octets(message, "sealed"), None)
    except (InvalidTag, ValueError):
        return None
    return found.decode(errors="replace")


# ---- keys


def make_keys(folder: Path) -> None:
    """The server's, and one of somebody else."""
    for name in ("server", "other"):
        key = Ed25519PrivateKey.generate()
        raw = serialization.Encoding.Raw, serialization.PrivateFormat.Raw
        (folder / f"{name}.key").write_bytes(key.private_bytes(*raw, serialization.NoEncryption()))
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (folder / f"{name}.pub").write_bytes(public)


def signature(plan: Message, name: str, client: bytes, server: bytes) -> str:
    """A signature of both public values."""
    key = Ed25519PrivateKey.from_private_bytes(Path(plan["keys"], f"{name}.key").read_bytes())
    return key.sign(client + server).hex()


# ---- the server


def serve(plan: Message) -> None:
    """Sessions, one after another."""
    prime = int(plan["prime"], 16)
    bad = {"zero": 0, "one": 1, "minus-one": prime - 1, "prime": prime}
    for name, sock in connections(plan):
        with sock, contextlib.suppress(OSError, Ended):
            session(plan, Lines(sock), bad.get(name))


def connections(plan: Message) -> Iterator[tuple[str, socket.socket]]:
    """Each connection, with the name of the session."""
    with socket.create_server(("", plan["port"])) as door:
        while True:
            sock = door.accept()[0]
            yield Path(plan["mode"]).read_text(encoding="utf-8"), sock


def session(plan: Message, lines: Lines, public: int | None) -> None:
    """An exchange, then a reply to each message."""
    client = octets(lines.receive(), "public")
    mine = Agreement(plan, public)
    signed = signature(plan, "server", client, mine.public)
    lines.send({"public": mine.public.hex(), "signature": signed})
    mine.agree(client)
    for number in range(MOST_MESSAGES):
        text = opened(mine.client_key, lines.receive())
        tell(text=text if text is not None else "(a message that does not open)")
        reply = f"reply {number}: {secrets.token_hex(8)}"
        tell(reply=reply)
        lines.send(seal(mine.server_key, number, reply))


# ---- on the path


def attack(plan: Message) -> None:
    """What the session's name says; ``record`` keeps what the server sends, for ``replay``."""
    kept: list[Message] = []
    for name, sock in connections(plan):
        with sock, contextlib.suppress(OSError, Ended):
            lines = Lines(sock)
            if name == "replay":
                replay(lines, kept)
            elif name in ("passed-on", "own-key", "unsigned"):
                impersonate(plan, lines, name)
            else:
                found = relay(plan, lines, name)
                kept = found if name == "record" else kept


def relay(plan: Message, client: Lines, what: str) -> list[Message]:
    """Passes messages on, and repeats or changes one of the server's; returns the server's."""
    kept: list[Message] = []
    with (
        to_server(plan) as sock,
        contextlib.suppress(OSError, Ended),
    ):
        server = Lines(sock)
        for number in range(MOST_MESSAGES):
            server.send(client.receive())
            kept.append(server.receive())
            if what == "repeat" and number == 2:  # the hello, a reply, and then that reply again
                client.send(kept[1])
            elif what == "changed" and number == 1:
                client.send(flipped(kept[1]))
            else:
                client.send(kept[-1])
    return kept


def to_server(plan: Message) -> socket.socket:
    """A connection to the real one."""
    return socket.create_connection((plan["server"], plan["port"]), SILENCE_S)


def flipped(message: Message) -> Message:
    """One bit changed in the middle of the text."""
    sealed = bytearray(octets(message, "sealed"))
    sealed[10] ^= 1
    return {**message, "sealed": bytes(sealed).hex()}


def replay(client: Lines, kept: list[Message]) -> None:
    """Answers with what the server once said to somebody."""
    for message in kept:
        client.receive()
        client.send(message)


def impersonate(plan: Message, client: Lines, how: str) -> None:
    """Agrees on a key with each side, and lies to the client."""
    hello = client.receive()
    mine, theirs = Agreement(plan), Agreement(plan)
    with to_server(plan) as sock:
        server = Lines(sock)
        server.send({**hello, "public": theirs.public.hex()})
        answer = server.receive()
        answer["public"] = mine.public.hex()
        if how == "own-key":
            answer["signature"] = signature(plan, "other", octets(hello, "public"), mine.public)
        elif how == "unsigned":
            del answer["signature"]
        client.send(answer)
        mine.agree(octets(hello, "public"))
        for number in range(MOST_MESSAGES):
            tell(read=opened(mine.client_key, client.receive()) or "")
            client.send(seal(mine.server_key, number, LIE))


def main(part: str, plan: Message) -> None:
    """Plays a part."""
    if part == "keys":
        make_keys(Path(plan["keys"]))
    elif part == "serve":
        serve(plan)
    else:
        attack(plan)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
