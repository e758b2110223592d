"""The addresses that FRR configurations give, and a topology that has exactly these."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from testbed.daemons.frr.config import blocks

LOOPBACK = "lo"

Addresses = dict[str, dict[str, list[str]]]
"""Router → interface (`LOOPBACK` included) → its addresses with prefix lengths, in order."""

T = TypeVar("T")

_ADDRESS = re.compile(r"(?:ip|ipv6) address (\S+)")


def of_text(text: str) -> dict[str, list[str]]:
    """Interface → addresses that a router's configuration gives it; none is left out."""
    found: dict[str, list[str]] = {}
    for block in blocks(text):
        if not block.head.startswith("interface "):
            continue
        given = found.setdefault(block.head.split()[1], [])
        for _, line in block.lines:
            match = _ADDRESS.match(line)
            if match and _is_address(match[1]) and match[1] not in given:
                given.append(match[1])
    return found


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_interface(word)
    except ValueError:
        return False
    return "/" in word


def of_routers(texts: Mapping[str, str]) -> Addresses:
    """The same for all routers whose configuration gives at least one address."""
    found = {router: of_text(text) for router, text in texts.items()}
    return {router: given for router, given in found.items() if any(given.values())}


def give(topo: T, addresses: Addresses) -> T:
    """A topology whose routers have exactly these addresses; routers not in it keep the plan's.

    Args:
        topo: a Mininet `Topo`; it is changed.
        addresses: of some of its routers.
    """
    graph: Any = topo
    for router, given in addresses.items():
        if router in graph.nodes():
            info = graph.nodeInfo(router)
            info.pop("ip", None)
            info |= {"planned": False, "loopback": given.get(LOOPBACK, [])}
    for node1, node2, info in graph.links(withInfo=True):
        for side, node in ((1, node1), (2, node2)):
            if node in addresses:
                name = info.get(f"intfName{side}") or f"{node}-eth{info[f'port{side}']}"
                own = info.get(f"params{side}") or {}
                own = {k: v for k, v in own.items() if k not in ("ip", "ipv6", "addresses")}
                info[f"params{side}"] = own | _options(addresses[node].get(name, []))
    return topo


def _options(given: list[str]) -> dict[str, Any]:
    """Options of an interface with these addresses: the first of each version, then the rest."""
    first: dict[str, Any] = {}
    for word in given:
        first.setdefault("ipv6" if ":" in word else "ip", word)
    more = [word for word in given if word not in first.values()]
    return first | ({"addresses": more} if more else {})
