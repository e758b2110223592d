"""`why h1 h2`: the first thing that keeps two hosts from talking, in words.

Packets are sent, small and as large as the interface allows. The way of a packet is walked as the
nodes themselves would send it: address, route, interface, cable, switch, neighbour, forwarding,
filter; there and back. What looks wrong on the way is only named if packets do not pass: proxies
and translated addresses get packets through where a walk finds no way. Everything is read from the
kernel as it is now.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING

from testbed.core.errors import ConfigError, nearest
from testbed.net.why import filters, hops
from testbed.net.why.finding import Finding
from testbed.net.why.state import Address, Face, State

if TYPE_CHECKING:
    from testbed.net.network import Network

__all__ = ["Finding", "why"]

_IP_AND_ICMP_BYTES = 28
_MOST_HOPS = 30


def why(net: Network, source: str, target: str, say: Callable[[str], None]) -> Finding | None:
    """Finds the first thing that keeps `source` from reaching `target` and hearing from it.

    Args:
        net: a running network.
        source: a host's or router's name.
        target: another one's.
        say: gets the way, a line per hop.

    Returns:
        What is wrong; None if packets of every size pass both ways.

    Raises:
        ConfigError: one of the two is not a host or router.
    """
    for name in (source, target):
        known = [host.name for host in net.hosts]
        if name not in known:
            raise ConfigError(f"why: '{name}' is not a host or router{nearest(name, known)}")
    if source == target:
        raise ConfigError(f"why: {source} twice; name two hosts")
    state = State(net)
    to, back = _address(state, target), _address(state, source)
    for name, found in ((source, back), (target, to)):
        if found is None:
            return _without_address(state, name)
    assert to and back
    if wrong := _shared(state, source, back) or _shared(state, target, to):
        return wrong
    tried = _Tried(state, source, to)  # first, so that neighbours are looked for
    ways = _both_ways(state, (source, back), (target, to), say)
    unique = len(state.with_address(to)) == len(state.with_address(back)) == 1
    if tried.pass_all and (unique or not isinstance(ways, Finding)):
        return None
    return ways if isinstance(ways, Finding) else _unseen(state, target, tried, ways)


class _Tried:
    """What became of packets to an address.

    Attributes:
        source: the sender.
        to: the address.
        large_bytes: size of the largest packets that the sender's interface takes.
        small: small ones were answered.
        pass_all: small and large ones were answered, by another node.
    """

    def __init__(self, state: State, source: str, to: Address) -> None:
        self.source, self.to = source, to
        out = hops.leaving(state, source, to)
        self.large_bytes = out.mtu_bytes if out else 0
        self.small = bool(state.run(source, "ping", "-c2", "-W1", str(to)))
        self.pass_all = bool(
            self.small
            and out
            and state.run(source, "ping", "-c2", "-W1", "-M", "dont", "-s", self.large, str(to))
        )

    @property
    def large(self) -> str:
        """The large packets' payload in bytes."""
        return str(self.large_bytes - _IP_AND_ICMP_BYTES)


Crossed = list[tuple[Face, Face]]
"""The interface that sends and the one that receives, for each hop."""


def _both_ways(
    state: State,
    source: tuple[str, Address],
    target: tuple[str, Address],
    say: Callable[[str], None],
) -> Crossed | Finding:
    """The hops there and back, or what looks wrong on the way."""
    ours = (source[0], hops.source_address(state, source[0], target[1]) or source[1])
    there = _walk(state, ours, target, say)
    if isinstance(there, Finding):
        return there
    again = _walk(state, target, ours, say)
    return again.on_the_way_back() if isinstance(again, Finding) else [*there, *again]


def _walk(
    state: State,
    source: tuple[str, Address],
    target: tuple[str, Address],
    say: Callable[[str], None],
) -> Crossed | Finding:
    """The hops from one node and address to another, or what is wrong on the way."""
    crossed: Crossed = []
    here, (last, to) = source[0], target
    visited: list[str] = []
    while here != last:
        if here in visited or len(visited) > _MOST_HOPS:
            loop = " → ".join([*visited[visited.index(here) :], here])
            return Finding(
                here,
                f"a routing loop: packets to {to} go {loop} until their TTL is used up; "
                "one of these routers has a wrong route",
                f"{here} ip route get {to}",
            )
        visited.append(here)
        if crossed and any(face.node == here for face in state.with_address(to)):
            return _same_address(state, last, here, to)
        if crossed and (wrong := hops.not_forwarding(state, here)):
            return wrong
        hop = hops.next_hop(state, here, source[1], to)
        if isinstance(hop, Finding):
            return hop
        out, there = hop
        say(f"{here} → {there.node}: from {out.name} to {there.name}")
        crossed.append((out, there))
        here = there.node
    return crossed


def _address(state: State, node: str) -> Address | None:
    """The address by which a node is called; of a router, any."""
    own = [a.ip for face in state.of(node) for a in face.addresses]
    given = state.net[node].IP()
    known = ipaddress.IPv4Address(given) if given else None
    return known if known in own else next(iter(own), None)


def _without_address(state: State, node: str) -> Finding:
    names = ", ".join(face.name for face in state.of(node)) or "no interface at all"
    return Finding(
        node, f"{node} has no IPv4 address ({names}), so nobody can answer it", f"{node} ip addr"
    )


def _shared(state: State, node: str, address: Address) -> Finding | None:
    """Another node with the address on the same LAN; elsewhere it may have its reasons."""
    owners = state.with_address(address)
    for face in (f for f in owners if f.node == node):
        ways = state.ways(face)
        for other in (f for f in owners if f.node != node):
            way = ways.get((other.node, other.name))
            if way and not hops.on_the_way(state, way):
                return _same_address(state, node, other.node, address)
    return None


def _same_address(state: State, node: str, other: str, address: Address) -> Finding:
    face = next(f for f in state.with_address(address) if f.node == other)
    return Finding(
        node,
        f"{node} and {other} have the same address {address}; packets go to whoever "
        "answered the last ARP request",
        f"{other} ip addr show {face.name}",
    )


def _unseen(state: State, target: str, tried: _Tried, crossed: Crossed) -> Finding:
    """What keeps packets back, where everything that can be read looks right."""
    source, to = tried.source, tried.to
    if not tried.small:
        if state.setting(target, "net/ipv4/icmp_echo_ignore_all"):
            return Finding(
                target,
                f"{target} gets the packets, but is set not to answer ping",
                f"{target} sysctl net.ipv4.icmp_echo_ignore_all",
            )
        nodes = list(dict.fromkeys([source, *(there.node for _, there in crossed)]))
        return filters.dropping(state, source, to, nodes) or _vanishing(state, source, to, crossed)
    for out, there in crossed:
        if narrow := hops.narrowest(state, out, there):
            return Finding(
                narrow.node,
                f"small packets pass, but larger ones than {narrow.mtu_bytes} bytes are lost: "
                f"{narrow.name} takes only these (MTU), and {out.name} sends up to {out.mtu_bytes}",
                f"{narrow.node} ip link show {narrow.name}",
            )
    return Finding(
        source,
        f"small packets pass, but packets of {tried.large_bytes} bytes are lost on the way",
        f"{source} ping -M do -s {tried.large} {to}",
    )


def _vanishing(state: State, source: str, to: Address, crossed: Crossed) -> Finding:
    """Counters say how far packets come."""
    before = {face: hops.received_pkts(state, face) for _, face in crossed}
    state.run(source, "ping", "-c3", "-W1", str(to))
    for out, face in crossed:
        if hops.received_pkts(state, face) < before[face] + 3:
            return Finding(
                face.node,
                f"packets leave {out.node} by {out.name}, but do not arrive at {face.name} of "
                f"{face.node}",
                f"{face.node} tcpdump -n -i {face.name}",
            )
    last = crossed[-1][1]
    return Finding(
        last.node,
        "every interface on the way gets the packets, but no answer comes",
        f"{last.node} tcpdump -n -i {last.name}",
    )
