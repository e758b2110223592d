"""Whether a switch passes frames from one port to another."""

from __future__ import annotations

from typing import Any

from testbed.net.ovs import OVSSwitch
from testbed.net.switch import Switch
from testbed.net.why.finding import Finding
from testbed.net.why.state import State


def not_forwarding(state: State, entry: Any, leaving: Any) -> Finding | None:
    """What keeps frames from passing; None if nothing seen does.

    Args:
        state: the network's.
        entry: the switch's interface where frames arrive.
        leaving: its interface where they should leave.
    """
    if isinstance(entry.node, OVSSwitch):
        return _open_vswitch(entry, leaving)
    if isinstance(entry.node, Switch):
        return _bridge(state, entry) or _bridge(state, leaving)
    return None


def _bridge(state: State, port: Any) -> Finding | None:
    name = port.node.name
    command = f"{name} bridge link show"
    rows = state.rows(name, "bridge", "-j", "link", "show")
    own = next((row for row in rows if row.get("ifname") == port.name), None)
    if own is None:
        return Finding(name, f"{port.name} is not a port of switch {name} (stopped?)", command)
    if own.get("state", "forwarding") != "forwarding":
        text = f"switch {name} does not forward at {port.name}: its state is {own['state']}"
        return Finding(name, f"{text} (spanning tree)", command)
    return None


def _open_vswitch(entry: Any, leaving: Any) -> Finding | None:
    switch, name = entry.node, entry.node.name
    run = switch.ovs.run
    if name not in run("ovs-vsctl", "list-br").split():
        return Finding(name, f"switch {name} is not started", "sh ovs-vsctl show")
    if not switch.dpctl("dump-flows").count("actions="):
        text = f"switch {name} has no flow, so it drops every frame (is its controller running?)"
        return Finding(name, text, f"sh ovs-ofctl dump-flows {name}")
    tags = [run("ovs-vsctl", "get", "Port", p.name, "tag").strip("[]\n ") for p in (entry, leaving)]
    if tags[0] != tags[1]:
        in_words = [tag or "none" for tag in tags]
        text = (
            f"switch {name} has {entry.name} in VLAN {in_words[0]} and {leaving.name} in VLAN "
            f"{in_words[1]}"
        )
        return Finding(name, text, "sh ovs-vsctl show")
    return None
