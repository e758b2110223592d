"""DNS, DHCP, RIP, HTTP, TLS and OpenFlow messages as trees, as far as one packet holds them."""

from __future__ import annotations

from analysis.dissect import bgp as bgp_messages
from analysis.dissect import dhcp as dhcp_messages
from analysis.dissect import dns as dns_messages
from analysis.dissect import openflow as openflow_messages
from analysis.dissect import rip as rip_messages
from analysis.dissect import tls as tls_messages
from analysis.tree.nodes import Cut, Part, flags_text, ip_text, octets_text

_DNS_FLAGS = flags_text(
    [
        (0x8000, "response"),
        (0x0400, "authoritative"),
        (0x0200, "truncated"),
        (0x0100, "recursion desired"),
        (0x0080, "recursion available"),
        (0x0020, "authentic data"),
        (0x0010, "checking disabled"),
    ]
)
_DHCP_OPTIONS = {
    0: "padding",
    1: "subnet mask",
    3: "router",
    6: "domain name server",
    12: "host name",
    15: "domain name",
    28: "broadcast address",
    42: "NTP server",
    50: "requested address",
    51: "lease time",
    53: "message type",
    54: "server identifier",
    55: "parameter request list",
    56: "message",
    57: "maximum message size",
    58: "renewal time",
    59: "rebinding time",
    60: "vendor class",
    61: "client identifier",
    82: "relay agent information",
    255: "end",
}
_DHCP_ADDRESSES, _DHCP_TIMES, _DHCP_TEXTS = (
    {1, 3, 6, 28, 42, 50, 54},
    {51, 58, 59},
    {12, 15, 56, 60},
)
_TLS_CONTENTS = {20: "change cipher spec", 21: "alert", 22: "handshake", 23: "application data"}
_TLS_HANDSHAKES = {
    0: "hello request",
    1: "client hello",
    2: "server hello",
    4: "new session ticket",
    8: "encrypted extensions",
    11: "certificate",
    12: "server key exchange",
    13: "certificate request",
    14: "server hello done",
    15: "certificate verify",
    16: "client key exchange",
    20: "finished",
}
_LONGEST_LINE = 2000


def dns(part: Part) -> str:
    """RFC 1035 §4."""
    start = part.at
    part.hexa("identification", 2)
    flags = int.from_bytes(part.peek(2), "big")
    part.take("flags", 2, _dns_flags)
    rcode = dns_messages.RCODES.get(flags & 15, str(flags & 15))
    part.node.value = f"response, {rcode}" if flags & 0x8000 else "query"
    counts = [part.uint(f"{name} records", 2) for name in ("question", *dns_messages.SECTIONS)]
    sections = ("question", *dns_messages.SECTIONS)
    places = [name for name, count in zip(sections, counts, strict=True) for _ in range(count)]
    for _, name in zip(part.each(), places, strict=False):
        _record(part, name, start)
    return "data" if part.left else ""


def _dns_flags(raw: bytes) -> str:
    number = int.from_bytes(raw, "big")
    rcode = dns_messages.RCODES.get(number & 15, str(number & 15))
    return f"{_DNS_FLAGS(number)}, operation {number >> 11 & 15}, {rcode}"


def _record(part: Part, section: str, start: int) -> None:
    """One question or resource record (§4.1.2, §4.1.3)."""
    message = part.data[start : part.end]
    name, behind = _name(message, part.at - start)
    size = start + behind - part.at
    if section == "question":
        record = part.below("question", size + 4, name)
        record.take("name", size, lambda _: name)
        record.uint("type", 2, dns_messages.TYPES)
        record.uint("class", 2, {1: "IN", 3: "CH", 255: "any"})
        return
    length = int.from_bytes(part.peek(2, size + 8), "big")
    record = part.below(section, size + 10 + length, name)
    record.take("name", size, lambda _: name)
    kind = record.uint("type", 2, dns_messages.TYPES)
    record.uint("class", 2)
    record.uint("time to live", 4, unit="s")
    record.uint("data length", 2, unit="bytes")
    at = record.at - start
    words = dns_messages.data_text(message, at, length, kind) if length else ""
    if length:
        record.take("data", length, lambda _: words)
        record.node.value = f"{name} {dns_messages.TYPES.get(kind, kind)} {words}"[:200]


def _name(message: bytes, at: int) -> tuple[str, int]:
    found = dns_messages.name_at(message, at)
    if found is None:
        raise Cut
    return found


def dns_tcp(part: Part) -> str:
    """RFC 1035 §4.2.2: the length goes before."""
    part.uint("length", 2, unit="bytes")
    return "dns"


def dhcp(part: Part) -> str:
    """RFC 2131 §2, RFC 2132."""
    part.uint("operation", 1, {1: "request", 2: "reply"})
    part.uint("hardware type", 1)
    size = part.uint("hardware address length", 1)
    part.uint("hops", 1)
    part.hexa("transaction", 4)
    part.uint("seconds", 2, unit="s")
    part.take("flags", 2, lambda raw: flags_text([(0x8000, "broadcast")])(raw[0] << 8 | raw[1]))
    for name in ("client", "your", "server", "relay"):
        part.ip4(f"{name} address")
    part.take("client hardware address", 16, lambda raw: raw[: min(size, 16)].hex(":"))
    part.take("server name", 64, lambda raw: octets_text(raw.split(b"\0")[0]))
    part.take("file", 128, lambda raw: octets_text(raw.split(b"\0")[0]))
    if part.peek(4) != dhcp_messages.MAGIC:
        return "data" if part.left else ""
    part.hexa("magic cookie", 4)
    for _ in part.each():
        _dhcp_option(part)
    return ""


def _dhcp_option(part: Part) -> None:
    code = part.peek(1)[0]
    name = f"option {code}, {_DHCP_OPTIONS.get(code, 'other')}"
    if code in (0, 255):
        part.uint(name, 1)
        return
    size = part.peek(1, 1)
    option = part.below(name, 2 + (size[0] if size else 0))
    option.octets(2)
    value, start = option.peek(option.left), option.at
    if code == 53 and len(value) == 1:
        words = dhcp_messages.TYPES.get(value[0], str(value[0]))
        part.node.value = words
    elif code in _DHCP_ADDRESSES and len(value) % 4 == 0:
        words = ", ".join(ip_text(value[at : at + 4]) for at in range(0, len(value), 4))
    elif code in _DHCP_TIMES and len(value) == 4:
        words = f"{int.from_bytes(value, 'big')} s"
    elif code in _DHCP_TEXTS:
        words = octets_text(value)
    elif code == 55:
        words = ", ".join(_DHCP_OPTIONS.get(one, str(one)) for one in value)
    else:
        words = value.hex(" ")
    if len(value):
        option.take("value", len(value), lambda _: words)
        option.node.value = option.node.children[-1].value
        option.node.children.clear()
    assert option.at == start + len(value)


def rip(part: Part) -> str:
    """RFC 2453 §4."""
    command, _ = part.uint("command", 1, rip_messages.COMMANDS), part.uint("version", 1)
    part.node.value = rip_messages.COMMANDS.get(command, str(command))
    part.raw("unused", 2)
    for _ in part.each():
        entry = part.below("entry", min(20, part.left))
        family = entry.hexa("address family", 2)
        if family == 0xFFFF:
            entry.node.name = "authentication"
            entry.raw("data", entry.left)
            continue
        entry.uint("route tag", 2)
        address, mask = entry.ip4("address"), entry.ip4("mask")
        entry.ip4("next hop")
        metric = entry.uint("metric", 4)
        entry.node.value = f"{address} mask {mask}, metric {metric}"
    return ""


def ripng(part: Part) -> str:
    """RFC 2080 §2.1."""
    command, _ = part.uint("command", 1, rip_messages.COMMANDS), part.uint("version", 1)
    part.node.value = rip_messages.COMMANDS.get(command, str(command))
    part.raw("unused", 2)
    for _ in part.each():
        entry = part.below("entry", min(20, part.left))
        address = entry.ip6("prefix")
        entry.uint("route tag", 2)
        length, metric = entry.uint("prefix length", 1), entry.uint("metric", 1)
        next_hop = metric == 0xFF  # RFC 2080 §2.1.1
        entry.node.value = (
            f"next hop {address}" if next_hop else f"{address}/{length}, metric {metric}"
        )
    return ""


def http(part: Part) -> str:
    """RFC 9112 §2.1: first line and header lines; then the body."""
    for number in part.each():
        line, newline, _ = part.peek(_LONGEST_LINE).partition(b"\n")
        text = octets_text(line.rstrip(b"\r"))
        part.take("header" if number else "first line", len(line + newline), _line)
        if number == 0:
            part.node.value = text
        elif not text:
            part.node.children[-1].name = "end of headers"
            break
    return "data" if part.left else ""


def _line(raw: bytes) -> str:
    return octets_text(raw.rstrip(b"\r\n"))


def tls(part: Part) -> str:
    """Records (RFC 8446 §5.1) and the types of handshake messages in them (§4)."""
    said = []
    for _ in part.each():
        length = int.from_bytes(part.peek(2, 3), "big")
        record = part.below("record", min(5 + length, part.left))
        kind = record.uint("content type", 1, _TLS_CONTENTS)
        record.hexa("version", 2, tls_messages.VERSIONS)
        record.uint("length", 2, unit="bytes")
        name = _TLS_CONTENTS.get(kind, f"type {kind}")
        if kind == 22 and record.left >= 4 and record.peek(1)[0] in _TLS_HANDSHAKES:
            message = record.uint("handshake type", 1, _TLS_HANDSHAKES)
            record.uint("handshake length", 3, unit="bytes")
            name = _TLS_HANDSHAKES[message]
        if record.left:
            record.raw("data", record.left)
        record.node.value = name if record.node.length == 5 + length else f"{name}, goes on"
        said.append(name)
    part.node.value = ", ".join(said[:6])
    return ""


def openflow(part: Part) -> str:
    """TS-012 §7.1: headers of the messages."""
    said = []
    for _ in part.each():
        length = int.from_bytes(part.peek(2, 2), "big")
        message = part.below("message", min(max(length, 8), part.left))
        message.hexa("version", 1, {1: "1.0", 4: "1.3"})
        kind = message.uint("type", 1, openflow_messages.TYPES)
        message.uint("length", 2, unit="bytes")
        message.hexa("transaction", 4)
        if message.left:
            message.raw("body", message.left)
        message.node.value = openflow_messages.TYPES.get(kind, str(kind))
        said.append(message.node.value)
    part.node.value = ", ".join(said[:6])
    return ""


def bgp(part: Part) -> str:
    """RFC 4271 §4: headers of the messages, and the fixed fields of an OPEN."""
    said = []
    for _ in part.each():
        length = int.from_bytes(part.peek(18)[16:18], "big")
        message = part.below("message", min(max(length, 19), part.left))
        message.hexa("marker", 16)
        message.uint("length", 2, unit="bytes")
        kind = message.uint("type", 1, bgp_messages.TYPES)
        if kind == 1 and message.left >= 10:
            message.uint("version", 1)
            message.uint("my AS", 2)
            message.uint("hold time", 2, unit="s")
            message.ip4("router id")
        elif kind == 2 and message.left >= 2:
            withdrawn = message.uint("withdrawn length", 2, unit="bytes")
            if withdrawn and message.left >= withdrawn:
                message.raw("withdrawn prefixes", withdrawn)
            if message.left >= 2:
                attributes = message.uint("attributes length", 2, unit="bytes")
                if attributes and message.left >= attributes:
                    message.raw("path attributes", attributes)
        if message.left:
            message.raw("prefixes" if kind == 2 else "body", message.left)
        message.node.value = bgp_messages.TYPES.get(kind, str(kind))
        said.append(message.node.value)
    part.node.value = ", ".join(said[:6])
    return ""
