"""How two parties protect messages: keys, ciphers, codes, signatures.

    protection.py FOLDER [FAULT ...]

makes the keys of both parties. `protected_client` and `protected_server` use the rest,
and so do claims. Every
message is a JSON object on a line of its own, with bytes in hexadecimal. Debian's
python3-cryptography does the cryptography.

Faults: ``clear`` sends the text where the ciphertext belongs, ``no-check`` accepts without
checking, ``fresh-nonces`` never uses a nonce twice, ``weak-exponent`` draws a small secret for
Diffie–Hellman, ``short-rsa`` makes RSA keys of half the length,
``shared-signer`` gives h2 the key that h1 signs with.
"""

import json
import secrets
import socket
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from testbed.programs.dsa_group import new_dsa_key

RSA_BITS, KEY_BYTES, NONCE_BYTES = 2048, 32, 12
GROUP_BYTES = 256
"""Length of the numbers of Diffie–Hellman."""

SMALL_EXPONENTS = 1 << 16
"""What ``weak-exponent`` chooses from."""

OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
"""How texts are padded for RSA."""

_SHA256 = hashes.SHA256()
_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
_PEM, _DER = serialization.Encoding.PEM, serialization.Encoding.DER
_LIMIT_S = 20.0
_LONGEST_LINE_BYTES = 1 << 16


class Refused(Exception):
    """A check failed, for the reason given."""


class Lines:
    """Messages over a connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(_LIMIT_S)
        self.sock, self.file = sock, sock.makefile("rb")

    def send(self, **fields: object) -> None:
        """One message; bytes become hexadecimal."""
        plain = {k: v.hex() if isinstance(v, bytes) else v for k, v in fields.items()}
        self.sock.sendall(json.dumps(plain).encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        """The next message; empty at the end."""
        line = self.file.readline(_LONGEST_LINE_BYTES)
        found = json.loads(line) if line else {}
        return found if isinstance(found, dict) else {}


def octets(message: dict[str, Any], field: str) -> bytes:
    """The bytes of a field; empty if it is not there."""
    return bytes.fromhex(message.get(field, ""))


# ---- keys


def make_keys(folder: Path, faults: list[str]) -> None:
    """A shared key, keys of h1 to sign with, keys of h2 to decrypt and to sign with."""
    rsa_bits = RSA_BITS // 2 if "short-rsa" in faults else RSA_BITS
    (folder / "shared.key").write_bytes(secrets.token_bytes(KEY_BYTES))
    made: dict[str, Any] = {
        "h1-RSA": rsa.generate_private_key(65537, rsa_bits),
        "h1-DSA": new_dsa_key(),
        "h1-ECDSA": ec.generate_private_key(ec.SECP256R1()),
        "h2-RSA": rsa.generate_private_key(65537, rsa_bits),
        "h2-ECDSA": ec.generate_private_key(ec.SECP256R1()),
    }
    if "shared-signer" in faults:
        made["h2-ECDSA"] = made["h1-ECDSA"]
    for name, key in made.items():
        pkcs8 = serialization.PrivateFormat.PKCS8
        private = key.private_bytes(_PEM, pkcs8, serialization.NoEncryption())
        (folder / f"{name}.key").write_bytes(private)
        (folder / f"{name}.pub").write_bytes(
            key.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )


class Party:
    """What both sides can do, with the keys that they have."""

    def __init__(self, folder: Path, faults: list[str]) -> None:
        self.folder, self.faults = folder, faults
        self.loaded: dict[str, Any] = {}

    @cached_property
    def shared(self) -> bytes:
        """The key that both sides have."""
        return (self.folder / "shared.key").read_bytes()

    def private(self, name: str) -> Any:
        """A private key; the library tests it as it loads it, which takes long."""
        if name not in self.loaded:
            pem = (self.folder / f"{name}.key").read_bytes()
            self.loaded[name] = serialization.load_pem_private_key(pem, None)
        return self.loaded[name]

    def public(self, name: str) -> Any:
        """A public key that was handed over beforehand."""
        return serialization.load_pem_public_key((self.folder / f"{name}.pub").read_bytes())

    # ---- symmetric

    def seal(self, key: bytes, text: str, nonce: bytes = b"") -> dict[str, bytes]:
        """Encrypts and authenticates (AES-GCM)."""
        nonce = nonce or secrets.token_bytes(NONCE_BYTES)
        if "clear" in self.faults:
            return {"nonce": nonce, "ciphertext": text.encode()}
        return {"nonce": nonce, "ciphertext": AESGCM(key).encrypt(nonce, text.encode(), None)}

    def open(self, key: bytes, message: dict[str, Any]) -> str:
        """The text of a message sealed with the key."""
        nonce, ciphertext = octets(message, "nonce"), octets(message, "ciphertext")
        if "no-check" in self.faults:  # the same without looking at the tag
            return counted(key, nonce + b"\0\0\0\2", ciphertext[:-16]).decode(errors="replace")
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, None).decode()
        except (InvalidTag, ValueError):
            raise Refused("the tag does not fit") from None

    def mac(self, data: bytes) -> bytes:
        """HMAC-SHA-256 with the shared key."""
        made = hmac.HMAC(self.shared, _SHA256)
        made.update(data)
        return made.finalize()

    def check_mac(self, data: bytes, tag: bytes) -> None:
        """Refuses another tag."""
        if "no-check" not in self.faults and not secrets.compare_digest(self.mac(data), tag):
            raise Refused("the code does not fit")

    # ---- asymmetric

    def check_signature(self, signer: str, data: bytes, signature: bytes) -> bool:
        """True if the signer's private key made the signature of these data."""
        how = {"RSA": (_PSS, _SHA256), "DSA": (_SHA256,), "ECDSA": (ec.ECDSA(_SHA256),)}
        try:
            self.public(signer).verify(signature, data, *how[signer.rpartition("-")[2]])
        except InvalidSignature:
            return "no-check" in self.faults
        return True

    def sign(self, signer: str, data: bytes) -> bytes:
        """A signature by one of our keys."""
        how = {"RSA": (_PSS, _SHA256), "DSA": (_SHA256,), "ECDSA": (ec.ECDSA(_SHA256),)}
        signature: bytes = self.private(signer).sign(data, *how[signer.rpartition("-")[2]])
        return signature


def counted(key: bytes, start: bytes, data: bytes) -> bytes:
    """AES in counter mode; the same in both directions."""
    return Cipher(algorithms.AES(key), modes.CTR(start)).encryptor().update(data)


# ---- keys from Diffie and Hellman


def number_octets(number: int) -> bytes:
    """A public value as it is sent."""
    return number.to_bytes(GROUP_BYTES, "big")


def derived(secret: bytes) -> bytes:
    """A key for AES from a common secret."""
    return HKDF(_SHA256, KEY_BYTES, None, b"protected messages").derive(secret)


def covered(message: dict[str, Any]) -> bytes:
    """What an authentication code covers: the counter, if there is one, and the text."""
    return f"{message.get('counter', '')}:{message['text']}".encode()


if __name__ == "__main__":
    make_keys(Path(sys.argv[1]), sys.argv[2:])
