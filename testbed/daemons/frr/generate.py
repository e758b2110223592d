"""FRR configurations made from a topology and its address plan: readable, as a person writes them.

    plan = make_plan(topo)
    configs = {router: rip(plan, router, Rip()) for router in plan.routers}

Interfaces to LANs without another router are passive: announced, but silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from testbed.net.plan import Plan, Port, Segment
from testbed.net.tclink import shape_of

BACKBONE = "0.0.0.0"


@dataclass(frozen=True)
class Rip:
    """RIP settings of a router.

    Attributes:
        version: 1 or 2.
        split_horizon: ``simple``, ``poisoned-reverse`` or ``off``.
        update_s, timeout_s, garbage_s: timers (RFC 2453 §3.8).
        redistribute: what it announces besides its networks, e.g. ``("static",)``.
    """

    version: int = 2
    split_horizon: str = "simple"
    update_s: int = 30
    timeout_s: int = 180
    garbage_s: int = 120
    redistribute: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ospf:
    """OSPF settings of a router.

    Attributes:
        hello_s, dead_s: timers (RFC 2328 appendix C.3).
        areas: interface → area; others are in the backbone.
        stub: areas that are stubs; ``no-summary`` is FRR's word for totally stubby.
        ranges: (area, prefix) that an area border router announces as one.
        costs: interface → cost; others from the bandwidth.
        priorities: router → priority in elections; 0 never becomes designated router.
        reference_mbps: bandwidth of cost 1.
        redistribute: what it imports from outside, e.g. ``("static",)``.
        static: prefixes it knows from outside (routes to nowhere).
        hellos: router → its own ``hello_s``, to set up neighbours that disagree.
    """

    hello_s: int = 10
    dead_s: int = 40
    areas: Mapping[str, str] = field(default_factory=dict)
    stub: tuple[str, ...] = ()
    ranges: tuple[tuple[str, str], ...] = ()
    costs: Mapping[str, int] = field(default_factory=dict)
    priorities: Mapping[str, int] = field(default_factory=dict)
    reference_mbps: int = 100
    redistribute: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    static: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hellos: Mapping[str, int] = field(default_factory=dict)


def rip(plan: Plan, router: str, options: Rip) -> str:
    """RIP for IPv4 on all networks of a router."""
    horizon = {"off": " no ip rip split-horizon", "simple": " ip rip split-horizon"}
    line = horizon.get(options.split_horizon, f" ip rip split-horizon {options.split_horizon}")
    lines = _header(router)
    for port in _spoken(plan, router):
        lines += [f"interface {port.name}", line, "exit", "!"]
    lines += ["router rip", f" version {options.version}"]
    timers = (options.update_s, options.timeout_s, options.garbage_s)
    lines += [f" timers basic {' '.join(map(str, timers))}"]
    lines += [f" network {port.ipv4.network}" for port in plan.ports[router] if port.ipv4]
    lines += [f" network {a.network}" for a in plan.loopbacks.get(router, ()) if a.version == 4]
    lines += [f" passive-interface {port.name}" for port in _silent(plan, router)]
    lines += [f" redistribute {source}" for source in options.redistribute]
    return _text([*lines, "exit"])


def ripng(plan: Plan, router: str, options: Rip) -> str:
    """RIPng (IPv6) on all networks of a router."""
    horizon = {"off": " no ipv6 ripng split-horizon", "simple": " ipv6 ripng split-horizon"}
    line = horizon.get(options.split_horizon, f" ipv6 ripng split-horizon {options.split_horizon}")
    lines = _header(router)
    for port in _spoken(plan, router):
        lines += [f"interface {port.name}", line, "exit", "!"]
    timers = (options.update_s, options.timeout_s, options.garbage_s)
    lines += ["router ripng", f" timers basic {' '.join(map(str, timers))}"]
    lines += [f" network {port.name}" for port in plan.ports[router]]
    # a loopback has no link-local address, so ripngd cannot use it
    lines += [f" redistribute {source}" for source in ("connected", *options.redistribute)]
    lines += [f" passive-interface {port.name}" for port in _silent(plan, router)]
    return _text([*lines, "exit"])


def ospf(plan: Plan, router: str, options: Ospf) -> str:
    """OSPF version 2 on all networks of a router."""
    lines = _header(router)
    for port in plan.ports[router]:
        lines += [
            f"interface {port.name}",
            *_bandwidth(plan, port),
            *_ospf_interface("ip ospf", plan, router, port, options),
            *([" ip ospf passive"] if port in _silent(plan, router) else []),
            "exit",
            "!",
        ]
    for prefix in options.static.get(router, ()):
        lines += [f"ip route {prefix} blackhole", "!"]
    lines += ["router ospf", f" ospf router-id {router_id(plan, router)}"]
    lines += [f" auto-cost reference-bandwidth {options.reference_mbps}"]
    lines += [
        f" network {port.ipv4.network} area {options.areas.get(port.name, BACKBONE)}"
        for port in plan.ports[router]
        if port.ipv4
    ]
    home = _home_area(plan, router, options)
    own = [a.network for a in plan.loopbacks.get(router, ()) if a.version == 4]
    lines += [f" network {network} area {home}" for network in own]
    return _text([*lines, *_beyond(plan, router, options), "exit"])


def ospf6(plan: Plan, router: str, options: Ospf) -> str:
    """OSPF version 3 (IPv6) on all networks of a router."""
    lines = _header(router)
    for port in plan.ports[router]:
        area = options.areas.get(port.name, BACKBONE)
        lines += [
            f"interface {port.name}",
            *_bandwidth(plan, port),
            f" ipv6 ospf6 area {area}",
            *_ospf_interface("ipv6 ospf6", plan, router, port, options),
            *([" ipv6 ospf6 passive"] if port in _silent(plan, router) else []),
            "exit",
            "!",
        ]
    home = _home_area(plan, router, options)
    lines += ["interface lo", f" ipv6 ospf6 area {home}", "exit", "!"]
    lines += [f"ipv6 route {prefix} blackhole" for prefix in options.static.get(router, ())]
    lines += ["router ospf6", f" ospf6 router-id {router_id(plan, router)}"]
    lines += [f" auto-cost reference-bandwidth {options.reference_mbps}"]
    return _text([*lines, *_beyond(plan, router, options), "exit"])


def router_id(plan: Plan, router: str) -> str:
    """A router's identifier: its loopback's IPv4 address, else its first other one."""
    loopback = plan.loopback(router)
    own = [loopback.ip] if loopback else [p.ipv4.ip for p in plan.ports[router] if p.ipv4]
    return str(own[0] if own else f"0.0.0.{plan.routers.index(router) + 1}")


def _beyond(plan: Plan, router: str, options: Ospf) -> list[str]:
    """What a router announces to its areas about each other and the outside."""
    mine = _areas(plan, router, options)
    lines = [f" area {area} stub" for area in options.stub if area.split()[0] in mine]
    if len(mine) > 1:
        lines += [f" area {area} range {prefix}" for area, prefix in options.ranges if area in mine]
    return lines + [f" redistribute {source}" for source in options.redistribute.get(router, ())]


def _ospf_interface(word: str, plan: Plan, router: str, port: Port, options: Ospf) -> list[str]:
    lines = [
        f" {word} hello-interval {options.hellos.get(router, options.hello_s)}",
        f" {word} dead-interval {options.dead_s}",
    ]
    if port.name in options.costs:
        lines.append(f" {word} cost {options.costs[port.name]}")
    if router in options.priorities:
        lines.append(f" {word} priority {options.priorities[router]}")
    if _is_point_to_point(plan, port):
        lines.append(f" {word} network point-to-point")
    return lines


def _is_point_to_point(plan: Plan, port: Port) -> bool:
    """A cable between two routers needs no designated router."""
    segment = _segment(plan, port)
    ends = {plan.links[p.link][f"node{side}"] for p in segment.ports for side in (1, 2)}
    return len(segment.ports) == 2 and ends <= set(plan.routers)


def _bandwidth(plan: Plan, port: Port) -> list[str]:
    """The rate of a shaped link, which FRR cannot see, in Mbit/s."""
    rate = shape_of(plan.links[port.link], port.side).rate_mbps
    return [f" bandwidth {max(1, round(rate))}"] if rate else []


def _areas(plan: Plan, router: str, options: Ospf) -> list[str]:
    found = [options.areas.get(port.name, BACKBONE) for port in plan.ports[router]]
    return list(dict.fromkeys(found))


def _home_area(plan: Plan, router: str, options: Ospf) -> str:
    """The area of a router's own loopback: the backbone if it is attached to it."""
    mine = _areas(plan, router, options)
    return BACKBONE if BACKBONE in mine or not mine else mine[0]


def _header(router: str) -> list[str]:
    return [f"hostname {router}", "!"]


def _segment(plan: Plan, port: Port) -> Segment:
    return next(s for s in plan.segments if port in s.ports)


def _spoken(plan: Plan, router: str) -> list[Port]:
    """Ports of a router that have another router on their segment."""
    routers = set(plan.routers)
    return [
        port
        for port in plan.ports[router]
        if any(p.node in routers and p.node != router for p in _segment(plan, port).ports)
    ]


def _silent(plan: Plan, router: str) -> list[Port]:
    spoken = _spoken(plan, router)
    return [port for port in plan.ports[router] if port not in spoken]


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
