"""OpenFlow 1.3 messages of a capture (Open Networking Foundation TS-012, here by section)."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Collection, Iterator
from typing import Any

import pandas as pd

from analysis import decode_as, streams

PORT = 6653
PORTS = (PORT, 6633)
COLUMNS = streams.COLUMNS
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
    "cut",
    "malformed",
)

_HEADER_BYTES = 8
_IPV4, _ICMP = 0x0800, 1


def read(packets: pd.DataFrame, ports: Collection[int] | None = None) -> pd.DataFrame:
    """One row per message, in the order in which they arrived.

    Args:
        packets: with `COLUMNS`; times are ``time_s`` if there is such a column.
        ports: of the controller; None: `PORTS`, as `analysis.decode_as` changes them.

    Returns:
        ``frame`` and ``time_s`` of the segment that completes it; ``connection`` (the switch's
        TCP port), ``dpid`` (its datapath; null until it said so), ``to_switch``, ``type``,
        ``xid``, ``bytes``; of a FLOW_MOD ``command``, ``priority``, ``idle_s``; of a PACKET_IN or
        PACKET_OUT the carried frame's ``eth_src``, ``eth_dst``, ``ip_src``, ``ip_dst``,
        ``ip_proto``, ``icmp_type``, ``icmp_seq``; ``cut`` (the capture lacks a part),
        ``malformed``.
    """
    ports = decode_as.ports(packets, "openflow", PORTS) if ports is None else ports
    rows = sorted(_messages(packets, ports), key=lambda row: row["frame"])
    dpids = {row["connection"]: row["dpid"] for row in rows if "dpid" in row}
    for row in rows:
        row["dpid"] = dpids.get(row["connection"])
    table = pd.DataFrame(rows, columns=list(MESSAGE))
    table["time_s"] = table["frame"].map(_times_s(packets)).astype("float64")
    numbers = ("dpid", "priority", "idle_s", "ip_proto", "icmp_type", "icmp_seq")
    flags = ("to_switch", "cut", "malformed")
    return table.astype(dict.fromkeys(numbers, "Int64") | dict.fromkeys(flags, "bool"))


def _times_s(packets: pd.DataFrame) -> pd.Series[float]:
    if "time_s" in packets:
        return packets.set_index("frame")["time_s"]
    time_ns = packets.set_index("frame")["time_ns"]
    times_s: pd.Series[float] = (time_ns - time_ns.min()) / 1e9
    return times_s


def _messages(packets: pd.DataFrame, ports: Collection[int]) -> Iterator[dict[str, Any]]:
    """The messages of all streams."""
    for conversation in streams.conversations(packets, ports):
        for stream in conversation.sides:
            to_switch = stream.sport in ports
            about = {
                "connection": stream.dport if to_switch else stream.sport,
                "to_switch": to_switch,
            }
            for run in stream.runs:
                for frame, raw, cut in _of_run(stream, run):
                    yield {"frame": frame, **about, **_message(raw, cut)}


def _of_run(stream: streams.Stream, run: streams.Run) -> Iterator[tuple[int, bytes, bool]]:
    """Messages with the frame that completes each, and whether it is cut.

    What makes no sense is one message up to the end; a run behind a hole that does not begin with
    a message is passed over.
    """
    data, here = run.data, 0
    if run.missing_bytes and data[:1] not in (b"\1", b"\4"):
        return
    while here + _HEADER_BYTES <= len(data):
        length = int.from_bytes(data[here + 2 : here + 4], "big")
        after = here + length if length >= _HEADER_BYTES else len(data)
        end = min(after, len(data))
        yield stream.delivered(run.begin + end - 1), data[here:end], after > end
        here = after


def _message(raw: bytes, cut: bool) -> dict[str, Any]:
    version, kind, length, xid = struct.unpack_from("!BBHI", raw)
    found: dict[str, Any] = {
        "type": TYPES.get(kind, str(kind)),
        "xid": xid,
        "bytes": len(raw),
        "cut": cut,
        "malformed": version not in (1, 4) or (length != len(raw) and not cut),
    }
    if version != 4 and found["type"] != "HELLO":
        return found
    try:
        return found | _READERS.get(found["type"], lambda _: {})(raw)
    except (struct.error, IndexError, ValueError):
        return found | {"malformed": not cut}


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
