"""First lines and some headers of HTTP/1 messages in a capture (RFC 9112)."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

COLUMNS = ("frame", "ip_src", "ip_dst", "tcp_sport", "tcp_dport", "payload")
"""What `packets` must hold. Messages are known by their first line, whatever the port."""

MESSAGE = (
    "frame",
    "kind",
    "method",
    "target",
    "status",
    "reason",
    "version",
    "host",
    "content_bytes",
    "content_type",
)

_REQUEST = re.compile(rb"([A-Z]{3,16}) (\S{1,8000}) HTTP/(1\.[01])\r?\n")
_RESPONSE = re.compile(rb"HTTP/(1\.[01]) (\d{3})(?: ([^\r\n]{0,200}))?\r?\n")
_HEADER = re.compile(rb"^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([^\r\n]*)", re.MULTILINE)


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row a segment that begins with a request or response line.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_ns`` are carried along.

    Returns:
        the columns of `packets` but the payload, and: ``kind`` (``request``, ``response``),
        ``method``, ``target``, ``status``, ``reason``, ``version``, and of the headers in the same
        segment ``host``, ``content_bytes``, ``content_type``; None where not given.
    """
    chosen = packets[packets["tcp_sport"].notna() & packets["payload"].notna()]
    rows = [
        row
        for frame, data in zip(chosen["frame"].tolist(), chosen["payload"].tolist(), strict=True)
        if (row := _message(frame, data)) is not None
    ]
    found = pd.DataFrame(rows, columns=list(MESSAGE))
    return chosen.drop(columns="payload").merge(found, on="frame", validate="one_to_one")


def _message(frame: int, data: bytes) -> dict[str, Any] | None:
    if line := _REQUEST.match(data):
        method, target, version = (part.decode("latin-1") for part in line.groups())
        row: dict[str, Any] = {"kind": "request", "method": method, "target": target}
    elif line := _RESPONSE.match(data):
        version, status, reason = (part.decode("latin-1") for part in line.groups(b""))
        row = {"kind": "response", "status": int(status), "reason": reason}
    else:
        return None
    row |= {"frame": frame, "version": version}
    head = data[line.end() :].split(b"\r\n\r\n", maxsplit=1)[0]
    headers = {name.lower(): value.strip() for name, value in _HEADER.findall(head)}
    row["host"] = _text(headers.get(b"host"))
    row["content_type"] = _text(headers.get(b"content-type"))
    length = headers.get(b"content-length", b"")
    row["content_bytes"] = int(length) if length.isdigit() and len(length) < 19 else None
    return row


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
