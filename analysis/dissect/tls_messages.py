"""All messages of TLS in a capture: handshake, alerts, application data (RFC 8446, RFC 5246)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis import streams, tls
from analysis.dissect import tables
from analysis.dissect.tls import VERSIONS
from analysis.tls import hello, session
from analysis.tls.reader import Cut, Reader
from analysis.tls.records import ALERT, APPLICATION, CHANGE_CIPHER, HANDSHAKE, may_begin
from analysis.tls.session import CLIENT, SERVER, Opened, Session, whole_messages
from analysis.tls.suites import SUITES

COLUMNS = streams.COLUMNS
"""What `packets` must hold. TLS is known by its first bytes, whatever the port."""

MESSAGE = (
    "frame",
    "connection",
    "side",
    "protocol_name",
    "message",
    "bytes",
    "record",
    "record_bytes",
    "encrypted",
    "opened",
    "early",
    "refused",
    "version",
    "cipher",
    "server_name",
    "alpn",
    "extensions",
    "session",
    "certificates",
    "alert",
    "data",
    "text",
)

HANDSHAKES = {
    0: "HelloRequest",
    1: "ClientHello",
    2: "ServerHello",
    4: "NewSessionTicket",
    5: "EndOfEarlyData",
    8: "EncryptedExtensions",
    11: "Certificate",
    12: "ServerKeyExchange",
    13: "CertificateRequest",
    14: "ServerHelloDone",
    15: "CertificateVerify",
    16: "ClientKeyExchange",
    20: "Finished",
    22: "CertificateStatus",
    24: "KeyUpdate",
    25: "CompressedCertificate",
}
"""Types of handshake messages (RFC 8446 §4, RFC 5246 §7.4, RFC 6066 §8, RFC 8879 §7.2)."""

ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""Descriptions of alerts (RFC 8446 §6, RFC 7507 §3)."""

_NAMES = {
    CHANGE_CIPHER: "change cipher spec",
    ALERT: "alert",
    HANDSHAKE: "handshake",
    APPLICATION: "application data",
}
_EXTENSIONS = {
    hello.SERVER_NAME: "server_name",
    hello.STATUS_REQUEST: "status_request",
    hello.ALPN: "alpn",
    hello.ENCRYPT_THEN_MAC: "encrypt_then_mac",
    hello.EXTENDED_MASTER_SECRET: "extended_master_secret",
    hello.SESSION_TICKET: "session_ticket",
    hello.PRE_SHARED_KEY: "pre_shared_key",
    hello.EARLY_DATA: "early_data",
    hello.SUPPORTED_VERSIONS: "supported_versions",
    hello.KEY_SHARE: "key_share",
}
_MOST_CERTIFICATES = 100
_MOST_CERTIFICATE_BYTES = 100_000
"""OpenSSL accepts as much by default; a message that claims more is not decompressed."""

_ZLIB = 1


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row per message, at the frame that completes it; per record where that stays closed.

    Args:
        packets: with `COLUMNS`; with keys (`analysis.tls.set_keys`), what they open is read, too.

    Returns:
        the columns of `packets` but the payload, and:

        - ``connection`` (as in `analysis.tcp.analyse`), ``side`` (``client``, ``server``)
        - ``protocol_name`` (``handshake``, ``alert``, ``change cipher spec``, ``application
          data``), ``message`` (of a handshake its type, of an alert its description, else as
          ``protocol_name``; empty for what stays closed)
        - ``bytes`` (of the message, of a closed record's body); ``record`` and ``record_bytes``:
          the place in the stream of the record that completes it, and its length with the header
        - ``encrypted``, ``opened`` (its content is known), ``early`` (0-RTT),
          ``refused`` (early data that the server does not read)
        - ``version``, ``cipher`` (IANA's name): what the connection agreed on
        - ``server_name``, ``alpn``, ``extensions`` (names, with commas), ``session`` (the session
          id in hexadecimal) of hellos; ``alpn`` also of EncryptedExtensions
        - ``certificates``: (DER, …) of a Certificate, or of a CompressedCertificate (zlib)
        - ``alert``: ``warning`` or ``fatal``
        - ``data``: the message's bytes without its header, if opened
        - ``text``: the message in a few words
    """
    keys, rows = tls.keys_of(packets), []
    for conversation in streams.conversations(packets, wanted=may_begin):
        found = session.read(conversation, keys)
        if found is None:
            continue
        for number in (CLIENT, SERVER):
            about = {"connection": conversation.connection, "side": ("client", "server")[number]}
            rows += [about | row for row in _rows(found, found.sides[number])]
    rows.sort(key=lambda row: row["frame"])
    return tables.with_messages(packets, rows, MESSAGE)


def _rows(found: Session, side: tuple[Opened, ...]) -> Iterator[dict[str, Any]]:
    """The messages of one side."""
    pending = bytearray()
    suite = SUITES.get(found.cipher or 0)
    cipher = suite.name if suite else f"0x{found.cipher:04x}" if found.cipher else None
    agreed = {"version": VERSIONS.get(found.version, hex(found.version)), "cipher": cipher}
    for one in side:
        about = {
            **agreed,
            "frame": one.record.frame,
            "protocol_name": _NAMES.get(one.content, f"type {one.content}"),
            "record": one.record.begin,
            "record_bytes": one.record.end - one.record.begin,
            "encrypted": one.protected,
            "opened": one.data is not None,
            "early": one.early,
            "refused": one.refused,
        }
        if one.data is None:
            yield about | _closed(one)
        elif one.refused:
            row = _other(one.content, one.data)
            yield about | row | {"text": f"{row['text']} (refused early data)"}
        elif one.content == HANDSHAKE:
            pending += one.data
            for message in whole_messages(pending):
                yield about | _handshake(message, found.version)
        else:
            yield about | _other(one.content, one.data)


def _closed(one: Opened) -> dict[str, Any]:
    name = _NAMES.get(one.content, f"type {one.content}")
    return {"message": "", "bytes": len(one.record.body), "text": f"{name} (encrypted)"}


def _other(content: int, data: bytes) -> dict[str, Any]:
    name = _NAMES.get(content, f"type {content}")
    row: dict[str, Any] = {"message": name, "bytes": len(data), "data": data, "text": name}
    if content == ALERT and len(data) == 2:
        row["message"] = ALERTS.get(data[1], f"alert {data[1]}")
        row["alert"] = {1: "warning", 2: "fatal"}.get(data[0], str(data[0]))
        row["text"] = f"alert: {row['message']}"
    elif content == APPLICATION:
        row["text"] = f"application data, {len(data)} bytes"
    return row


def _handshake(message: bytes, version: int) -> dict[str, Any]:
    name = HANDSHAKES.get(message[0], f"type {message[0]}")
    row = {"message": name, "bytes": len(message), "data": message[4:], "text": name}
    try:
        if said := hello.parse(message):
            row |= _hello(said)
        elif name == "Certificate":
            row["certificates"] = tuple(_certificates(message[4:], version))
        elif name == "CompressedCertificate":
            if body := _decompressed(message[4:]):
                row["certificates"] = tuple(_certificates(body, version))
        elif name == "EncryptedExtensions":
            row |= _encrypted_extensions(message[4:])
    except Cut:
        row["text"] = f"{name} (damaged)"
    return row


def _hello(said: hello.Hello) -> dict[str, Any]:
    name = "HelloRetryRequest" if said.retry else "ClientHello" if said.client else "ServerHello"
    versions = [VERSIONS[one] for one in said.versions if one in VERSIONS]
    several = "up to " * (len(versions) > 1)
    offered = f" {several}{max(versions)}" if versions else ""
    known = [_EXTENSIONS[kind] for kind in said.extensions if kind in _EXTENSIONS]
    host = f" for {said.server_name}" if said.server_name else ""
    return {
        "message": name,
        "server_name": said.server_name or None,
        "alpn": ",".join(said.alpn) or None,
        "extensions": ",".join(known),
        "session": said.session.hex(),
        "text": f"{name}{offered}{host}",
    }


def _encrypted_extensions(body: bytes) -> dict[str, Any]:
    found = hello.extensions(Reader(body).vector(2))
    known = [_EXTENSIONS[kind] for kind in found if kind in _EXTENSIONS]
    return {
        "alpn": ",".join(hello.protocols(found.get(hello.ALPN, b""))) or None,
        "extensions": ",".join(known),
    }


def _decompressed(body: bytes) -> bytes:
    """The Certificate in a CompressedCertificate (RFC 8879 §4); empty if not by zlib.

    Raises:
        Cut: it is damaged.
    """
    reader = Reader(body)
    algorithm, length, packed = reader.number(2), reader.number(3), reader.vector(3).data
    if algorithm != _ZLIB or length > _MOST_CERTIFICATE_BYTES:
        return b""
    try:
        found = zlib.decompressobj().decompress(packed, length + 1)
    except zlib.error:
        raise Cut from None
    if len(found) != length:
        raise Cut
    return found


def _certificates(body: bytes, version: int) -> Iterator[bytes]:
    """The certificates of a message (RFC 8446 §4.4.2, RFC 5246 §7.4.2)."""
    reader, new = Reader(body), version >= hello.TLS_1_3
    if new:
        reader.vector(1)  # context
    listed = reader.vector(3)
    for _ in range(_MOST_CERTIFICATES):
        if not listed.left:
            return
        yield listed.vector(3).data
        if new:
            listed.vector(2)
