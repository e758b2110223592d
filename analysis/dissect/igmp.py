"""IGMPv3 reports: who joins and leaves which multicast group (RFC 3376 §4.2)."""

from __future__ import annotations

import ipaddress

JOINED, LEFT = 4, 3
"""Record types: changed to exclude nothing, changed to include nothing (§4.2.12)."""

_REPORT, _SHORTEST_BYTES = 0x22, 16


def record(payload: bytes) -> tuple[int, str]:
    """Type and group of a report's first record; (0, "") if it is not a report."""
    if len(payload) < _SHORTEST_BYTES or payload[0] != _REPORT:
        return 0, ""
    return payload[8], str(ipaddress.IPv4Address(payload[12:16]))
