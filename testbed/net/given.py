"""Addresses that a topology sets itself, read from the options of its nodes and links.

| option | of | meaning |
| --- | --- | --- |
| ``ip=``, ``ipv6=`` | node, ``params1=`` of a link | address of the (first) interface |
| ``addresses=`` | node, ``params1=`` of a link | further ones of either version |
| ``loopback=`` | router | its loopback's, in place of the plan's |
| ``planned=False`` | topology, node, link, ``params1=`` | exactly these, nothing planned |
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from testbed.core.errors import ConfigError

V4 = ipaddress.IPv4Interface
V6 = ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True)
class Given:
    """What a topology says about one interface.

    Attributes:
        ipv4, ipv6: its addresses, as they were written.
        more: further ones.
        planned: False: it gets no others.
    """

    ipv4: str | None = None
    ipv6: str | None = None
    more: tuple[V4 | V6, ...] = ()
    planned: bool = True


NOTHING = Given()
"""Everything is left to the plan."""


def of_interface(
    topo: Any, link: Mapping[str, Any], side: int, node: Mapping[str, Any], where: str
) -> Given:
    """What a topology says about one end of a link.

    Args:
        topo: the topology.
        link: the link's options.
        side: 1 or 2.
        node: the options of the node there; its addresses come from `with_node`.
        where: the interface's name, for errors.

    Raises:
        ConfigError: something is not an address.
    """
    own = link.get(f"params{side}") or {}
    planned = getattr(topo, "planned", True) and all(
        options.get("planned", True) for options in (node, link, own)
    )
    more = several(own.get("addresses"), where)
    return Given(own.get("ip"), own.get("ipv6"), more, bool(planned))


def with_node(given: Given, node: Mapping[str, Any], where: str) -> Given:
    """What a node's options add for its first interface."""
    return replace(
        given,
        ipv4=given.ipv4 or node.get("ip"),
        ipv6=given.ipv6 or node.get("ipv6"),
        more=given.more + several(node.get("addresses"), where),
    )


def loopback(topo: Any, router: str) -> tuple[V4 | V6, ...] | None:
    """The addresses of a router's loopback; None: the plan chooses."""
    options = topo.nodeInfo(router)
    planned = getattr(topo, "planned", True) and options.get("planned", True)
    if planned and "loopback" not in options:
        return None
    return several(options.get("loopback"), f"router {router}: loopback")


def several(given: str | Iterable[str] | None, where: str) -> tuple[V4 | V6, ...]:
    """One address, or several, with prefix lengths.

    Raises:
        ConfigError: one is not an address, or has no prefix length.
    """
    words = [given] if isinstance(given, str) else list(given or ())
    found: list[V4 | V6] = []
    for word in words:
        if "/" not in str(word):
            raise ConfigError(f"{where}: address {word!r} needs a prefix length, e.g. /24")
        try:
            found.append(ipaddress.ip_interface(word))
        except ValueError as error:
            raise ConfigError(f"{where}: {word!r} is not an address: {error}") from error
    return tuple(found)


def parse_address(given: str, where: str) -> V4:
    """``10.0.0.1/24`` as an address with its prefix; without a length it is /8, as in Mininet."""
    try:
        return V4(given if "/" in given else f"{given}/8")
    except ValueError as error:
        raise ConfigError(f"{where}: ip {given!r} is not an IPv4 address: {error}") from error


def parse_address6(given: str, where: str) -> V6:
    """``2001:db8::1/64`` as an address with its prefix; without a length it is /64."""
    try:
        return V6(given if "/" in given else f"{given}/64")
    except ValueError as error:
        raise ConfigError(f"{where}: ipv6 {given!r} is not an IPv6 address: {error}") from error
