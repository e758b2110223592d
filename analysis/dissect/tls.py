"""Client and server hellos of TLS in a capture (RFC 8446, RFC 5246)."""

from __future__ import annotations

from typing import Any

import pandas as pd

COLUMNS = ("frame", "ip_src", "ip_dst", "tcp_sport", "tcp_dport", "payload")
"""What `packets` must hold. Hellos are known by their bytes, whatever the port."""

VERSIONS = {0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
MESSAGE = (
    "frame",
    "kind",
    "version",
    "versions",
    "server_name",
    "alpn",
    "ciphers",
    "session_bytes",
    "malformed",
)

_HANDSHAKE, _CLIENT_HELLO, _SERVER_HELLO = 22, 1, 2
_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS = 0, 16, 43


class _Cut(Exception):
    """A length leads over the end of what was captured."""


class _Reader:
    """Takes numbers and vectors off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count > len(self.data):
            raise _Cut
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, width: int) -> int:
        """The next number of `width` bytes."""
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> _Reader:
        """The next vector, whose length has `width` bytes (RFC 8446 §3.4)."""
        return _Reader(self.take(self.number(width)))


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row a hello.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_ns`` are carried along.

    Returns:
        the columns of `packets` but the payload, and: ``kind`` (``client``, ``server``),
        ``version`` (agreed, or the highest offered), ``versions`` (offered, with commas),
        ``server_name``, ``alpn`` (with commas), ``ciphers`` (hexadecimal, with commas),
        ``session_bytes``, ``malformed`` (also where a hello goes on in the next segment).
    """
    chosen = packets[packets["tcp_sport"].notna() & packets["payload"].notna()]
    rows = [
        _hello(frame, data)
        for frame, data in zip(chosen["frame"].tolist(), chosen["payload"].tolist(), strict=True)
        if _is_hello(data)
    ]
    found = pd.DataFrame(rows, columns=list(MESSAGE))
    return chosen.drop(columns="payload").merge(found, on="frame", validate="one_to_one")


def _is_hello(data: bytes) -> bool:
    record = data[:1] == bytes([_HANDSHAKE]) and data[1:2] == b"\x03"
    return record and data[5:6] in (bytes([_CLIENT_HELLO]), bytes([_SERVER_HELLO]))


def _hello(frame: int, data: bytes) -> dict[str, Any]:
    client = data[5] == _CLIENT_HELLO
    row: dict[str, Any] = {"frame": frame, "kind": "client" if client else "server"}
    try:
        body = _Reader(data[6:]).vector(3)
        legacy = body.number(2)
        row["version"] = VERSIONS.get(legacy, hex(legacy))
        body.take(32)  # random
        row["session_bytes"] = len(body.vector(1).data)
        row["ciphers"] = _numbers(body.vector(2) if client else _Reader(body.take(2)))
        body.vector(1) if client else body.take(1)  # compression
        if body.data:
            _extensions(body.vector(2), client, row)
        row["malformed"] = False
    except _Cut:
        row["malformed"] = True
    return row


def _numbers(vector: _Reader) -> str:
    found = []
    while len(vector.data) >= 2:
        found.append(f"{vector.number(2):04x}")
    return ",".join(found)


def _extensions(body: _Reader, client: bool, row: dict[str, Any]) -> None:
    while body.data:
        kind, value = body.number(2), body.vector(2)
        if kind == _SERVER_NAME and value.data:  # RFC 6066 §3
            names = value.vector(2)
            names.number(1)
            row["server_name"] = names.vector(2).data.decode("ascii", "replace")
        elif kind == _ALPN:  # RFC 7301 §3.1
            names, protocols = value.vector(2), []
            while names.data:
                protocols.append(names.vector(1).data.decode("ascii", "replace"))
            row["alpn"] = ",".join(protocols)
        elif kind == _SUPPORTED_VERSIONS:  # RFC 8446 §4.2.1
            offered = _numbers(value.vector(1) if client else value).split(",")
            known = [VERSIONS[int(one, 16)] for one in offered if one and int(one, 16) in VERSIONS]
            row["versions"] = ",".join(known)
            row["version"] = max(known, default=row["version"])
