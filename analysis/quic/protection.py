"""Keys of QUIC packets, and packets opened with them (RFC 9001 §5, RFC 9369 §3.3)."""

from __future__ import annotations

import functools
import hmac
from dataclasses import dataclass
from typing import Any

from analysis.quic.headers import ONE_RTT, TAG_BYTES, VERSION_2, Header
from analysis.tls.schedule import expand
from analysis.tls.suites import SUITES, NotOpenedError, Suite, aead, decrypt, require_library

_SALTS = {
    1: bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"),
    VERSION_2: bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"),
}
_INITIAL_SUITE = SUITES[0x1301]
_SUITES = {32: (SUITES[0x1301], SUITES[0x1303], SUITES[0x1304]), 48: (SUITES[0x1302],)}
"""Those whose secrets have so many bytes."""

_SIDES = ("client", "server")
_SAMPLE_AT, _SAMPLE_BYTES = 4, 16


@dataclass(frozen=True)
class Opened:
    """A packet without its protection.

    Attributes:
        number: the packet's.
        key_phase: of packets with a short header (RFC 9001 §6); else 0.
        payload: its frames.
    """

    number: int
    key_phase: int
    payload: bytes


class Keys:
    """The keys of one direction at one level, from their secret."""

    def __init__(self, suite: Suite, secret: bytes, version: int) -> None:
        self.suite, self.secret, self.version = suite, secret, version
        self.label = "quicv2 " if version == VERSION_2 else "quic "
        self.cipher = aead(suite, self._derived("key", suite.key_bytes))
        self.iv = self._derived("iv", 12)
        self.mask = _masks(suite, self._derived("hp", suite.key_bytes))

    def _derived(self, name: str, size: int) -> bytes:
        return expand(self.suite, self.secret, self.label + name, size)

    def next(self) -> Keys:
        """Those after a key update; header protection stays (RFC 9001 §6.1)."""
        found = Keys(self.suite, self._derived("ku", len(self.secret)), self.version)
        found.mask = self.mask
        return found

    def open(self, header: Header, data: bytes, largest: int) -> Opened:
        """A packet of a datagram.

        Args:
            header: the packet's.
            data: the datagram.
            largest: number of the largest packet so far in this direction and space, or -1.

        Raises:
            NotOpenedError: the keys are others', or the packet is cut.
        """
        number_at, end = header.number_at, header.end
        if not number_at or end > len(data):
            raise NotOpenedError
        first, size, truncated = self.unprotected(header, data)
        begin = number_at + size
        number = whole_number(truncated, 8 * size, largest)
        about = bytes([first]) + data[header.begin + 1 : number_at]
        about += truncated.to_bytes(size, "big")
        nonce = (int.from_bytes(self.iv, "big") ^ number).to_bytes(12, "big")
        payload = decrypt(self.cipher, nonce, data[begin:end], about)
        phase = first >> 2 & 1 if header.type == ONE_RTT else 0
        return Opened(number, phase, payload)

    def unprotected(self, header: Header, data: bytes) -> tuple[int, int, int]:
        """The first byte, and size and value of the packet number (RFC 9001 §5.4)."""
        sample = data[header.number_at + _SAMPLE_AT :][:_SAMPLE_BYTES]
        if len(sample) < _SAMPLE_BYTES or header.end - header.number_at < _SAMPLE_AT + TAG_BYTES:
            raise NotOpenedError
        mask = self.mask(sample)
        first = data[header.begin] ^ (mask[0] & (0x1F if header.type == ONE_RTT else 0x0F))
        size = (first & 3) + 1
        raw = data[header.number_at : header.number_at + size]
        return first, size, int.from_bytes(raw, "big") ^ int.from_bytes(mask[1 : 1 + size], "big")


def whole_number(truncated: int, bits: int, largest: int) -> int:
    """The packet number that is meant (RFC 9000 §A.3)."""
    expected, window = largest + 1, 1 << bits
    found = (expected & ~(window - 1)) | truncated
    if found <= expected - window // 2 and found < (1 << 62) - window:
        return found + window
    return found - window if found > expected + window // 2 and found >= window else found


def initial(target: bytes, version: int) -> tuple[Keys, Keys]:
    """The client's and the server's keys of Initial packets: everybody who sees the first packet
    has them (RFC 9001 §5.2).

    Args:
        target: the connection id in the client's first packet.
        version: of that packet.

    Raises:
        MissingPrerequisiteError: the library for ciphers is not installed.
    """
    require_library()
    secret = hmac.digest(_SALTS[version], target, "sha256")
    client, server = (expand(_INITIAL_SUITE, secret, f"{side} in", 32) for side in _SIDES)
    return Keys(_INITIAL_SUITE, client, version), Keys(_INITIAL_SUITE, server, version)


def candidates(secret: bytes, version: int) -> list[Keys]:
    """Keys from a logged secret, one for each cipher that it may be of; a packet fits one."""
    require_library()
    return [Keys(suite, secret, version) for suite in _SUITES.get(len(secret), ())]


def _masks(suite: Suite, key: bytes) -> Any:
    """From a sample to the mask of a header (RFC 9001 §5.4.3, §5.4.4)."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if suite.cipher == "chacha":

        def by_chacha(sample: bytes) -> bytes:
            stream = Cipher(algorithms.ChaCha20(key, sample), None).encryptor()
            return bytes(stream.update(bytes(5)))

        return by_chacha
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return functools.partial(_first_bytes, block)


def _first_bytes(block: Any, sample: bytes) -> bytes:
    return bytes(block.update(sample)[:5])
