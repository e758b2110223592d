"""Whether a switch passes frames from one port to another."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from testbed.net.ovs import OVSSwitch
from testbed.net.switch import Switch
from testbed.net.why.finding import Finding
from testbed.net.why.state import State, Way


def not_forwarding(state: State, entry: Any, leaving: Any) -> Finding | None:
    """What keeps frames from passing; None if nothing seen does.

    Args:
        state: the network's.
        entry: the switch's interface where frames arrive.
        leaving: its interface where they should leave.
    """
    if isinstance(entry.node, OVSSwitch):
        return _open_vswitch(entry)
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


def _open_vswitch(entry: Any) -> Finding | None:
    switch, name = entry.node, entry.node.name
    run = switch.ovs.run
    if name not in run("ovs-vsctl", "list-br").split():
        return Finding(name, f"switch {name} is not started", "sh ovs-vsctl show")
    if not switch.dpctl("dump-flows").count("actions="):
        text = f"switch {name} has no flow, so it drops every frame (is its controller running?)"
        return Finding(name, text, f"sh ovs-ofctl dump-flows {name}")
    return None


def vlan_not_carried(way: Way) -> Finding | None:
    """The first Open vSwitch that keeps back the VLAN in which frames of a host come.

    A port with a tag is an access port; one without is a trunk, of all VLANs unless it names some
    (ovs-vswitchd.conf.db(5), table Port).
    """
    vlan = 0  # of the frame on the cable; 0: it has no tag
    for (_, entry), (leaving, _) in pairwise(way):
        if not isinstance(entry.node, OVSSwitch):
            continue
        into, out = _port(entry), _port(leaving)
        inside = vlan or into.untagged
        if not (into.carries(inside) and out.carries(inside)) or (into.is_access and vlan):
            name = entry.node.name
            text = (
                f"switch {name} has {entry.name} {into.words} and {leaving.name} {out.words}; "
                f"frames come in {f'VLAN {vlan}' if vlan else 'without a tag'}"
            )
            return Finding(name, text, "sh ovs-vsctl show")
        vlan = 0 if out.removes_tag(inside) else inside
    return None


@dataclass(frozen=True)
class _Port:
    """What a port of Open vSwitch says about VLANs."""

    tag: int
    trunks: tuple[int, ...]
    mode: str

    @property
    def is_access(self) -> bool:
        return self.mode == "access"

    @property
    def untagged(self) -> int:
        """The VLAN of frames without a tag."""
        return 0 if self.mode == "trunk" else self.tag

    def carries(self, vlan: int) -> bool:
        if self.is_access:
            return vlan == self.tag
        return not self.trunks or vlan in self.trunks or vlan == self.untagged != 0

    def removes_tag(self, vlan: int) -> bool:
        return self.mode in ("access", "native-untagged") and vlan == self.tag

    @property
    def words(self) -> str:
        if self.is_access or not self.trunks:
            return f"in VLAN {self.tag or 'none'}"
        return f"as a trunk of VLAN {', '.join(map(str, self.trunks))}"


def _port(port: Any) -> _Port:
    answer = port.node.ovs.run("ovs-vsctl", "get", "Port", port.name, "tag", "trunks", "vlan_mode")
    tag, trunks, mode = (line.strip('[]" ') for line in answer.splitlines())
    numbers = tuple(int(number) for number in trunks.split(",") if number)
    return _Port(int(tag or 0), numbers, mode or ("access" if tag else "trunk"))
