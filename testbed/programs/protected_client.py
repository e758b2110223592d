"""Sends messages, each protected in another way, step by step.

    protected_client.py FOLDER ADDRESS DIRECT,CHANGE,REPLAY,IMPERSONATE [FAULT ...]

FOLDER has the keys. The four ports of the server tell somebody on the path what to do with a
connection (see `message_attacks`). Faults are those of `protection`.
"""

import secrets
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from cryptography.hazmat.primitives import serialization

from testbed.programs.diffie_hellman import Exchange
from testbed.programs.payments import GREETING, LETTER, PAYMENT
from testbed.programs.protection import (
    KEY_BYTES,
    NONCE_BYTES,
    OAEP,
    Lines,
    Party,
    Refused,
    counted,
    covered,
    octets,
)
from testbed.programs.telling import tell

_LIMIT_S, _PAUSE_S = 20.0, 0.5


class Client(Party):
    """Sends one message in each step."""

    def __init__(self, folder: Path, faults: list[str], address: str, ports: list[int]) -> None:
        super().__init__(folder, faults)
        self.address = address
        self.direct, self.change, self.replay, self.impersonate = ports

    def play(self) -> None:
        """All steps in order, with pauses in which others can act."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        again = b"" if "fresh-nonces" in self.faults else nonce
        steps: dict[str, tuple[int, Callable[[Lines], None]]] = {
            "plain": (self.direct, lambda to: to.send(exchange="plain", text=PAYMENT)),
            "secret-key": (self.direct, lambda to: self.sealed(to, [b""])),
            "nonce-fresh": (self.direct, lambda to: self.sealed(to, [b"", b""])),
            "nonce-reused": (self.direct, lambda to: self.sealed(to, [nonce, again])),
            "counter-changed": (self.change, self.counter_mode),
            "sealed-changed": (self.change, lambda to: self.sealed(to, [b""])),
            "public-key": (self.direct, self.public_key),
            "hybrid": (self.direct, self.hybrid),
            "mac": (self.direct, self.coded),
            "mac-changed": (self.change, self.coded),
            "signed": (self.direct, self.signed),
            "signed-changed": (self.change, self.signed),
            "replay": (self.replay, self.coded),
            "replay-counter": (self.replay, lambda to: self.coded(to, counter=1)),
            "dh": (self.direct, self.dh),
            "dh-middle": (self.impersonate, self.dh),
            "dh-signed": (self.direct, self.dh_signed),
            "dh-signed-middle": (self.impersonate, self.dh_signed),
        }
        for name, (port, act) in steps.items():
            time.sleep(_PAUSE_S)
            tell(step=name)
            with socket.create_connection((self.address, port), _LIMIT_S) as sock:
                try:
                    self.talk(Lines(sock), act)
                except OSError as error:
                    tell(error=type(error).__name__)
        time.sleep(_PAUSE_S)

    def talk(self, lines: Lines, act: Callable[[Lines], None]) -> None:
        """One exchange, and the other side's answer."""
        try:
            act(lines)
        except Refused as refusal:
            tell(refused=str(refusal))
            return
        lines.sock.shutdown(socket.SHUT_WR)
        tell(answer=lines.receive())

    def sealed(self, to: Lines, nonces: list[bytes]) -> None:
        """One message per nonce: the last is the payment, one before it is known to all."""
        texts = [GREETING, PAYMENT][-len(nonces) :]
        for text, nonce in zip(texts, nonces, strict=True):
            to.send(exchange="secret-key", **self.seal(self.shared, text, nonce))

    def counter_mode(self, to: Lines) -> None:
        """Encrypted, and not authenticated."""
        start = secrets.token_bytes(16)
        found = counted(self.shared, start, PAYMENT.encode())
        to.send(exchange="counter-mode", start=start, ciphertext=found)

    def ask_key(self, to: Lines, exchange: str) -> Any:
        """h2's public key, as it comes."""
        to.send(exchange=exchange)
        return serialization.load_der_public_key(octets(to.receive(), "public_key"))

    def public_key(self, to: Lines) -> None:
        """A short text under the public key."""
        key = self.ask_key(to, "public-key")
        sealed = PAYMENT.encode() if "clear" in self.faults else key.encrypt(PAYMENT.encode(), OAEP)
        to.send(ciphertext=sealed)

    def hybrid(self, to: Lines) -> None:
        """A long text, for which RSA alone is too short."""
        key, session = self.ask_key(to, "hybrid"), secrets.token_bytes(KEY_BYTES)
        try:
            key.encrypt(LETTER.encode(), OAEP)
        except ValueError:
            tell(too_long_bytes=len(LETTER))
        to.send(wrapped_key=key.encrypt(session, OAEP), **self.seal(session, LETTER))

    def coded(self, to: Lines, counter: int | None = None) -> None:
        """A text in the clear with its authentication code."""
        message: dict[str, Any] = {"text": PAYMENT}
        message |= {} if counter is None else {"counter": counter}
        to.send(exchange="mac", **message, mac=self.mac(covered(message)))

    def signed(self, to: Lines) -> None:
        """A text in the clear with three signatures."""
        data = PAYMENT.encode()
        made = {name: self.sign(f"h1-{name}", data) for name in ("RSA", "DSA", "ECDSA")}
        to.send(exchange="signed", text=PAYMENT, **made)

    def dh(self, to: Lines) -> None:
        """Public values in both directions, then a text under the common key."""
        mine = Exchange(weak="weak-exponent" in self.faults)
        to.send(exchange="dh", **mine.group, public=mine.public)
        secret, key = mine.agree(octets(to.receive(), "public"))
        tell(dh_secret=secret.hex(), public=mine.public.hex())
        to.send(**self.seal(key, PAYMENT))

    def dh_signed(self, to: Lines) -> None:
        """The same with signatures over both public values."""
        mine = Exchange()
        to.send(exchange="dh-signed", **mine.group, public=mine.public)
        message = to.receive()
        other = octets(message, "public")
        both = mine.public + other
        if not self.check_signature("h2-ECDSA", both, octets(message, "signature")):
            raise Refused("the signature does not fit")
        secret, key = mine.agree(other)
        tell(dh_secret=secret.hex(), public=mine.public.hex())
        to.send(signature=self.sign("h1-ECDSA", both), **self.seal(key, PAYMENT))


if __name__ == "__main__":
    known = [int(port) for port in sys.argv[3].split(",")]
    Client(Path(sys.argv[1]), sys.argv[4:], sys.argv[2], known).play()
