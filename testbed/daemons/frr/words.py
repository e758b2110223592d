"""FRR's commands as words: abbreviations written out, and which lines begin or belong to a block.

FRR takes any beginning of a word that is not ambiguous (``int r1-eth0``), and reads a line in the
context of the block above it, indented or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

_TOP = """
interface
router rip
router ripng
router ospf
router ospf6
router bgp
router isis
route-map
key chain
ip route
ipv6 route
ip prefix-list
ipv6 prefix-list
access-list
ipv6 access-list
hostname
log
line vty
"""
_INTERFACE = """
ip address
ipv6 address
ip rip authentication mode
ip rip authentication string
ip rip authentication key-chain
ip rip split-horizon
ip ospf area
ip ospf authentication message-digest
ip ospf authentication null
ip ospf authentication-key
ip ospf message-digest-key
ip ospf hello-interval
ip ospf dead-interval minimal
ip ospf network broadcast
ip ospf network non-broadcast
ip ospf network point-to-point
ip ospf network point-to-multipoint
ip ospf mtu-ignore
ip ospf passive
ip ospf cost
ip ospf priority
ip ospf bfd
ipv6 ospf6 area
ipv6 ospf6 hello-interval
ipv6 ospf6 dead-interval
ipv6 ospf6 network broadcast
ipv6 ospf6 network point-to-point
ipv6 ospf6 mtu-ignore
ipv6 ospf6 passive
ipv6 ospf6 bfd
ipv6 ripng split-horizon
ip router isis
ip route
ipv6 router isis
ipv6 route
"""
_ROUTER = """
network
neighbor
passive-interface
redistribute
router-id
ospf router-id
ospf6 router-id
bgp router-id
area
address-family
route
net
"""
_ABBREVIATED = 2
"""A single letter is never written out."""

_STARTS = re.compile(
    r"(interface|router \S|route-map|key chain|line vty|hostname|bfd$"
    r"|vrf |(ip|ipv6) (prefix-list|access-list)|access-list|log |debug )"
)
"""Lines that begin something new wherever they are, however they are indented."""

_BELONGS = re.compile(
    r"(no )?(network|neighbor|version|timers|redistribute|passive-interface|default-information"
    r"|distance|area|ospf6? |router-id|auto-cost|bgp (?!as-path|.*community)"
    r"|address-family|exit-address-family|maximum-paths|offset-list|distribute-list|default-metric|log-adjacency-changes|max-metric"
    r"|refresh|summary-address|net |is-type|aggregate-address|match |set |call |on-match"
    r"|description|bandwidth|shutdown|link-detect|multicast|key-string|key \d"
    r"|(send|accept)-lifetime|ip (address|rip|ospf|router(?!-)|pim|igmp)"
    r"|ipv6 (address|ripng|ospf6|router|nd|pim)|isis |vrrp )\b"
)
"""Lines that belong to the block above them, even if they are not indented."""

_OPEN = re.compile(r"(interface|router|route-map|key|bfd|vrf)\b")
"""Blocks that take such lines."""


@cache
def _tree(kind: str) -> dict[str, object]:
    lines = {"interface": _INTERFACE, "router": _ROUTER}.get(kind, _TOP)
    tree: dict[str, object] = {}
    for line in lines.split("\n"):
        at = tree
        for word in line.split():
            at = at.setdefault(word, {})  # type: ignore[assignment]
    return tree


def written_out(line: str, block: str = "") -> str:
    """A line with the abbreviations of those commands written out that are read here.

    Args:
        line: the line, stripped.
        block: first word of the block that it is in; empty: none.
    """
    words = line.split()
    start = 1 if words[:1] == ["no"] else 0
    at = _tree(block)
    for place in range(start, len(words)):
        word = _meant(words[place], at)
        if word is None:
            break
        words[place], at = word, at[word]  # type: ignore[assignment]
    return " ".join(words)


def _meant(word: str, known: Iterable[str]) -> str | None:
    if word in known:
        return word
    found = [name for name in known if name.startswith(word)]
    return found[0] if len(found) == 1 and len(word) >= _ABBREVIATED else None


def begins_block(line: str, above: str) -> bool:
    """Whether a line is a new block, however it is indented, as FRR would read it."""
    return bool(_STARTS.match(line)) and not above.startswith(("vrf ", "mpls ", "address-family"))


def belongs_above(line: str, above: str) -> bool:
    """Whether a line that is not indented belongs to the block above it."""
    return bool(_OPEN.match(above)) and bool(_BELONGS.match(line))
