"""Whether the checksums of TCP, UDP and ICMP are right: they cover more than their own layer."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.tree.nodes import Node
from testbed.core.checksum import internet_checksum

_PLACE = {"tcp": (6, 16), "udp": (17, 6), "icmp": (1, 2), "icmpv6": (58, 2)}
"""Layer → its protocol number, and where its checksum is."""

_BETWEEN = {"options6"}
"""Layers between the IP header and the transport that change nothing about the checksum."""


def judge(data: bytes, names: Sequence[str], layers: Sequence[Node]) -> None:
    """Says of each checksum whether it is right, where the packet holds all that it covers.

    Args:
        data: the packet.
        names: of its layers.
        layers: their nodes; the values of those named ``checksum`` are changed.
    """
    carrier = -1
    for place, name in enumerate(names):
        if name in {"ipv4", "ipv6"}:
            carrier = place
        elif name in _PLACE and carrier >= 0 and _BETWEEN.issuperset(names[carrier + 1 : place]):
            field = next((one for one in layers[place].children if one.name == "checksum"), None)
            if field is not None:
                verdict = _verdict(data, name, layers[carrier], layers[place])
                field.value += f" ({verdict})"
        elif name not in _BETWEEN:
            carrier = -1


def _verdict(data: bytes, name: str, ip: Node, layer: Node) -> str:
    """In words; RFC 9293 §3.1, RFC 768, RFC 792, RFC 8200 §8.1."""
    number, place = _PLACE[name]
    six = data[ip.start] >> 4 == 6
    stored = int.from_bytes(data[layer.start + place : layer.start + place + 2], "big")
    if name == "udp" and stored == 0:
        return "missing, which IPv6 forbids" if six else "none"
    if _is_fragment(data, ip):
        return "not checked: a fragment"
    end = _end(data, ip, six)
    if name == "udp":
        end = min(end, layer.start + int.from_bytes(data[layer.start + 4 : layer.start + 6], "big"))
    if end > len(data) or end < layer.start + place + 2:
        return "not checked: the packet is not whole"
    covered, pseudo = data[layer.start : end], b""
    if name != "icmp":
        first, size = (8, 16) if six else (12, 4)
        addresses = data[ip.start + first : ip.start + first + 2 * size]
        pseudo = addresses + len(covered).to_bytes(4, "big") + number.to_bytes(4, "big")
    if internet_checksum(pseudo + covered) == 0:
        return "right"
    if pseudo and stored == 0xFFFF - internet_checksum(pseudo):
        return "of addresses and length alone: left to the network card"
    return "wrong"


def _is_fragment(data: bytes, ip: Node) -> bool:
    """True for the first fragment of several; others have no transport layer."""
    return (
        data[ip.start] >> 4 == 4 and int.from_bytes(data[ip.start + 6 : ip.start + 8]) & 0x3FFF > 0
    )


def _end(data: bytes, ip: Node, six: bool) -> int:
    """Where the IP packet ends by its own length field."""
    if six:
        return ip.start + 40 + int.from_bytes(data[ip.start + 4 : ip.start + 6], "big")
    total = int.from_bytes(data[ip.start + 2 : ip.start + 4], "big")
    return ip.start + total if total else len(data)  # 0: left to the network card
