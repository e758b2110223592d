"""`why h1 h2`: the first thing that keeps two hosts from talking, in words.

The way of a packet is walked as the nodes themselves would send it: address, route, interface,
cable, switch, neighbour, forwarding, filter; there and back. Then a packet is sent, small and as
large as the interface allows. Everything is read from the kernel as it is now.
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
    state.run(source, "ping", "-c1", "-W1", str(to))  # so that neighbours are looked for
    ours = hops.source_address(state, source, to) or back
    there = _walk(state, (source, ours), (target, to), say)
    if isinstance(there, Finding):
        return there
    again = _walk(state, (target, to), (source, ours), say)
    if isinstance(again, Finding):
        return again.on_the_way_back()
    return _try(state, source, target, to, [*there, *again])


Crossed = list[tuple[Face, Face]]
"""The interface that sends and the one that receives, for each hop."""


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
    others = [f for f in state.with_address(address) if f.node != node]
    if not others:
        return None
    return Finding(
        node,
        f"{node} and {others[0].node} have the same address {address}; packets go to whoever "
        "answered the last ARP request",
        f"{others[0].node} ip addr show {others[0].name}",
    )


def _try(state: State, source: str, target: str, to: Address, crossed: Crossed) -> Finding | None:
    """Sends packets, where everything that can be read looks right."""
    if not state.run(source, "ping", "-c2", "-W1", str(to)):
        if state.setting(target, "net/ipv4/icmp_echo_ignore_all"):
            return Finding(
                target,
                f"{target} gets the packets, but is set not to answer ping",
                f"{target} sysctl net.ipv4.icmp_echo_ignore_all",
            )
        nodes = list(dict.fromkeys([source, *(there.node for _, there in crossed)]))
        return filters.dropping(state, source, to, nodes) or _vanishing(state, source, to, crossed)
    size = next(out for out, _ in crossed).mtu_bytes
    large = str(size - _IP_AND_ICMP_BYTES)
    if state.run(source, "ping", "-c2", "-W1", "-M", "dont", "-s", large, str(to)):
        return None
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
        f"small packets pass, but packets of {size} bytes are lost on the way",
        f"{source} ping -M do -s {large} {to}",
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
