"""What the network does to chosen segments: damage, another way, duplicates, loss, darkness."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from testbed import Action, filter_packets, in_order, program, unfilter

if TYPE_CHECKING:
    from testbed import RunningNetwork

RATE_MBPS = 10.0
"""Of every link."""

AHEAD = "r1-eth1"
"""Where r1 sends to h4: by r2."""

PATH = ("r1-eth1", "r2-eth1", "r4-eth1", "r2-eth0")
"""Where the shaped links of that way begin, there and back."""

DETOUR = "r1-eth2"
"""Where r1 sends what goes by r3."""

_MARK = 1


def matching(port: int, *numbers: int, over_bytes: int = 52) -> str:
    """Matches segments with data to a port by their number, counted from 0 by this rule itself.

    Args:
        port: of the receiver.
        numbers: of the segments.
        over_bytes: size of an IP packet with an acknowledgement alone.
    """
    listed = ", ".join(map(str, numbers))
    data = f"tcp dport {port} tcp flags & syn == 0 ip length > {over_bytes}"
    return f"{data} numgen inc mod 65536 {{ {listed} }}"


def spoiling(act: Action, rule: str, hook: str = "forward", node: str = "r1") -> Action:
    """Runs an action while a node has a packet filter's rule."""
    return in_order(filter_packets(node, hook, rule), act, unfilter(node))


def damaging(act: Action, port: int, number: int) -> Action:
    """One segment's data change on the way, and its checksum stays."""
    return spoiling(act, f"{matching(port, number)} @th,512,32 set 0xdeadbeef")


def losing(act: Action, port: int, *numbers: int) -> Action:
    """Some segments are lost."""
    return spoiling(act, f"{matching(port, *numbers)} drop")


def detouring(act: Action, port: int, number: int, extra_ms: float) -> Action:
    """One segment takes the way by r3, which is longer."""

    def begin(net: RunningNetwork) -> None:
        usual = net.shape(DETOUR)
        net.reshape(DETOUR, replace(usual, delay_ms=usual.delay_ms + extra_ms))
        via = str(net.network.interface("r3-eth0").IP())
        net.exec("r1", "ip", "rule", "add", "fwmark", str(_MARK), "lookup", "100")
        net.exec("r1", "ip", "route", "add", "default", "via", via, "dev", DETOUR, "table", "100")

    def end(net: RunningNetwork) -> None:
        net.exec("r1", "ip", "rule", "del", "fwmark", str(_MARK))
        net.exec("r1", "ip", "route", "flush", "table", "100")
        usual = net.shape(DETOUR)
        net.reshape(DETOUR, replace(usual, delay_ms=usual.delay_ms - extra_ms))

    rule = f"{matching(port, number)} meta mark set {_MARK}"
    return in_order(begin, spoiling(act, rule, "prerouting"), end)


def shaped(act: Action, interface: str, **changes: Any) -> Action:
    """Runs an action while a link does something else to what leaves by an interface."""

    def run(net: RunningNetwork) -> None:
        usual = net.shape(interface)
        net.reshape(interface, replace(usual, **changes))
        act(net)
        net.reshape(interface, usual)

    return run


def setting(act: Action, node: str, **values: int) -> Action:
    """Runs an action with other values of a node's TCP sysctls (``sack=0``)."""

    def run(net: RunningNetwork) -> None:
        before: dict[str, str | int] = {}
        for name, value in values.items():
            path = f"net.ipv4.tcp_{name}"
            before[path] = net.exec(node, "sysctl", "-n", path).strip()
            net.sysctl(node, path, value)
        act(net)
        for path, old in before.items():
            net.sysctl(node, path, old)

    return run


def counted(act: Action, node: str, log: str) -> Action:
    """Logs a node's TCP counters before and after an action."""

    def look(when: str) -> Action:
        return program(node, "cat", "/proc/net/snmp", log=f"{log}-{when}")

    return in_order(look("before"), act, look("after"))
