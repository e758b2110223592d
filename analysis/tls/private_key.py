"""What a server's private key opens: sessions whose secret was sent under its public key.

With RSA key exchange (RFC 5246 §7.4.7.1), the key opens every recorded session. With an exchange of
Diffie and Hellman it opens none: it only signed.
"""

from __future__ import annotations

import hashlib

import pandas as pd

from analysis import streams
from analysis.tls import hello, schedule, session
from analysis.tls.key_log import MASTER_SECRET, KeyLog
from analysis.tls.records import HANDSHAKE, may_begin
from analysis.tls.session import CLIENT, SERVER, Opened, Session, whole_messages
from analysis.tls.suites import SUITES, require_library
from testbed.core.errors import ConfigError

_SERVER_HELLO_DONE, _CLIENT_KEY_EXCHANGE = 14, 16
_PREMASTER_BYTES = 48


def secrets(packets: pd.DataFrame, pem: bytes, name: str = "of the server") -> KeyLog:
    """The master secrets of all sessions that were sent under an RSA key.

    Args:
        packets: with `analysis.streams.COLUMNS`.
        pem: the server's private key, PEM without a password.
        name: what messages call it.

    Raises:
        ConfigError: not such a key.
    """
    key = _loaded(pem, name)
    found: dict[tuple[str, bytes], bytes] = {}
    for conversation in streams.conversations(packets, wanted=may_begin):
        seen = session.read(conversation)
        master = _master(seen, key) if seen else None
        if seen and master:
            found[MASTER_SECRET, seen.client_hello.random] = master
    return KeyLog(found)


def _loaded(pem: bytes, name: str) -> object:
    require_library()
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):  # the library's words differ with its version
        raise ConfigError(
            f"private key {name}: is damaged, has a password, or is not in PEM format"
        ) from None
    return key if isinstance(key, RSAPrivateKey) else None


def _master(seen: Session, key: object) -> bytes | None:
    """The master secret of a session; None: it was not sent under this key."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    server, suite = seen.server_hello, SUITES.get(seen.cipher or 0)
    if not isinstance(key, RSAPrivateKey) or server is None or suite is None:
        return None
    if server.version != hello.TLS_1_2 or not suite.name.startswith("TLS_RSA_"):
        return None
    told = _plain(seen.sides[CLIENT])
    sent = next((m for m in told if m[0] == _CLIENT_KEY_EXCHANGE), b"")
    try:
        premaster = key.decrypt(sent[6:], PKCS1v15())
    except ValueError:
        return None
    if len(premaster) != _PREMASTER_BYTES:
        return None
    if hello.EXTENDED_MASTER_SECRET not in server.extensions:
        randoms = (seen.client_hello.random, server.random)
        return schedule.master_secret(suite, premaster, randoms)
    until = told.index(sent) + 1
    answered = _plain(seen.sides[SERVER])
    done = next((n for n, m in enumerate(answered, 1) if m[0] == _SERVER_HELLO_DONE), 0)
    handshake = [*told[:1], *answered[:done], *told[1:until]]
    digest = hashlib.new(suite.hash, b"".join(handshake)).digest()
    return schedule.extended_master_secret(suite, premaster, digest)


def _plain(side: tuple[Opened, ...]) -> list[bytes]:
    """Handshake messages in the clear."""
    data = (one.data for one in side if one.content == HANDSHAKE and not one.protected and one.data)
    return list(whole_messages(bytearray(b"".join(data))))
