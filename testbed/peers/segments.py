"""IPv4 packets with TCP, UDP or ICMP: from a script's words to octets, and back.

The script's numbers are relative, as in packetdrill: after the SYN, the sequence numbers of both
ends count from their SYN. `Connection` knows the difference.
"""

from __future__ import annotations

import socket
import struct
from typing import Any, NamedTuple

from testbed.core.checksum import internet_checksum

TCP, UDP, ICMP = 6, 17, 1
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
_LETTERS = {"F": FIN, "S": SYN, "R": RST, "P": PSH, ".": ACK, "U": URG, "E": ECE, "W": CWR}
_LETTERS_READ = {**_LETTERS, "C": CWR}
_ECN = {"noecn": 0, "ect1": 1, "ect0": 2, "ce": 3}
_SINGLE = {"eol": 0, "nop": 1}
_KINDS = {"mss": 2, "wscale": 3, "sackOK": 4, "sack": 5, "TS": 8}
_MASK = 0xFFFFFFFF
_TTL = 255
_IP, _TCP, _UDP = struct.Struct("!BBHHHBBH4s4s"), struct.Struct("!HHIIBBHHH"), struct.Struct("!4H")
_DONT_FRAGMENT = 0x4000
_UNREACHABLE = 3
UNREACHABLE_CODES = {
    "net_unreachable": 0,
    "host_unreachable": 1,
    "protocol_unreachable": 2,
    "port_unreachable": 3,
    "frag_needed": 4,
    "source_route_failed": 5,
    "net_prohibited": 9,
    "host_prohibited": 10,
    "packet_filtered": 13,
}
"""Codes of ICMP's destination unreachable (RFC 792, RFC 1812 §5.2.7.1)."""


class Connection:
    """What maps a script's numbers to those on the wire, for one connection.

    Attributes:
        peer, tested: address and port of the two ends; the tested end's port is 0 until it is
            known.
        peer_isn: the initial sequence number of the peer, which the script's SYN says.
        tested_isn: the initial sequence number of the tested end; None until its SYN was seen.
        clocks: the script's TS value → the one that was seen (RFC 7323).
        first_clock: the first such pair.
    """

    def __init__(self, peer: tuple[str, int], tested: tuple[str, int]) -> None:
        self.peer, self.tested = peer, tested
        self.peer_isn = 0
        self.tested_isn: int | None = None
        self.clocks: dict[int, int] = {}
        self.first_clock: tuple[int, int] | None = None

    def to_wire(self, number: int) -> int:
        """A script's number of the tested end's stream."""
        return (number + (self.tested_isn or 0)) & _MASK

    def to_script(self, number: int) -> int:
        """The reverse."""
        return (number - (self.tested_isn or 0)) & _MASK

    def clock_to_script(self, value: int) -> int:
        """A TS value of the tested end, counted like the script's."""
        script, seen = self.first_clock or (value, value)
        return (script + value - seen) & _MASK


class Packet(NamedTuple):
    """A packet that was seen; its numbers are those on the wire.

    Attributes:
        time_ns: when, by the real-time clock of the node.
        protocol: of IP.
        source, target: address and port.
        tos, ttl: of IP.
        flags, seq, ack, window, urgent: of TCP.
        options: [name, values…] of each TCP option.
        payload: what TCP or UDP carries.
    """

    time_ns: int
    protocol: int
    source: tuple[str, int]
    target: tuple[str, int]
    tos: int
    ttl: int
    flags: int
    seq: int
    ack: int
    window: int
    urgent: int
    options: list[list[Any]]
    payload: bytes


def flag_bits(letters: str) -> int:
    """Flags as bits; ``.`` is ACK."""
    return sum(_LETTERS_READ[letter] for letter in set(letters))


def flag_letters(bits: int) -> str:
    """Flags as packetdrill writes them; ``-`` for none."""
    order = "FSRPEWU."
    return "".join(letter for letter in order if bits & _LETTERS[letter]) or "-"


# ---- TCP options


def option_octets(option: list[Any]) -> bytes:
    """One option (RFC 9293 §3.2, 7323, 2018), its values as they go on the wire."""
    name, *values = option
    if name in _SINGLE:
        return bytes([_SINGLE[name]])
    kind, content = values if name == "kind" else (_KINDS[name], _content(name, values))
    octets = bytes.fromhex(content) if isinstance(content, str) else content
    return bytes([kind, 2 + len(octets)]) + octets


def _content(name: str, values: list[Any]) -> bytes:
    numbers = [edge for block in values[0] for edge in block] if name == "sack" else values
    width = {"mss": "H", "wscale": "B"}.get(name, "I")
    return struct.pack(f"!{len(numbers)}{width}", *numbers)


def options_of(octets: bytes) -> list[list[Any]]:
    """The options of a header, [name, values…] each; what is malformed ends the list."""
    found: list[list[Any]] = []
    while octets:
        kind = octets[0]
        if kind == 0:
            return [*found, ["eol"]]
        if kind == 1:
            found.append(["nop"])
            octets = octets[1:]
            continue
        size = octets[1] if len(octets) > 1 else 0
        if not 2 <= size <= len(octets):
            break
        found.append(_option(kind, octets[2:size]))
        octets = octets[size:]
    return found


def _option(kind: int, content: bytes) -> list[Any]:
    size = len(content)
    if (kind, size) == (2, 2):
        return ["mss", int.from_bytes(content)]
    if (kind, size) == (3, 1):
        return ["wscale", content[0]]
    if (kind, size) == (4, 0):
        return ["sackOK"]
    if kind == 5 and size % 8 == 0:
        return ["sack", [list(struct.unpack_from("!II", content, at)) for at in range(0, size, 8)]]
    if (kind, size) == (8, 8):
        return ["TS", *struct.unpack("!II", content)]
    return ["kind", kind, content.hex()]


def option_text(option: list[Any]) -> str:
    """An option as the notation writes it."""
    name, *values = option
    if name == "sack":
        return "sack " + " ".join(f"{left}:{right}" for left, right in values[0])
    if name == "TS":
        return f"TS val {values[0]} ecr {values[1]}"
    return " ".join(str(part) for part in (name, *values) if part != "")


def _mapped(option: list[Any], connection: Connection) -> list[Any]:
    """An option that is sent: numbers of the tested end become those on the wire."""
    if option[0] == "sack":
        return ["sack", [[connection.to_wire(edge) for edge in block] for block in option[1]]]
    if option[0] == "TS":
        return ["TS", option[1], connection.clocks.get(option[2], option[2])]
    return option


# ---- building


def _transport_checksum(source: str, target: str, protocol: int, octets: bytes) -> int:
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    return internet_checksum(ends + struct.pack("!BBH", 0, protocol, len(octets)) + octets)


def _ipv4(source: str, target: str, protocol: int, ip: dict[str, Any], content: bytes) -> bytes:
    tos = ip.get("tos", 0) | _ECN.get(ip.get("ecn", ""), 0)
    ends = socket.inet_aton(source), socket.inet_aton(target)
    size, ttl = 20 + len(content), ip.get("ttl", _TTL)
    plain = _IP.pack(0x45, tos, size, 0, _DONT_FRAGMENT, ttl, protocol, 0, *ends)
    return plain[:10] + struct.pack("!H", internet_checksum(plain)) + plain[12:] + content


def build(packet: dict[str, Any], connection: Connection) -> bytes:
    """The octets of a packet that the script sends.

    Args:
        packet: as `notation` reads it.
        connection: whose packet it is.
    """
    source, target = connection.peer, connection.tested
    if packet["proto"] == "icmp":
        return _ipv4(source[0], target[0], ICMP, packet["ip"], _unreachable(packet, connection))
    protocol, at = (TCP, 16) if packet["proto"] == "tcp" else (UDP, 6)
    octets = (_segment if protocol == TCP else _datagram)(packet, connection)
    value = _transport_checksum(source[0], target[0], protocol, octets) or 0xFFFF
    value ^= 0x0100 if packet["bad_checksum"] else 0
    octets = octets[:at] + struct.pack("!H", value) + octets[at + 2 :]
    return _ipv4(source[0], target[0], protocol, packet["ip"], octets)


def _payload(packet: dict[str, Any]) -> bytes:
    text = packet["payload"]
    return bytes(packet["length"]) if text is None else bytes.fromhex(text)


def _segment(packet: dict[str, Any], connection: Connection) -> bytes:
    options = b"".join(option_octets(_mapped(o, connection)) for o in packet["options"])
    options += bytes(-len(options) % 4)
    flags, ack = flag_bits(packet["flags"]), packet["ack"]
    if flags & SYN:
        connection.peer_isn = packet["seq"]
    header = _TCP.pack(
        connection.peer[1],
        connection.tested[1],
        packet["seq"] if flags & SYN else (packet["seq"] + connection.peer_isn) & _MASK,
        connection.to_wire(ack or 0) if flags & ACK else ack or 0,
        (20 + len(options)) // 4 << 4,
        flags,
        packet["window"] or 0,
        0,
        packet["urgent"],
    )
    return header + options + _payload(packet)


def _datagram(packet: dict[str, Any], connection: Connection) -> bytes:
    header = _UDP.pack(connection.peer[1], connection.tested[1], 8 + packet["length"], 0)
    return header + _payload(packet)


def _unreachable(packet: dict[str, Any], connection: Connection) -> bytes:
    """ICMP's complaint about a segment of the tested end, its first octets quoted (RFC 792)."""
    ports = connection.tested[1], connection.peer[1]
    quoted = struct.pack("!HHI", *ports, connection.to_wire(packet["seq"]))
    inner = _ipv4(connection.tested[0], connection.peer[0], TCP, {}, quoted)
    head = struct.pack("!BB", _UNREACHABLE, UNREACHABLE_CODES[packet["code"]])
    rest = struct.pack("!HH", 0, packet["mtu"]) + inner
    return head + struct.pack("!H", internet_checksum(head + b"\0\0" + rest)) + rest


# ---- reading


def read(octets: bytes, time_ns: int) -> Packet | None:
    """A packet that was seen; None if it is not IPv4 with TCP, UDP or ICMP, or is cut."""
    if len(octets) < 20 or octets[0] >> 4 != 4:
        return None
    _, tos, size, _, fragment, ttl, protocol, _, source, target = _IP.unpack_from(octets)
    start = (octets[0] & 15) * 4
    content = octets[start : max(size, start)] if size else octets[start:]
    if fragment & 0x1FFF:
        return None
    ends = socket.inet_ntoa(source), socket.inet_ntoa(target)
    if protocol == TCP and len(content) >= 20:
        sport, dport, seq, ack, offset, flags, window, _, urgent = _TCP.unpack_from(content)
        body = (offset >> 4) * 4
        options = options_of(content[20:body])
        fields: tuple[Any, ...] = (flags, seq, ack, window, urgent, options, content[body:])
    elif protocol == UDP and len(content) >= 8:
        sport, dport = _UDP.unpack_from(content)[:2]
        fields = (0, 0, 0, 0, 0, [], content[8:])
    elif protocol == ICMP:
        sport = dport = 0
        fields = (0, 0, 0, 0, 0, [], content)
    else:
        return None
    ends_with_ports = (ends[0], sport), (ends[1], dport)
    return Packet(time_ns, protocol, *ends_with_ports, tos, ttl, *fields)
