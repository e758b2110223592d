"""Whether a packet that came is the one that the script expects, and how both are shown."""

from __future__ import annotations

from typing import Any

from testbed.peers.segments import (
    ACK,
    CWR,
    FIN,
    ICMP,
    PSH,
    SYN,
    TCP,
    UDP,
    Connection,
    Packet,
    flag_bits,
    flag_letters,
    option_text,
)

_MASK = 0xFFFFFFFF
_AT_THE_END = FIN | PSH | CWR
"""Flags that only the last of several pieces of a segment has."""

_PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP}
_ECN_BITS = {"noecn": {0}, "ect1": {1}, "ect0": {2}, "ce": {3}, "ect01": {1, 2}}


def difference(
    expected: dict[str, Any],
    packet: Packet,
    connection: Connection,
    *,
    piece: bool = False,
    clock: bool = False,
) -> str:
    """What differs first, as ``ack is 2, not 1``; empty if nothing does.

    Args:
        expected: what the script expects.
        packet: what came.
        connection: whose it is.
        piece: only the beginning of the segment is expected; its end follows.
        clock: TS values are compared, too; otherwise they are names in the script.
    """
    if not clock:
        packet = _with_clock_of(expected, packet, connection)
    for name, seen, wanted in _fields(expected, packet, connection, piece):
        if wanted is not None and seen != wanted:
            return f"{name} is {_plain(seen)}, not {_plain(wanted)}"
    ip = expected["ip"]
    if "ecn" in ip and packet.tos & 3 not in _ECN_BITS[ip["ecn"]]:
        return f"ECN is {packet.tos & 3}, not {ip['ecn']}"
    return ""


def _fields(
    expected: dict[str, Any], packet: Packet, connection: Connection, piece: bool
) -> list[tuple[str, Any, Any]]:
    """Name, what was seen, what is expected (None: anything) of each field."""
    ip, size = expected["ip"], len(packet.payload)
    wanted = expected["payload"]
    payload = None if wanted is None else bytes.fromhex(wanted)[:size]
    ends = [
        ("protocol", packet.protocol, _PROTOCOLS[expected["proto"]]),
        ("tos", packet.tos, ip.get("tos")),
        ("ttl", packet.ttl, ip.get("ttl")),
        ("length", size, size if piece else expected["length"]),
        ("payload", packet.payload, payload),
    ]
    if expected["proto"] != "tcp" or packet.protocol != TCP:
        return ends
    flags, seen = flag_bits(expected["flags"]), packet.flags
    if piece:
        flags, seen = flags & ~_AT_THE_END, seen & ~_AT_THE_END
    ack = expected["ack"] if flags & ACK else None
    options = expected["options"]
    return [
        ends[0],
        ("flags", flag_letters(seen), flag_letters(flags)),
        ("seq", connection.to_script(packet.seq), expected["seq"]),
        *ends[3:4],
        ("ack", _ack(packet, connection), ack),
        ("win", packet.window, expected["window"]),
        ("urg", packet.urgent, expected["urgent"]),
        ("options", _options(packet, connection), None if options is None else _texts(options)),
        *ends[1:3],
        *ends[4:],
    ]


def _with_clock_of(expected: dict[str, Any], packet: Packet, connection: Connection) -> Packet:
    """The packet with the TS value that the script expects."""
    wanted = next((o[1] for o in expected.get("options") or [] if o[0] == "TS"), None)
    if wanted is None:
        return packet
    script, seen = connection.first_clock or (wanted, wanted)
    value = (wanted - script + seen) & _MASK
    options = [["TS", value, o[2]] if o[0] == "TS" else o for o in packet.options]
    return packet._replace(options=options)


def _ack(packet: Packet, connection: Connection) -> int:
    """The acknowledgement as the script counts; that of a SYN is as it is on the wire."""
    return packet.ack if packet.flags & SYN else (packet.ack - connection.peer_isn) & _MASK


def _options(packet: Packet, connection: Connection) -> str:
    return _texts(_to_script(option, connection) for option in packet.options)


def _to_script(option: list[Any], connection: Connection) -> list[Any]:
    if option[0] == "TS":
        return ["TS", connection.clock_to_script(option[1]), option[2]]
    if option[0] == "sack":
        isn = connection.peer_isn
        return ["sack", [[(edge - isn) & _MASK for edge in block] for block in option[1]]]
    return option


def _texts(options: Any) -> str:
    return "<" + ",".join(option_text(option) for option in options) + ">"


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return repr(value[:40].decode("latin-1"))
    return str(value)


def shown(packet: Packet, connection: Connection) -> str:
    """A packet that came, as the notation writes it."""
    size = len(packet.payload)
    if packet.protocol == UDP:
        return f"> udp ({size})"
    if packet.protocol == ICMP:
        return f"> icmp type {packet.payload[0] if size else '?'}"
    seq = connection.to_script(packet.seq)
    ack = f" ack {_ack(packet, connection)}" if packet.flags & ACK else ""
    options = f" {_options(packet, connection)}" if packet.options else ""
    return (
        f"> {flag_letters(packet.flags)} {seq}:{(seq + size) & _MASK}({size}){ack}"
        f" win {packet.window}{options}"
    )


def learn(expected: dict[str, Any], packet: Packet, connection: Connection) -> None:
    """Learns from a packet how its numbers map to the script's."""
    if packet.protocol != TCP:
        return
    if packet.flags & SYN:
        connection.tested_isn = (packet.seq - expected.get("seq", 0)) & _MASK
    clocks = [o[1] for o in packet.options if o[0] == "TS"]
    wanted = [o[1] for o in expected.get("options") or [] if o[0] == "TS"]
    if clocks and wanted:
        connection.clocks[wanted[0]] = clocks[0]
        if connection.first_clock is None:
            connection.first_clock = (wanted[0], clocks[0])
