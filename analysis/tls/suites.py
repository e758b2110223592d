"""Cipher suites that can be opened, and how each protects records.

Record protection of TLS 1.2 (RFC 5246 §6.2.3, RFC 5288, RFC 7905, RFC 7366) and TLS 1.3 (RFC 8446
§5.2). The ciphers themselves are those of ``cryptography``.
"""

from __future__ import annotations

import hmac
import importlib.util
from dataclasses import dataclass
from typing import Any, Protocol

from testbed.core.errors import MissingPrerequisiteError


@dataclass(frozen=True)
class Suite:
    """One cipher suite.

    Attributes:
        name: as IANA registered it.
        cipher: ``gcm``, ``chacha``, ``ccm``, ``ccm8`` or ``cbc``.
        key_bytes: of its key.
        hash: of the key schedule, as `hashlib` names it.
        mac: of its records (CBC only), likewise.
    """

    name: str
    cipher: str
    key_bytes: int
    hash: str = "sha256"
    mac: str = ""

    @property
    def fixed_iv_bytes(self) -> int:
        """Bytes of its initialisation vector that TLS 1.2 derives from the master secret."""
        return {"cbc": 0, "chacha": 12}.get(self.cipher, 4)

    @property
    def mac_bytes(self) -> int:
        """Bytes of its records' MAC and of that MAC's key."""
        return {"": 0, "sha1": 20, "sha256": 32, "sha384": 48}[self.mac]


def _of(name: str, cipher: str, *more: Any) -> Suite:
    return Suite(f"TLS_{name}", cipher, *more)


_EXCHANGES = {"RSA": 0, "DHE_RSA": 1, "ECDHE_ECDSA": 2, "ECDHE_RSA": 3}

SUITES: dict[int, Suite] = {
    0x1301: _of("AES_128_GCM_SHA256", "gcm", 16),
    0x1302: _of("AES_256_GCM_SHA384", "gcm", 32, "sha384"),
    0x1303: _of("CHACHA20_POLY1305_SHA256", "chacha", 32),
    0x1304: _of("AES_128_CCM_SHA256", "ccm", 16),
    0x1305: _of("AES_128_CCM_8_SHA256", "ccm8", 16),
    0x002F: _of("RSA_WITH_AES_128_CBC_SHA", "cbc", 16, "sha256", "sha1"),
    0x0033: _of("DHE_RSA_WITH_AES_128_CBC_SHA", "cbc", 16, "sha256", "sha1"),
    0x0035: _of("RSA_WITH_AES_256_CBC_SHA", "cbc", 32, "sha256", "sha1"),
    0x0039: _of("DHE_RSA_WITH_AES_256_CBC_SHA", "cbc", 32, "sha256", "sha1"),
    0x003C: _of("RSA_WITH_AES_128_CBC_SHA256", "cbc", 16, "sha256", "sha256"),
    0x003D: _of("RSA_WITH_AES_256_CBC_SHA256", "cbc", 32, "sha256", "sha256"),
    0x0067: _of("DHE_RSA_WITH_AES_128_CBC_SHA256", "cbc", 16, "sha256", "sha256"),
    0x006B: _of("DHE_RSA_WITH_AES_256_CBC_SHA256", "cbc", 32, "sha256", "sha256"),
    0x009C: _of("RSA_WITH_AES_128_GCM_SHA256", "gcm", 16),
    0x009D: _of("RSA_WITH_AES_256_GCM_SHA384", "gcm", 32, "sha384"),
    0x009E: _of("DHE_RSA_WITH_AES_128_GCM_SHA256", "gcm", 16),
    0x009F: _of("DHE_RSA_WITH_AES_256_GCM_SHA384", "gcm", 32, "sha384"),
    0xC009: _of("ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "cbc", 16, "sha256", "sha1"),
    0xC00A: _of("ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "cbc", 32, "sha256", "sha1"),
    0xC013: _of("ECDHE_RSA_WITH_AES_128_CBC_SHA", "cbc", 16, "sha256", "sha1"),
    0xC014: _of("ECDHE_RSA_WITH_AES_256_CBC_SHA", "cbc", 32, "sha256", "sha1"),
    0xC023: _of("ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "cbc", 16, "sha256", "sha256"),
    0xC024: _of("ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", "cbc", 32, "sha384", "sha384"),
    0xC027: _of("ECDHE_RSA_WITH_AES_128_CBC_SHA256", "cbc", 16, "sha256", "sha256"),
    0xC028: _of("ECDHE_RSA_WITH_AES_256_CBC_SHA384", "cbc", 32, "sha384", "sha384"),
    0xC02B: _of("ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "gcm", 16),
    0xC02C: _of("ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "gcm", 32, "sha384"),
    0xC02F: _of("ECDHE_RSA_WITH_AES_128_GCM_SHA256", "gcm", 16),
    0xC030: _of("ECDHE_RSA_WITH_AES_256_GCM_SHA384", "gcm", 32, "sha384"),
    0xCCA8: _of("ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "chacha", 32),
    0xCCA9: _of("ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "chacha", 32),
    0xCCAA: _of("DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "chacha", 32),
}
"""Number (IANA) → suite."""


class NotOpenedError(Exception):
    """A record does not fit the key: it was changed, or the key is another's."""


class Protection(Protocol):
    """One direction's protection with one key; counts the records."""

    def open(self, content: int, header: bytes, body: bytes) -> tuple[int, bytes]:
        """The content's type and the plaintext of the next record.

        Raises:
            NotOpenedError: it does not fit; the count stays.
        """


def library_is_there() -> bool:
    """Whether the library for ciphers, an extra, is installed."""
    return importlib.util.find_spec("cryptography") is not None


def require_library() -> None:
    """Raises MissingPrerequisiteError without the library for ciphers, an extra."""
    try:
        import cryptography  # noqa: F401
    except ModuleNotFoundError:
        raise MissingPrerequisiteError(
            "Python's cryptography", "make extra-tls", "TLS is opened with it"
        ) from None


def aead(suite: Suite, key: bytes) -> Any:
    """The library's cipher of a suite."""
    from cryptography.hazmat.primitives.ciphers import aead

    if suite.cipher == "gcm":
        return aead.AESGCM(key)
    if suite.cipher == "chacha":
        return aead.ChaCha20Poly1305(key)
    return aead.AESCCM(key, tag_length=8 if suite.cipher == "ccm8" else 16)


def decrypt(cipher: Any, nonce: bytes, body: bytes, about: bytes) -> bytes:
    """What an authenticated cipher protects.

    Raises:
        NotOpenedError: it does not fit.
    """
    from cryptography.exceptions import InvalidTag

    try:
        return bytes(cipher.decrypt(nonce, body, about))
    except (InvalidTag, ValueError):  # ValueError: shorter than its tag
        raise NotOpenedError from None


def _xored(iv: bytes, count: int) -> bytes:
    return (int.from_bytes(iv, "big") ^ count).to_bytes(len(iv), "big")


class Aead13:
    """TLS 1.3 (RFC 8446 §5.2): the content's type is the last byte that is not 0."""

    def __init__(self, suite: Suite, key: bytes, iv: bytes) -> None:
        self.cipher, self.iv, self.count = aead(suite, key), iv, 0

    def open(self, content: int, header: bytes, body: bytes) -> tuple[int, bytes]:
        """See `Protection`."""
        plain = decrypt(self.cipher, _xored(self.iv, self.count), body, header)
        self.count += 1
        plain = plain.rstrip(b"\0")
        return (plain[-1], plain[:-1]) if plain else (content, b"")


class Aead12:
    """TLS 1.2 with authenticated encryption (RFC 5246 §6.2.3.3)."""

    def __init__(self, suite: Suite, key: bytes, iv: bytes) -> None:
        self.cipher, self.iv, self.count = aead(suite, key), iv, 0
        self.explicit_bytes = 12 - len(iv)
        self.tag_bytes = 8 if suite.cipher == "ccm8" else 16

    def open(self, content: int, header: bytes, body: bytes) -> tuple[int, bytes]:
        """See `Protection`."""
        explicit, rest = body[: self.explicit_bytes], body[self.explicit_bytes :]
        length = len(rest) - self.tag_bytes
        if length < 0:
            raise NotOpenedError
        nonce = self.iv + explicit if explicit else _xored(self.iv, self.count)
        about = self.count.to_bytes(8, "big") + header[:3] + length.to_bytes(2, "big")
        plain = decrypt(self.cipher, nonce, rest, about)
        self.count += 1
        return content, plain


class Cbc12:
    """TLS 1.2 with AES-CBC and a MAC inside it (RFC 5246 §6.2.3.2) or around it (RFC 7366)."""

    def __init__(self, suite: Suite, key: bytes, mac_key: bytes, encrypt_then_mac: bool) -> None:
        self.suite, self.key, self.mac_key = suite, key, mac_key
        self.encrypt_then_mac, self.count = encrypt_then_mac, 0

    def open(self, content: int, header: bytes, body: bytes) -> tuple[int, bytes]:
        """See `Protection`."""
        size = self.suite.mac_bytes
        if self.encrypt_then_mac:
            body, mac = body[:-size], body[-size:]
            self._check(header, body, mac)
        plain = self._decrypted(body)
        if not plain or plain[-1] >= len(plain):
            raise NotOpenedError
        plain = plain[: -plain[-1] - 1]
        if not self.encrypt_then_mac:
            if len(plain) < size:
                raise NotOpenedError
            plain, mac = plain[:-size], plain[-size:]
            self._check(header, plain, mac)
        self.count += 1
        return content, plain

    def _check(self, header: bytes, data: bytes, mac: bytes) -> None:
        about = self.count.to_bytes(8, "big") + header[:3] + len(data).to_bytes(2, "big")
        if not hmac.compare_digest(hmac.digest(self.mac_key, about + data, self.suite.mac), mac):
            raise NotOpenedError

    def _decrypted(self, body: bytes) -> bytes:
        if len(body) < 32 or len(body) % 16:
            raise NotOpenedError
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        opening = Cipher(algorithms.AES(self.key), modes.CBC(body[:16])).decryptor()
        return bytes(opening.update(body[16:]) + opening.finalize())
