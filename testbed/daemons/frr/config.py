"""FRR configurations as text: the blocks of a router's configuration, and each daemon's part of it.

From FRR 10 on, mgmtd reads the configuration of several daemons in their place: see `managed`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from testbed.daemons.frr import words as frr_words

PROTOCOLS = {
    "rip": "ripd",
    "ripng": "ripngd",
    "ospf": "ospfd",
    "ospf6": "ospf6d",
    "isis": "isisd",
    "bgp": "bgpd",
}
"""``router <word>`` → the daemon it needs."""

_INTERFACE_LINES = {
    "ripd": re.compile(r"(no )?ip rip\b"),
    "ripngd": re.compile(r"(no )?ipv6 ripng\b"),
    "ospfd": re.compile(r"(no )?ip ospf\b"),
    "ospf6d": re.compile(r"(no )?ipv6 ospf6\b"),
    "isisd": re.compile(r"(no )?(isis|ip router isis|ipv6 router isis)\b"),
}
_TOP_LINES = {
    "ripd": re.compile(r"(no )?debug rip "),
    "ripngd": re.compile(r"(no )?debug ripng "),
    "ospfd": re.compile(r"(no )?debug ospf "),
    "ospf6d": re.compile(r"(no )?debug ospf6 "),
    "isisd": re.compile(r"(no )?debug isis "),
    "bgpd": re.compile(
        r"(no )?(debug bgp |bgp |ip (as-path|(large-|ext)?community-list) |bgp$|rpki$)"
    ),
    "bfdd": re.compile(r"(no )?(bfd$|debug bfd )"),
    "staticd": re.compile(r"(no )?(ip|ipv6) route "),
    "zebra": re.compile(
        r"(no )?(debug zebra|ip forwarding|ipv6 forwarding|ip protocol|ipv6 protocol|router-id"
        r"|ip router-id|zebra )"
    ),
}
MANAGED = ("zebra", "ripd", "ripngd", "staticd")
"""Daemons whose configuration mgmtd reads and passes on, in FRR 10."""

_ZEBRAS_OWN = re.compile(r"(no )?(debug zebra|ip forwarding|ipv6 forwarding|zebra (?!route-map ))")
"""What zebra still reads itself."""

_SHARED = re.compile(r"(no )?(hostname|password|enable|service|log|line|banner|domainname)\b")
_FILTERS = re.compile(
    r"(no )?((ip |ipv6 |mac )?access-list|ip(v6)? prefix-list|route-map|key|vrf|nexthop-group"
    r"|ip(v6)? nht|ip(v6)? import-table|allow-external-route-update|agentx|username|debug)\b"
)
_IGNORED = re.compile(r"(!|#|end$|exit$|frr (version|defaults) |service integrated-vtysh)|$")
_KEY_CHAIN = re.compile(r"key[ -]?chain\b")
_NAMES_KEY_CHAIN = {
    "ripd": re.compile(r"ip rip authentication key-chain\b"),
    "ospfd": re.compile(r"ip ospf authentication key-chain\b"),
    "ospf6d": re.compile(r"ipv6 ospf6 authentication keychain\b"),
    "isisd": re.compile(r"isis .*key-chain\b"),
}
_BFD = re.compile(r"(neighbor \S+|ip ospf|ipv6 ospf6|isis|ip rip) bfd\b|bfd default-profile")


@dataclass(frozen=True)
class Block:
    """A top-level line with the indented lines below it.

    Attributes:
        head: the top-level line.
        lines: the lines of its body, stripped.
        line: number of the head's line, from 1.
    """

    head: str
    lines: tuple[tuple[int, str], ...]
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a configuration as FRR reads it: abbreviations written out, no comments.

    Lines belong to the block above them as FRR has it, whatever their indentation.
    """
    head, first, body = "", 0, list[tuple[int, str]]()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if line[:1].strip() and stripped == "end":
            if head:
                yield Block(head, tuple(body), first)
            head = ""
        if _IGNORED.match(stripped) or _is_end(stripped):
            continue
        top = frr_words.written_out(stripped)
        inner = frr_words.written_out(stripped, head.split(" ", 1)[0]) if head else top
        if head and _is_inside(line, top, inner, head):
            body.append((number, inner))
            continue
        if head:
            yield Block(head, tuple(body), first)
        head, first, body = top, number, []
    if head:
        yield Block(head, tuple(body), first)


def _is_end(line: str) -> bool:
    """``exit-vrf`` and the like; an address family's stays, since lines of the router follow it."""
    return line.startswith("exit-") and line != "exit-address-family"


def _is_inside(line: str, top: str, inner: str, head: str) -> bool:
    if frr_words.begins_block(top, head):
        return False
    return line[0].isspace() or frr_words.belongs_above(inner, head)


def daemon_names(text: str) -> list[str]:
    """Daemons a configuration needs: zebra, then one for each protocol it has."""
    found = list(blocks(text))
    protocols = [b.head.split()[1] for b in found if b.head.startswith("router ")]
    names = [daemon for word, daemon in PROTOCOLS.items() if word in protocols]
    statics = any(_TOP_LINES["staticd"].match(b.head) for b in found)
    bfd = any(b.head == "bfd" or any(_BFD.search(line) for _, line in b.lines) for b in found)
    return ["zebra", *names, *(["staticd"] * statics), *(["bfdd"] * bfd)]


def split(text: str) -> dict[str, str]:
    """A router's configuration as daemon → its part."""
    parts: dict[str, list[str]] = {name: [] for name in daemon_names(text)}
    with_keys = [d for d, pattern in _NAMES_KEY_CHAIN.items() if pattern.search(text)]
    for block in blocks(text):
        if _KEY_CHAIN.match(block.head):
            for daemon in parts:
                if daemon in with_keys or (not with_keys and daemon == "ripd"):
                    parts[daemon] += _rendered(block, [line for _, line in block.lines])
            continue
        for daemon, lines in _shares(block, parts).items():
            parts[daemon] += _rendered(block, lines)
    return {daemon: "\n".join(lines) + "\n" for daemon, lines in parts.items()}


def managed(parts: Mapping[str, str]) -> dict[str, str]:
    """The same parts for FRR with mgmtd: its own contains those of `MANAGED`, which have none.

    Only zebra keeps the few lines that mgmtd does not know.
    """
    ours: dict[str, None] = {}
    zebra = []
    for daemon in MANAGED:
        for block in blocks(parts.get(daemon, "")):
            text = "\n".join(_rendered(block, [line for _, line in block.lines]))
            own = daemon == "zebra" and _ZEBRAS_OWN.match(block.head)
            if own or (daemon == "zebra" and _SHARED.match(block.head)):
                zebra.append(text)
            if not own:
                ours[text] = None  # lines that are for all occur once
    given = {daemon: part for daemon, part in parts.items() if daemon not in MANAGED}
    return {"mgmtd": _joined(ours), "zebra": _joined(zebra), **given}


def _joined(texts: Iterable[str]) -> str:
    return "".join(text + "\n" for text in texts)


def _rendered(block: Block, lines: Iterable[str]) -> list[str]:
    """A copy of a block with some of its lines."""
    return [block.head, *(f" {line}" for line in lines), *_exit(block)]


def _exit(block: Block) -> list[str]:
    return ["exit"] if block.head.split()[0] in _CLOSED else []


_CLOSED = ("interface", "router", "route-map", "key", "bfd", "vrf", "rpki")


def _shares(block: Block, daemons: Collection[str]) -> dict[str, list[str]]:
    """Which daemons take a block, and which of its lines."""
    lines = [line for _, line in block.lines]
    words = block.head.split()
    if words[0] == "router":
        owner = None if is_instance(block.head) else PROTOCOLS.get(words[1] if words[1:] else "")
        return {owner: lines} if owner in daemons and owner else {}
    if words[0] == "interface":
        shares: dict[str, list[str]] = {}
        for line in lines:
            match = [d for d, pattern in _INTERFACE_LINES.items() if pattern.match(line)]
            shares.setdefault(match[0] if match else "zebra", []).append(line)
        return {d: found for d, found in shares.items() if d in daemons}
    if block.head.startswith("vrf "):
        return {}
    for daemon, pattern in _TOP_LINES.items():
        if pattern.match(block.head):
            return {daemon: lines} if daemon in daemons else {}
    if _SHARED.match(block.head):
        return dict.fromkeys(daemons, lines)
    return {d: lines for d in daemons if d not in _WITHOUT_FILTERS}  # filters, route maps


_WITHOUT_FILTERS = ("staticd", "bfdd")


def is_instance(head: str) -> bool:
    """Whether a router's block is of a protocol's further process, or of a VRF."""
    words = head.split()
    numbered = words[1:2] in (["ospf"], ["ospf6"]) and words[2:3] != []
    return numbered or "vrf" in words[2:] or "view" in words[2:]
