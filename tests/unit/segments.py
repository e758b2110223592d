"""Tables of packets as the reader gives them, for tests of what stands on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"

Segment = tuple[int, int, int, bytes, int]
"""Side (0: the client's), sequence number, flags, captured bytes, bytes on the wire."""


def segments(*rows: Segment, ports: tuple[int, int] = (40000, 80)) -> pd.DataFrame:
    """The segments of one TCP connection, one packet each, in the order of their arrival."""
    return pd.DataFrame(
        _packet(frame, ports if side == 0 else ports[::-1], side, "tcp", data)
        | {
            "tcp_seq": seq % 2**32,
            "tcp_ack": 0,
            "tcp_flags": flags,
            "tcp_payload_bytes": length,
        }
        for frame, (side, seq, flags, data, length) in enumerate(rows, 1)
    )


def data(side: int, seq: int, octets: bytes) -> Segment:
    """A segment that was captured whole."""
    return side, seq, ACK, octets, len(octets)


def talk(*said: tuple[int, bytes], ports: tuple[int, int] = (40000, 80)) -> pd.DataFrame:
    """A connection that opens, and then what each side says, one segment each."""
    rows, seq = [(0, 0, SYN, b"", 0), (1, 0, SYN | ACK, b"", 0)], [1, 1]
    for side, octets in said:
        rows.append(data(side, seq[side], octets))
        seq[side] += len(octets)
    return segments(*rows, ports=ports)


def datagrams(payloads: Iterable[bytes], ports: tuple[int, int]) -> pd.DataFrame:
    """UDP packets, one per payload."""
    return pd.DataFrame(
        _packet(frame, ports, 0, "udp", data)
        | {"udp_bytes": 8 + len(data), "ip_bytes": 28 + len(data), "ip_proto": 17}
        for frame, data in enumerate(payloads, 1)
    )


def _packet(
    frame: int, ports: tuple[int, int], side: int, layer: str, data: bytes
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(
        (f"{name}_{end}" for name in ("tcp", "udp") for end in ("sport", "dport")), pd.NA
    )
    row |= dict.fromkeys(("tcp_seq", "tcp_ack", "tcp_flags", "tcp_payload_bytes"), pd.NA)
    row |= dict.fromkeys(("udp_bytes", "ip_id", "ip_mf", "ip_offset_bytes"), pd.NA)
    ends = (CLIENT, SERVER) if side == 0 else (SERVER, CLIENT)
    return row | {
        "frame": frame,
        "time_ns": frame * 1_000_000,
        "ip_src": ends[0],
        "ip_dst": ends[1],
        "ip_version": 4,
        "ip_ttl": 64,
        "ip_proto": 6,
        "ip_bytes": pd.NA,
        "ip_header_bytes": 20,
        f"{layer}_sport": ports[0],
        f"{layer}_dport": ports[1],
        "payload": data,
    }
