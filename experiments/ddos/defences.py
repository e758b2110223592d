"""What the provider and the victim do against a flood, one defence for each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from testbed import filter_packets, unfilter

from .traffic import SERVICE

if TYPE_CHECKING:
    from testbed import RunningNetwork

NARROW, CAPACITY = "core-eth2", 4
"""The customer's link, and how many times faster the step `capacity` makes it."""

LIMIT_SHARE, BURST_BYTES = 0.15, 20_000
"""What each source may send to the service in the step `limited`: of the link's rate."""

COPIES = {"west": "w1", "east": "e1"}
"""Region → the copy of the service in it."""

REGIONS = ("core-eth0", "core-eth1")
"""Where packets come into the core from outside."""

_CLEAN_TABLE = "100"

Defence = Callable[["RunningNetwork"], AbstractContextManager[None]]


def limit_mbps(link_mbps: float) -> float:
    """What each source may send to the service."""
    return LIMIT_SHARE * link_mbps


def next_hop(net: RunningNetwork, interface: str) -> str:
    """An interface's address."""
    return str(net.network.interface(interface).IP())


def route(net: RunningNetwork, node: str, *words: str) -> None:
    """Sets a node's route to the service."""
    net.exec(node, "ip", "route", "replace", *words)


def announce(net: RunningNetwork) -> None:
    """Gives the service's address to v1 and its copies; all routes lead to v1."""
    for host in ("v1", *COPIES.values()):
        net.exec(host, "ip", "address", "add", str(SERVICE), "dev", "lo")
    for node, interface in (("west", "core-eth0"), ("east", "core-eth1"), ("core", "gate-eth0")):
        route(net, node, str(SERVICE), "via", next_hop(net, interface))
    route(net, "gate", str(SERVICE), "via", net.address("v1"))
    route(net, "scrub", str(SERVICE), "via", next_hop(net, "core-eth3"))
    for node, target in (("c1", "v1"), ("c2", "v1"), ("core", "scrub"), *COPIES.items()):
        net.exec(node, "ping", "-c", "1", net.address(target))  # ARP is done then


@contextmanager
def capacity(net: RunningNetwork) -> Iterator[None]:
    """A faster link."""
    before = net.shape(NARROW)
    net.reshape(NARROW, replace(before, rate_mbps=CAPACITY * (before.rate_mbps or 1)))
    yield
    net.reshape(NARROW, before)


@contextmanager
def black_hole(net: RunningNetwork) -> Iterator[None]:
    """The provider drops everything to the service (RFC 5635)."""
    route(net, "core", "blackhole", str(SERVICE))
    yield
    route(net, "core", str(SERVICE), "via", next_hop(net, "gate-eth0"))


@contextmanager
def limited(net: RunningNetwork) -> Iterator[None]:
    """The provider limits what each source may send to the service."""
    rate = int(limit_mbps(net.shape(NARROW).rate_mbps or 1) * 1e6 / 8)
    limit = f"limit rate over {rate} bytes/second burst {BURST_BYTES} bytes"
    net.exec(
        "core",
        "nft",
        "add table ip lab; add set ip lab seen { type ipv4_addr; size 65535; flags dynamic; }",
    )
    rule = f"ip daddr {SERVICE} update @seen {{ ip saddr {limit} }} drop"
    filter_packets("core", "forward", rule)(net)
    yield
    unfilter("core")(net)


@contextmanager
def scrubbed(net: RunningNetwork) -> Iterator[None]:
    """Traffic to the service makes a detour over a host that lets only TCP pass."""
    way = ("via", next_hop(net, "scrub-eth0"), "table", _CLEAN_TABLE)
    route(net, "core", "default", *way)
    rules = [("to", str(SERVICE), "iif", region, "lookup", _CLEAN_TABLE) for region in REGIONS]
    for rule in rules:
        net.exec("core", "ip", "rule", "add", *rule)
    filter_packets("scrub", "forward", f"ip daddr {SERVICE} meta l4proto != tcp drop")(net)
    yield
    unfilter("scrub")(net)
    for rule in rules:
        net.exec("core", "ip", "rule", "del", *rule)


@contextmanager
def anycast(net: RunningNetwork) -> Iterator[None]:
    """Each region has a copy with the same address (RFC 4786)."""
    for region, copy in COPIES.items():
        route(net, region, str(SERVICE), "via", net.address(copy))
    yield
    for region, interface in (("west", "core-eth0"), ("east", "core-eth1")):
        route(net, region, str(SERVICE), "via", next_hop(net, interface))


DEFENCES: dict[str, Defence] = {
    "undefended": lambda _: nullcontext(),
    "capacity": capacity,
    "black-hole": black_hole,
    "limited": limited,
    "limited-forged": limited,
    "scrubbed": scrubbed,
    "anycast": anycast,
}
"""Step → what is done in it."""
