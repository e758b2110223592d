"""OpenFlow 1.3 messages of a capture (Open Networking Foundation TS-012, here by section)."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from typing import Any

import pandas as pd

PORT = 6653
COLUMNS = ("frame", "time_s", "tcp_sport", "tcp_dport", "tcp_seq", "payload")
"""What `packets` must hold."""

TYPES = {
    0: "HELLO",
    1: "ERROR",
    2: "ECHO_REQUEST",
    3: "ECHO_REPLY",
    5: "FEATURES_REQUEST",
    6: "FEATURES_REPLY",
    7: "GET_CONFIG_REQUEST",
    8: "GET_CONFIG_REPLY",
    9: "SET_CONFIG",
    10: "PACKET_IN",
    11: "FLOW_REMOVED",
    12: "PORT_STATUS",
    13: "PACKET_OUT",
    14: "FLOW_MOD",
    15: "GROUP_MOD",
    16: "PORT_MOD",
    17: "TABLE_MOD",
    18: "MULTIPART_REQUEST",
    19: "MULTIPART_REPLY",
    20: "BARRIER_REQUEST",
    21: "BARRIER_REPLY",
    24: "ROLE_REQUEST",
    25: "ROLE_REPLY",
    29: "METER_MOD",
}
"""§7.1 (A.1)."""

COMMANDS = {0: "ADD", 1: "MODIFY", 2: "MODIFY_STRICT", 3: "DELETE", 4: "DELETE_STRICT"}
"""§7.3.4.1: of a FLOW_MOD."""

MESSAGE = (
    "frame",
    "time_s",
    "connection",
    "dpid",
    "to_switch",
    "type",
    "xid",
    "bytes",
    "command",
    "priority",
    "idle_s",
    "eth_src",
    "eth_dst",
    "ip_src",
    "ip_dst",
    "ip_proto",
    "icmp_type",
    "icmp_seq",
    "malformed",
)

_HEADER_BYTES = 8
_IPV4, _ICMP = 0x0800, 1


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row a message, in the order of their arrival.

    Args:
        packets: with `COLUMNS`, of a capture in which no segment is missing.

    Returns:
        ``frame`` and ``time_s`` of the segment that completes it; ``connection`` (the switch's
        TCP port), ``dpid`` (its datapath; null until it said so), ``to_switch``, ``type``,
        ``xid``, ``bytes``; of a FLOW_MOD ``command``, ``priority``, ``idle_s``; of a PACKET_IN or
        PACKET_OUT the carried frame's ``eth_src``, ``eth_dst``, ``ip_src``, ``ip_dst``,
        ``ip_proto``, ``icmp_type``, ``icmp_seq``; ``malformed``.
    """
    rows = list(_messages(packets))
    dpids = {row["connection"]: row["dpid"] for row in rows if "dpid" in row}
    for row in rows:
        row["dpid"] = dpids.get(row["connection"])
    table = pd.DataFrame(rows, columns=list(MESSAGE))
    numbers = ("dpid", "priority", "idle_s", "ip_proto", "icmp_type", "icmp_seq")
    return table.astype(dict.fromkeys(numbers, "Int64") | {"to_switch": bool, "malformed": bool})


def _messages(packets: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Messages out of both directions' byte streams."""
    pending: dict[tuple[int, bool], bytes] = {}
    expected: dict[tuple[int, bool], int] = {}
    whole = packets[list(COLUMNS)].dropna()  # a segment cut before its payload says nothing
    ports = whole[["tcp_sport", "tcp_dport"]].isin([PORT]).any(axis=1)
    segments: list[Any] = list(whole[ports].itertuples())
    for row in segments:
        data = row.payload
        if not data:
            continue
        to_switch = bool(row.tcp_sport == PORT)
        connection = int(row.tcp_dport if to_switch else row.tcp_sport)
        key, seq = (connection, to_switch), int(row.tcp_seq)
        if key in expected and (seq - expected[key]) % 2**32 >= 2**31:
            continue  # sent again: known
        expected[key] = (seq + len(data)) % 2**32
        pending[key] = pending.get(key, b"") + data
        while (raw := _first(pending[key])) is not None:
            pending[key] = pending[key][len(raw) :]
            about = {"frame": int(row.frame), "time_s": float(row.time_s)}
            yield {**about, "connection": connection, "to_switch": to_switch, **_message(raw)}


def _first(data: bytes) -> bytes | None:
    """The first whole message; what makes no sense is one message up to its end."""
    if len(data) < _HEADER_BYTES:
        return None
    length = int.from_bytes(data[2:4], "big")
    if length < _HEADER_BYTES:
        return data
    return data[:length] if len(data) >= length else None


def _message(raw: bytes) -> dict[str, Any]:
    version, kind, length, xid = struct.unpack_from("!BBHI", raw)
    found: dict[str, Any] = {
        "type": TYPES.get(kind, str(kind)),
        "xid": xid,
        "bytes": len(raw),
        "malformed": version not in (1, 4) or length != len(raw),
    }
    if version != 4 and found["type"] != "HELLO":
        return found
    try:
        return found | _READERS.get(found["type"], lambda _: {})(raw)
    except (struct.error, IndexError, ValueError):
        return found | {"malformed": True}


def _features_reply(raw: bytes) -> dict[str, Any]:
    return {"dpid": struct.unpack_from("!Q", raw, 8)[0]}


def _flow_mod(raw: bytes) -> dict[str, Any]:
    """§7.3.4.1."""
    _, command, idle_s, _, priority = struct.unpack_from("!BBHHH", raw, 24)
    return {"command": COMMANDS.get(command, str(command)), "priority": priority, "idle_s": idle_s}


def _packet_in(raw: bytes) -> dict[str, Any]:
    """§7.4.1: the frame stands behind the match (padded to 8 bytes) and two bytes."""
    match_bytes = int.from_bytes(raw[26:28], "big")
    return _carried(raw[24 + (match_bytes + 7) // 8 * 8 + 2 :])


def _packet_out(raw: bytes) -> dict[str, Any]:
    """§7.3.7."""
    actions_bytes = int.from_bytes(raw[16:18], "big")
    return _carried(raw[24 + actions_bytes :])


def _carried(frame: bytes) -> dict[str, Any]:
    if len(frame) < 14:
        return {}
    found: dict[str, Any] = {"eth_dst": frame[:6].hex(":"), "eth_src": frame[6:12].hex(":")}
    packet = frame[14:]
    if int.from_bytes(frame[12:14], "big") != _IPV4 or len(packet) < 20:
        return found
    found |= {
        "ip_src": str(ipaddress.IPv4Address(packet[12:16])),
        "ip_dst": str(ipaddress.IPv4Address(packet[16:20])),
        "ip_proto": packet[9],
    }
    message = packet[4 * (packet[0] & 15) :]
    if packet[9] == _ICMP and len(message) >= 8:
        found |= {"icmp_type": message[0], "icmp_seq": int.from_bytes(message[6:8], "big")}
    return found


_READERS = {
    "FEATURES_REPLY": _features_reply,
    "FLOW_MOD": _flow_mod,
    "PACKET_IN": _packet_in,
    "PACKET_OUT": _packet_out,
}
