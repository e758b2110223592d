"""One hop of a packet's way: route, interface, cable, switch, neighbour."""

from __future__ import annotations

import ipaddress
from itertools import pairwise
from typing import Any

from testbed.net.why import switches
from testbed.net.why.finding import Finding
from testbed.net.why.state import Address, Face, State, Way

_REFUSING = {
    "blackhole": "drops them without a word",
    "unreachable": "answers 'host unreachable'",
    "prohibit": "answers 'prohibited'",
}
_LOSES_ALL_PERCENT = 100.0


def next_hop(state: State, here: str, sender: Address, to: Address) -> tuple[Face, Face] | Finding:
    """The interface by which a node sends packets to an address, and the one that gets them.

    Args:
        state: the network's.
        here: the node.
        sender: the address in the packets from which they come.
        to: the one to which they go.
    """
    found = state.rows(here, "ip", "-j", "-4", "route", "get", str(to))
    route = found[0] if found else {}
    if "dev" not in route or route.get("type") in _REFUSING:
        return _no_route(state, here, to)
    out = state.faces.get((here, str(route["dev"])))
    if out is None:
        return Finding(
            here,
            f"{here} sends packets to {to} out of {route['dev']}, which leads to nobody "
            "(the address is its own?)",
            f"{here} ip route get {to}",
        )
    via = ipaddress.IPv4Address(route.get("gateway", str(to)))
    if wrong := _down(state, out):
        return wrong
    there = _neighbour(state, out, via, to)
    if isinstance(there, Finding):
        return there
    return _filtered_back(state, sender, there) or (out, there)


def leaving(state: State, node: str, to: Address) -> Face | None:
    """The interface by which a node sends to an address; None without one, or if it is its own."""
    found = state.rows(node, "ip", "-j", "-4", "route", "get", str(to))
    return state.faces.get((node, str(found[0].get("dev")))) if found else None


def source_address(state: State, node: str, to: Address) -> Address | None:
    """The address that a node puts into packets to another one."""
    found = state.rows(node, "ip", "-j", "-4", "route", "get", str(to))
    given = found[0].get("prefsrc") if found else None
    return ipaddress.IPv4Address(given) if given else None


def not_forwarding(state: State, router: str) -> Finding | None:
    """What keeps a node in the middle from passing packets on; None if nothing does."""
    if not state.setting(router, "net/ipv4/ip_forward"):
        return Finding(
            router,
            f"{router} gets packets for others, but does not forward them (ip_forward is 0)",
            f"{router} sysctl net.ipv4.ip_forward",
        )
    return None


def _no_route(state: State, here: str, to: Address) -> Finding:
    for face in state.of(here):
        if not face.up and any(to in a.network for a in face.addresses):
            return _is_down(face)
    for row in state.rows(here, "ip", "-j", "-4", "route", "show"):
        kind = row.get("type", "unicast")
        if kind in _REFUSING and to in ipaddress.ip_network(_prefix(row)):
            return Finding(
                here,
                f"{here} has a {kind} route to {_prefix(row)}: it {_REFUSING[kind]}",
                f"{here} ip route",
            )
    down = [face for face in state.of(here) if not face.up]
    if down:
        return _is_down(down[0])
    if wrong := _too_long(state, here, to):
        return wrong
    routers = len(state.of(here)) > 1
    mend = "it needs one to that network" if routers else "it needs a default route (a gateway)"
    return Finding(here, f"{here} has no route to {to}; {mend}", f"{here} ip route")


def _too_long(state: State, here: str, to: Address) -> Finding | None:
    """Somebody on the node's own LAN whom its address does not cover."""
    owners = {(f.node, f.name) for f in state.with_address(to)}
    for face in state.of(here):
        if face.addresses and owners & set(state.ways(face)):
            return Finding(
                here,
                f"{here} has no route to {to}, which is on its own LAN: its address "
                f"{face.addresses[0]} has so long a prefix that {to} is not in it",
                f"{here} ip addr show {face.name}",
            )
    return None


def _prefix(row: dict[str, Any]) -> str:
    return "0.0.0.0/0" if row["dst"] == "default" else str(row["dst"])


def _is_down(face: Face) -> Finding:
    return Finding(
        face.node,
        f"{face.name} of {face.node} is down",
        f"{face.node} ip link show {face.name}",
    )


def _down(state: State, out: Face) -> Finding | None:
    """An interface that is up, and whose cable carries nothing: the other end is down."""
    if not out.up:
        return _is_down(out)
    if out.running:
        return None
    for link in state.net.links:
        for one, two in ((link.intf1, link.intf2), (link.intf2, link.intf1)):
            if (one.node.name, one.name) == (out.node, out.name):
                other = state.faces.get((two.node.name, two.name))
                if other and not other.up:
                    return _is_down(other)
    return Finding(
        out.node,
        f"{out.name} of {out.node} has no carrier: its cable is cut",
        f"{out.node} ip link show {out.name}",
    )


def _neighbour(state: State, out: Face, via: Address, to: Address) -> Face | Finding:
    """Whoever on the interface's LAN has an address."""
    owners = state.with_address(via)
    ways = state.ways(out)
    near = [face for face in owners if (face.node, face.name) in ways]
    clear = [face for face in near if not on_the_way(state, ways[face.node, face.name])]
    near = clear or near
    if not owners:
        return Finding(
            out.node,
            f"{out.node} sends packets to {to} by the gateway {via}, an address that nobody has",
            f"{out.node} ip route get {to}",
        )
    if not near:
        return _elsewhere(out, owners[0], via, is_gateway=via != to)
    if len(near) > 1:
        return Finding(
            near[1].node,
            f"{near[0].node} and {near[1].node} have the same address {via}",
            f"{near[1].node} ip addr show {near[1].name}",
        )
    there = near[0]
    if not there.up:
        return _is_down(there)
    if wrong := on_the_way(state, ways[there.node, there.name]):
        return wrong
    return _wrong_entry(state, out, there, via) or there


def _elsewhere(out: Face, owner: Face, via: Address, *, is_gateway: bool) -> Finding:
    mask = next((a for a in out.addresses if via in a.network), None)
    if is_gateway or mask is None:
        text = f"{out.node} sends to {via} of {owner.node}, which is on no LAN of {out.name}"
    else:
        text = (
            f"{out.node} takes {via} for a neighbour, because its own address {mask} has so short "
            f"a prefix, but {owner.node} is not on its LAN: the mask is wrong"
        )
    return Finding(out.node, text, f"{out.node} ip addr show {out.name}")


def on_the_way(state: State, way: Way) -> Finding | None:
    """What is wrong with cables and switches between two neighbours; None if nothing seen is."""
    for one, two in way:
        for intf in (one, two):
            face = state.faces.get((intf.node.name, intf.name))
            if face and not face.up:
                return _is_down(face)
        for intf in (one, two):
            if intf.end and intf.end.shape.loss_percent >= _LOSES_ALL_PERCENT:
                return Finding(
                    intf.node.name,
                    f"the cable of {intf.name} loses every packet that it sends (loss 100 %)",
                    f"py net.shape('{intf.name}')",
                )
    for (_, entry), (exit_, _) in pairwise(way):
        if wrong := switches.not_forwarding(state, entry, exit_):
            return wrong
    return switches.vlan_not_carried(way)


def _wrong_entry(state: State, out: Face, there: Face, via: Address) -> Finding | None:
    """What the node believes about its neighbour's MAC address."""
    argv = ("ip", "-j", "-4", "neigh", "show", str(via), "dev", out.name)
    for row in state.rows(out.node, *argv):
        if row.get("lladdr") and row["lladdr"] != there.mac and "PERMANENT" in row["state"]:
            return Finding(
                out.node,
                f"{out.node} has a static ARP entry for {via} with MAC {row['lladdr']}, but "
                f"{there.name} of {there.node} has {there.mac}",
                f"{out.node} ip neigh",
            )
    return None


def _filtered_back(state: State, sender: Address, there: Face) -> Finding | None:
    """Strict reverse path filtering at the receiver (RFC 3704 §2.2)."""
    strict = max(
        state.setting(there.node, f"net/ipv4/conf/{name}/rp_filter") for name in ("all", there.name)
    )
    if strict != 1:
        return None
    found = state.rows(there.node, "ip", "-j", "-4", "route", "get", str(sender))
    if found and found[0].get("dev") == there.name:
        return None
    return Finding(
        there.node,
        f"{there.node} drops packets from {sender} that come in by {there.name}, as its own way "
        "back is another interface (rp_filter is 1)",
        f"{there.node} sysctl net.ipv4.conf.all.rp_filter",
    )


def narrowest(state: State, out: Face, there: Face) -> Face | None:
    """An interface between two neighbours that takes smaller packets than the sender sends."""
    way = state.ways(out).get((there.node, there.name), [])
    faces = [state.faces.get((i.node.name, i.name)) for cable in way for i in cable]
    smaller = [face for face in faces if face and face.mtu_bytes < out.mtu_bytes]
    return min(smaller, key=lambda face: face.mtu_bytes, default=None)


def received_pkts(state: State, face: Face) -> int:
    """Packets that an interface has received."""
    rows = state.rows(face.node, "ip", "-j", "-s", "link", "show", face.name)
    return int(rows[0]["stats64"]["rx"]["packets"]) if rows else 0
