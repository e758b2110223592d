"""Hellos: what client and server offer and agree on (RFC 8446 §4.1, RFC 5246 §7.4.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from analysis.tls.reader import Cut, Reader

CLIENT_HELLO, SERVER_HELLO = 1, 2
SERVER_NAME, STATUS_REQUEST, ALPN, ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET = 0, 5, 16, 22, 23
SESSION_TICKET, PRE_SHARED_KEY, EARLY_DATA, SUPPORTED_VERSIONS, KEY_SHARE = 35, 41, 42, 43, 51
TLS_1_2, TLS_1_3 = 0x0303, 0x0304

RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""A server hello with this random value is a hello retry request (RFC 8446 §4.1.3)."""

_LONGEST_BYTES = 1 << 17
_RANDOM_OF_CLIENT = re.compile(rb"\x16\x03[\x00-\x04]..\x01\x00..\x03[\x00-\x03](.{32})", re.DOTALL)


@dataclass(frozen=True)
class Hello:
    """One hello.

    Attributes:
        client: True for a client hello.
        version: agreed on, or the highest offered.
        random: 32 bytes.
        session: the session id.
        ciphers: offered, or the one chosen.
        extensions: type → content.
    """

    client: bool
    version: int
    random: bytes
    session: bytes
    ciphers: tuple[int, ...]
    extensions: dict[int, bytes] = field(default_factory=dict)

    @property
    def retry(self) -> bool:
        """A hello retry request."""
        return not self.client and self.random == RETRY_RANDOM

    @property
    def versions(self) -> tuple[int, ...]:
        """All versions offered, or the one chosen."""
        value = self.extensions.get(SUPPORTED_VERSIONS)
        if value is None:
            return (self.version,)
        raw = value[1:] if self.client else value
        return tuple(int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw) - 1, 2))

    @property
    def server_name(self) -> str:
        """The name in the clear (RFC 6066 §3); empty if there is none."""
        try:
            names = Reader(self.extensions.get(SERVER_NAME, b"")).vector(2)
            names.number(1)
            return names.vector(2).data.decode("ascii", "replace")
        except Cut:
            return ""

    @property
    def alpn(self) -> tuple[str, ...]:
        """Application protocols (RFC 7301 §3.1)."""
        return protocols(self.extensions.get(ALPN, b""))


def protocols(value: bytes) -> tuple[str, ...]:
    """The names in an ALPN extension."""
    found = []
    try:
        names = Reader(value).vector(2)
        while names.left:
            found.append(names.vector(1).data.decode("ascii", "replace"))
    except Cut:
        return tuple(found)
    return tuple(found)


def client_randoms(octets: bytes) -> Iterator[bytes]:
    """The random values of the client hellos that begin in these bytes, such as a whole capture."""
    return (found[1] for found in _RANDOM_OF_CLIENT.finditer(octets))


def parse(message: bytes) -> Hello | None:
    """A hello from a handshake message with its header; None if it is not one, or is damaged."""
    if message[:1] not in (b"\1", b"\2") or len(message) > _LONGEST_BYTES:
        return None
    client = message[0] == CLIENT_HELLO
    body = Reader(message[4:])
    try:
        version, random, session = body.number(2), body.take(32), body.vector(1).data
        raw = body.vector(2).data if client else body.take(2)
        body.vector(1) if client else body.take(1)  # compression
        more = extensions(body.vector(2)) if body.left else {}
    except Cut:
        return None
    ciphers = tuple(int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw) - 1, 2))
    found = Hello(client, version, random, session, ciphers, more)
    known = [one for one in found.versions if one <= TLS_1_3]  # others are drafts and GREASE
    return replace(found, version=max(known, default=version))


def extensions(body: Reader) -> dict[int, bytes]:
    """Type → content of a list of extensions."""
    found: dict[int, bytes] = {}
    while body.left:
        kind = body.number(2)
        found.setdefault(kind, body.vector(2).data)
    return found


def takes_early_data(encrypted_extensions: bytes) -> bool:
    """Whether a server says so (RFC 8446 §4.2.10); True if the message is damaged: not known."""
    try:
        return EARLY_DATA in extensions(Reader(encrypted_extensions).vector(2))
    except Cut:
        return True
