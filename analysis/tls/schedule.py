"""From secrets to keys: TLS 1.2's PRF (RFC 5246 §5, §6.3), TLS 1.3's HKDF (RFC 8446 §7)."""

from __future__ import annotations

import hmac

from analysis.tls.suites import Aead12, Aead13, Cbc12, Protection, Suite

MASTER_BYTES = 48


def prf(hash_name: str, secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """RFC 5246 §5: P_hash over the label and the seed."""
    seed = label + seed
    found, chained = b"", seed
    while len(found) < size:
        chained = hmac.digest(secret, chained, hash_name)
        found += hmac.digest(secret, chained + seed, hash_name)
    return found[:size]


def master_secret(suite: Suite, premaster: bytes, randoms: tuple[bytes, bytes]) -> bytes:
    """RFC 5246 §8.1: from the premaster secret and the client's and the server's random values."""
    seed = randoms[0] + randoms[1]
    return prf(suite.hash, premaster, b"master secret", seed, MASTER_BYTES)


def extended_master_secret(suite: Suite, premaster: bytes, session_hash: bytes) -> bytes:
    """RFC 7627 §4: from the premaster secret and a hash over the handshake so far."""
    return prf(suite.hash, premaster, b"extended master secret", session_hash, MASTER_BYTES)


def protections_1_2(
    suite: Suite, master: bytes, randoms: tuple[bytes, bytes], *, encrypt_then_mac: bool
) -> tuple[Protection, Protection]:
    """The client's and the server's protection (RFC 5246 §6.3)."""
    sizes = [suite.mac_bytes] * 2 + [suite.key_bytes] * 2 + [suite.fixed_iv_bytes] * 2
    block = prf(suite.hash, master, b"key expansion", randoms[1] + randoms[0], sum(sizes))
    parts = []
    for size in sizes:
        parts.append(block[:size])
        block = block[size:]
    if suite.cipher == "cbc":
        return (
            Cbc12(suite, parts[2], parts[0], encrypt_then_mac),
            Cbc12(suite, parts[3], parts[1], encrypt_then_mac),
        )
    return Aead12(suite, parts[2], parts[4]), Aead12(suite, parts[3], parts[5])


def expand(suite: Suite, secret: bytes, label: str, size: int) -> bytes:
    """HKDF-Expand-Label without a context (RFC 8446 §7.1)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    name = b"tls13 " + label.encode()
    info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0"
    kind = {"sha256": hashes.SHA256, "sha384": hashes.SHA384}[suite.hash]()
    return HKDFExpand(kind, size, info).derive(secret)


def protection_1_3(suite: Suite, secret: bytes) -> Protection:
    """The protection by a traffic secret (RFC 8446 §7.3)."""
    key = expand(suite, secret, "key", suite.key_bytes)
    return Aead13(suite, key, expand(suite, secret, "iv", 12))


def next_secret(suite: Suite, secret: bytes) -> bytes:
    """The traffic secret behind a key update (RFC 8446 §7.2)."""
    return expand(suite, secret, "traffic upd", len(secret))
