"""Takes protected messages, one exchange per connection, and tells what it made of each.

    protected_server.py FOLDER PORT,PORT,… [FAULT ...]

FOLDER has the keys. The ports are all the same to it: they tell somebody on the path what to do
with a connection (see `message_attacks`). Faults are those of `protection`.
"""

import selectors
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from cryptography.hazmat.primitives import serialization

from testbed.programs.diffie_hellman import Exchange
from testbed.programs.protection import OAEP, Lines, Party, Refused, counted, covered, octets
from testbed.programs.telling import tell


class Server(Party):
    """Takes one exchange per connection."""

    def __init__(self, folder: Path, faults: list[str]) -> None:
        super().__init__(folder, faults)
        self.counter = 0

    def serve(self, ports: list[int]) -> None:
        """Serves until it is ended."""
        waiting = selectors.DefaultSelector()
        for port in ports:
            waiting.register(socket.create_server(("", port)), selectors.EVENT_READ)
        tell(listening=True)
        while True:
            for found, _ in waiting.select():
                door: Any = found.fileobj
                with door.accept()[0] as sock:
                    self.take(Lines(sock))

    def take(self, lines: Lines) -> None:
        """One exchange, and what came of it."""
        message = lines.receive()
        kind = str(message.get("exchange", ""))
        exchange: Callable[..., str] | None = getattr(self, f"take_{kind.replace('-', '_')}", None)
        if exchange is None:
            return
        try:
            told = {"accepted": True, "text": exchange(lines, message)}
        except (Refused, ValueError) as refusal:
            told = {"accepted": False, "why": str(refusal)}
        tell(exchange=kind, **told)
        lines.send(accepted=told["accepted"])

    def take_plain(self, lines: Lines, message: dict[str, Any]) -> str:
        """A text in the clear."""
        return str(message["text"])

    def take_secret_key(self, lines: Lines, message: dict[str, Any]) -> str:
        """AES-GCM with the shared key; perhaps several messages."""
        texts = []
        while message:
            texts.append(self.open(self.shared, message))
            message = lines.receive()
        return "; ".join(texts)

    def take_counter_mode(self, lines: Lines, message: dict[str, Any]) -> str:
        """AES-CTR with the shared key: nothing can be checked."""
        found = counted(self.shared, octets(message, "start"), octets(message, "ciphertext"))
        return found.decode(errors="replace")

    def take_public_key(self, lines: Lines, message: dict[str, Any]) -> str:
        """RSA-OAEP under h2's public key."""
        message = self.offer_key(lines)
        return self.private("h2-RSA").decrypt(octets(message, "ciphertext"), OAEP).decode()  # type: ignore[no-any-return]

    def take_hybrid(self, lines: Lines, message: dict[str, Any]) -> str:
        """A key under the public key, the text under that key."""
        message = self.offer_key(lines)
        key = self.private("h2-RSA").decrypt(octets(message, "wrapped_key"), OAEP)
        return self.open(key, message)

    def offer_key(self, lines: Lines) -> dict[str, Any]:
        """Sends the public key, and receives what is encrypted with it."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        key = self.public("h2-RSA").public_bytes(serialization.Encoding.DER, form)
        lines.send(public_key=key)
        return lines.receive()

    def take_mac(self, lines: Lines, message: dict[str, Any]) -> str:
        """A text with its authentication code; with a counter, only ascending ones."""
        counter = message.get("counter")
        self.check_mac(covered(message), octets(message, "mac"))
        if counter is not None and "no-check" not in self.faults:
            if counter <= self.counter:
                raise Refused(f"the counter {counter} was there already")
            self.counter = counter
        return str(message["text"])

    def take_signed(self, lines: Lines, message: dict[str, Any]) -> str:
        """A text with signatures by three algorithms."""
        data = message["text"].encode()
        valid = {
            name: self.check_signature(f"h1-{name}", data, octets(message, name))
            for name in ("RSA", "DSA", "ECDSA")
        }
        tell(valid=valid)
        if not all(valid.values()):
            raise Refused("a signature does not fit")
        return str(message["text"])

    def take_dh(self, lines: Lines, message: dict[str, Any]) -> str:
        """Public values in both directions, then a text under the common key."""
        mine = Exchange()
        mine.check_group(message)
        secret, key = mine.agree(octets(message, "public"))
        tell(dh_secret=secret.hex(), public=mine.public.hex())
        lines.send(public=mine.public)
        return self.open(key, lines.receive())

    def take_dh_signed(self, lines: Lines, message: dict[str, Any]) -> str:
        """The same with signatures over both public values."""
        mine, other = Exchange(), octets(message, "public")
        mine.check_group(message)
        secret, key = mine.agree(other)
        tell(dh_secret=secret.hex(), public=mine.public.hex())
        both = other + mine.public
        lines.send(public=mine.public, signature=self.sign("h2-ECDSA", both))
        message = lines.receive()
        if not self.check_signature("h1-ECDSA", both, octets(message, "signature")):
            raise Refused("the signature does not fit")
        return self.open(key, message)


if __name__ == "__main__":
    Server(Path(sys.argv[1]), sys.argv[3:]).serve([int(port) for port in sys.argv[2].split(",")])
