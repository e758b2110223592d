"""IGMP messages: who asks for, joins and leaves which multicast group (RFC 2236, RFC 3376)."""

from __future__ import annotations

import ipaddress
from typing import Any

import pandas as pd

PROTOCOL = 2
COLUMNS = ("frame", "ip_version", "ip_src", "ip_dst", "ip_proto", "payload")
"""What `packets` must hold."""

TYPES = {0x11: "query", 0x12: "v1 report", 0x16: "v2 report", 0x17: "leave", 0x22: "v3 report"}
MESSAGE = ("frame", "type", "group", "records", "change", "malformed")

JOINED, LEFT = 4, 3
"""Record types: changed to exclude nothing, changed to include nothing (§4.2.12)."""

_REPORT, _SHORTEST_BYTES = 0x22, 16


def record(payload: bytes) -> tuple[int, str]:
    """Type and group of a report's first record; (0, "") if it is not a report."""
    if len(payload) < _SHORTEST_BYTES or payload[0] != _REPORT:
        return 0, ""
    return payload[8], str(ipaddress.IPv4Address(payload[12:16]))


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row per message.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_ns`` are carried along.

    Returns:
        the columns of `packets` but the payload, and: ``type`` (of `TYPES`, or its number),
        ``group`` (of a version 3 report: of its first record), ``records`` (of such a report),
        ``change`` (``joined`` or ``left``, of the first record), ``malformed``.
    """
    own = (packets["ip_proto"] == PROTOCOL) & (packets["ip_version"] == 4)
    chosen = packets[own.fillna(False) & packets["payload"].notna()]
    rows = [
        _message(frame, data)
        for frame, data in zip(chosen["frame"].tolist(), chosen["payload"].tolist(), strict=True)
    ]
    found = pd.DataFrame(rows, columns=list(MESSAGE))
    return chosen.drop(columns="payload").merge(found, on="frame", validate="one_to_one")


def _message(frame: int, data: bytes) -> dict[str, Any]:
    if len(data) < 8:
        return {"frame": frame, "malformed": True}
    row = {"frame": frame, "type": TYPES.get(data[0], str(data[0])), "malformed": False}
    if data[0] != _REPORT:
        return row | {"group": str(ipaddress.IPv4Address(data[4:8]))}
    kind, group = record(data)
    row["records"] = int.from_bytes(data[6:8], "big")
    return row | {"group": group or None, "change": {JOINED: "joined", LEFT: "left"}.get(kind)}
