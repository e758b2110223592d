"""Address planning: from a topology's graph to a table, without running anything.

The plan for topologies with routers:

| what | IPv4 | IPv6 |
| --- | --- | --- |
| LAN number k (a segment with a host) | 10.0.k.0/24 | fd00:0:0:k::/64 |
| transit number k (a segment of routers only) | 172.16.0.0/12, the k-th /30 | fd00:0:1:k::/64 |
| loopback of router number i | 192.168.0.i/32 (on to 192.168.255.255) | fd00:0:2::i/128 |

Numbers count from 1 in the order of Mininet's natural sort (h2 before h10). In a LAN routers come
first (.1 is the gateway), hosts follow from .11; in a transit .1 and .2. A LAN of more than 240
interfaces takes a larger, aligned block. Any address that a topology sets itself (``ip=`` on a
node, ``params1={'ip': ...}`` on a link) wins, and fixes the prefix of its segment.

``planned=False`` makes a topology, node or link step out of the plan: it has exactly the addresses
that the topology gives (`testbed.net.given`), with no planned prefix, no loopback and no IPv6. A
host beside such a router takes its addresses from the router's prefix.

A topology without routers is addressed as Mininet does it (10.0.0.1/8, 10.0.0.2/8, ... on each
host's first interface, or from another base) plus fd00::1/64, fd00::2/64, ...
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from testbed.core.errors import ConfigError
from testbed.net import given as from_topology
from testbed.net.given import NOTHING, V4, V6, Given, parse_address, parse_address6
from testbed.net.tclink import shape_of

LAN_BASE = ipaddress.IPv4Network("10.0.0.0/8")
TRANSIT_BASE = ipaddress.IPv4Network("172.16.0.0/12")
LOOPBACK_BASE = ipaddress.IPv4Network("192.168.0.0/16")
IPV6_MTU_MIN_BYTES = 1280
_FIRST_HOST = 11
_HOST_ROOM = 16  # addresses that a LAN keeps free besides those of its interfaces
_OWN_PREFIX_BITS = 32  # an address of this length says nothing about its neighbours'


@dataclass(slots=True)
class Port:
    """An interface in the plan.

    Attributes:
        node: its node's name.
        name: its own, e.g. ``h1-eth0``.
        link: index of its link in `Plan.links`.
        side: 1 or 2, its end of the link.
        mac: its MAC address.
        ipv4: its address with prefix length, or None.
        ipv6: the same for IPv6.
        given: the addresses that the topology gave.
        more: further addresses, of either version.
    """

    node: str
    name: str
    link: int
    side: int
    mac: str
    given: Given = NOTHING
    ipv4: V4 | None = None
    ipv6: V6 | None = None
    more: tuple[V4 | V6, ...] = ()

    @property
    def addresses(self) -> tuple[V4 | V6, ...]:
        """All its addresses."""
        return (*(a for a in (self.ipv4, self.ipv6) if a), *self.more)


@dataclass(slots=True)
class Segment:
    """A broadcast domain: links joined by switches, and the ports of hosts and routers on it.

    Attributes:
        ports: in the order of addresses: routers, then hosts.
        ipv4: its prefix.
        ipv6: its prefix; None where packets of 1280 bytes do not fit.
    """

    ports: list[Port] = field(default_factory=list)
    ipv4: ipaddress.IPv4Network | None = None
    ipv6: ipaddress.IPv6Network | None = None


@dataclass(slots=True)
class Plan:
    """The plan of one topology.

    Attributes:
        links: Mininet's link data in the order links are built.
        ports: of each node, in the order of links.
        segments: in the order of their first link.
        routers: names.
        loopbacks: router → its loopback's addresses; no entry: it has none.
        nat: interfaces behind which everything uses its router's address (``nat=`` of a router).
    """

    links: list[dict[str, Any]]
    ports: dict[str, list[Port]]
    segments: list[Segment] = field(default_factory=list)
    routers: list[str] = field(default_factory=list)
    loopbacks: dict[str, tuple[V4 | V6, ...]] = field(default_factory=dict)
    nat: set[str] = field(default_factory=set)

    def loopback(self, router: str, version: int = 4) -> V4 | V6 | None:
        """A router's first loopback address of an IP version; None: it has none."""
        found = self.loopbacks.get(router, ())
        return next((address for address in found if address.version == version), None)

    def first_port(self, node: str) -> Port | None:
        """The port with a node's lowest number; None for a node without links."""
        ports = self.ports.get(node, [])
        return min(ports, key=lambda p: int(self.links[p.link][f"port{p.side}"]), default=None)

    def port(self, link: int, side: int) -> Port:
        """The port at one side of a link."""
        node = self.links[link][f"node{side}"]
        return next(p for p in self.ports[node] if (p.link, p.side) == (link, side))


def interface_name(node: str, port: int) -> str:
    """Mininet's rule: ``h1-eth0``."""
    return f"{node}-eth{port}"


def mac_of(link: int, side: int) -> str:
    """One of our MACs (locally administered): link number and side, never random."""
    return (bytes([2, side]) + (link + 1).to_bytes(4, "big")).hex(":")


def make_plan(topo: Any) -> Plan:
    """Names, MACs, segments and addresses of everything in a Mininet `Topo`.

    Raises:
        ConfigError: addresses conflict or do not suffice; names both places.
    """
    links = [info for *_, info in topo.links(sort=True, withInfo=True)]
    switches = set(topo.switches())
    ports: dict[str, list[Port]] = {n: [] for n in topo.nodes()}
    for index, info in enumerate(links):
        for side in (1, 2):
            node = info[f"node{side}"]
            name = info.get(f"intfName{side}") or interface_name(node, info[f"port{side}"])
            mac = info.get(f"addr{side}") or mac_of(index, side)
            given = from_topology.of_interface(topo, info, side, topo.nodeInfo(node), name)
            ports[node].append(Port(node, name, index, side, mac, given))
    plan = Plan(links, ports)
    plan.routers = [n for n in topo.hosts() if topo.nodeInfo(n).get("isRouter")]
    plan.nat = {topo.nodeInfo(r)["nat"] for r in plan.routers if topo.nodeInfo(r).get("nat")}
    unknown = plan.nat - {port.name for router in plan.routers for port in ports[router]}
    if unknown:
        raise ConfigError(f"router nat: no such interface: {', '.join(sorted(unknown))}")
    plan.segments = _segments(plan, switches)
    _give_node_addresses(plan, topo)
    if plan.routers:
        _address(plan, topo)
    else:
        for segment in plan.segments:
            _refuse_twice(segment)
            _take_others(segment)
    return plan


def _refuse_twice(segment: Segment) -> None:
    """Refuse an address given to two interfaces on one network."""
    owner: dict[ipaddress.IPv4Address, str] = {}
    for port in segment.ports:
        if port.given.ipv4:
            address = parse_address(port.given.ipv4, port.name).ip
            if address in owner:
                raise ConfigError(
                    f"{port.name}: address {address} belongs to {owner[address]}; give another"
                )
            owner[address] = port.name


def _segments(plan: Plan, switches: set[str]) -> list[Segment]:
    """Join links that share a switch; number segments by their first link."""
    leader = list(range(len(plan.links)))

    def find(link: int) -> int:
        while leader[link] != link:
            leader[link] = leader[leader[link]]
            link = leader[link]
        return link

    for switch in switches:
        for one, two in itertools.pairwise(plan.ports[switch]):
            low, high = sorted((find(one.link), find(two.link)))
            leader[high] = low
    found: dict[int, Segment] = {}
    for index, info in enumerate(plan.links):
        segment = found.setdefault(find(index), Segment())
        for side in (1, 2):
            if info[f"node{side}"] not in switches:
                segment.ports.append(plan.port(index, side))
    routers = set(plan.routers)
    for segment in found.values():
        segment.ports.sort(key=lambda port: port.node not in routers)  # stable: routers first
    return list(found.values())


def _give_node_addresses(plan: Plan, topo: Any) -> None:
    """``ip=`` of a host or router is the address of its first interface, as in Mininet."""
    for node in topo.hosts():
        first = plan.first_port(node)
        if first:
            first.given = from_topology.with_node(first.given, topo.nodeInfo(node), node)


def _take_others(segment: Segment) -> None:
    """The addresses that a topology gave besides the IPv4 address."""
    for port in segment.ports:
        port.more = port.given.more
        if port.given.ipv6:
            port.ipv6 = parse_address6(port.given.ipv6, port.name)
            segment.ipv6 = segment.ipv6 or port.ipv6.network


def _address(plan: Plan, topo: Any) -> None:
    routers = set(plan.routers)
    taken: list[tuple[ipaddress.IPv4Network, str]] = []
    for segment in plan.segments:
        _take_others(segment)
        _take_given(segment, taken)
    lan_blocks, transit_blocks = _blocks(LAN_BASE, 256), _blocks(TRANSIT_BASE, 4)
    next(lan_blocks)  # LANs count from 10.0.1.0
    numbers = {True: itertools.count(1), False: itertools.count(1)}
    for segment in plan.segments:
        if not segment.ports:
            continue
        is_lan = any(port.node not in routers for port in segment.ports)
        number = next(numbers[is_lan])
        if not all(port.given.planned for port in segment.ports):
            _fill(segment, routers, is_lan)
            continue
        if segment.ipv6 is None and _carries_ipv6(plan, segment):
            segment.ipv6 = ipaddress.IPv6Network(f"fd00:0:{0 if is_lan else 1}:{number:x}::/64")
        if segment.ipv4 is None:
            blocks = lan_blocks if is_lan else transit_blocks
            segment.ipv4 = _free(segment, blocks, is_lan, taken)
        _fill(segment, routers, is_lan)
    loopbacks = _free_loopbacks(taken)
    for number, router in enumerate(plan.routers, 1):
        given = from_topology.loopback(topo, router)
        if given is None:
            address = next(loopbacks, None)
            if address is None:
                raise ConfigError(f"router {router}: {LOOPBACK_BASE} has no loopback address left")
            given = (V4(f"{address}/32"), V6(f"fd00:0:2::{number:x}/128"))
        if given:
            plan.loopbacks[router] = given


def _free_loopbacks(
    taken: list[tuple[ipaddress.IPv4Network, str]],
) -> Iterator[ipaddress.IPv4Address]:
    """Loopback addresses that lie in no network's prefix, as a topology may set prefixes."""
    within = [network for network, _ in taken if network.overlaps(LOOPBACK_BASE)]
    return (a for a in LOOPBACK_BASE.hosts() if not any(a in network for network in within))


def _carries_ipv6(plan: Plan, segment: Segment) -> bool:
    """Whether all its hosts' and routers' links carry packets of 1280 bytes (RFC 8200 §5)."""
    infos = [plan.links[port.link] for port in segment.ports]
    shapes = (shape_of(info, side) for info in infos for side in (1, 2))
    return all(shape.mtu_bytes >= IPV6_MTU_MIN_BYTES for shape in shapes)


def _take_given(segment: Segment, taken: list[tuple[ipaddress.IPv4Network, str]]) -> None:
    """Prefix of a segment from the addresses its topology gave."""
    owner: dict[ipaddress.IPv4Address, Port] = {}
    first: Port | None = None
    for port in segment.ports:
        if not port.given.ipv4:
            continue
        port.ipv4 = parse_address(port.given.ipv4, port.name)
        if port.ipv4.ip in owner:
            other = owner[port.ipv4.ip].name
            raise ConfigError(
                f"{port.name}: address {port.ipv4.ip} belongs to {other}; give another"
            )
        owner[port.ipv4.ip] = port
        if port.ipv4.network.prefixlen == _OWN_PREFIX_BITS:
            continue
        planned = port.given.planned and (first is None or first.given.planned)
        if planned and first and first.ipv4 and port.ipv4.network != first.ipv4.network:
            raise ConfigError(
                f"{port.name}: {port.ipv4} is not in {first.ipv4.network}, "
                f"the network of {first.name} on the same LAN"
            )
        first = first or port
    if first and first.ipv4:
        segment.ipv4 = first.ipv4.network
        for network, name in taken:
            if network.overlaps(segment.ipv4) and first.given.planned:
                raise ConfigError(
                    f"{first.name}: {segment.ipv4} overlaps {network} of {name}; "
                    "give every LAN and link a prefix of its own"
                )
        taken.append((segment.ipv4, first.name))


def number_as_mininet(plan: Plan, topo: Any) -> None:
    """Put the addresses of Mininet's numbering into a plan without routers."""
    for number, node in enumerate(topo.hosts(), 1):
        own = plan.first_port(node)
        for port in plan.ports[node]:
            if port.given.ipv4:
                port.ipv4 = parse_address(port.given.ipv4, port.name)
        if own is not None and own.given.planned:
            numbered = f"{LAN_BASE[number]}/{LAN_BASE.prefixlen}"
            own.ipv4 = own.ipv4 or parse_address(numbered, own.name)
            host = int(own.ipv4.ip) & int(own.ipv4.network.hostmask)
            own.ipv6 = own.ipv6 or V6((int(V6("fd00::/64").ip) + host, 64))


def _blocks(base: ipaddress.IPv4Network, step: int) -> Iterator[ipaddress.IPv4Address]:
    start = int(base.network_address)
    for offset in range(0, base.num_addresses, step):
        yield ipaddress.IPv4Address(start + offset)


def _free(
    segment: Segment,
    blocks: Iterator[ipaddress.IPv4Address],
    is_lan: bool,
    taken: list[tuple[ipaddress.IPv4Network, str]],
) -> ipaddress.IPv4Network:
    """The next prefix that fits the segment and overlaps nothing given."""
    need = len(segment.ports) + (_HOST_ROOM if is_lan else 2)
    length = min(24 if is_lan else 30, 32 - (need - 1).bit_length())
    for start in blocks:
        network = ipaddress.IPv4Network((start, length), strict=False)
        if network.network_address != start:
            continue
        if any(network.overlaps(other) for other, _ in taken):
            continue
        taken.append((network, segment.ports[0].name))
        return network
    base = LAN_BASE if is_lan else TRANSIT_BASE
    raise ConfigError(f"{segment.ports[0].name}: {base} has no /{length} left for its network")


def _fill(segment: Segment, routers: Iterable[str], is_lan: bool) -> None:
    """Assigns addresses from the segment's prefixes to the ports that have none.

    Routers come first, hosts from .11; the host part of an IPv6 address is that of the IPv4 one.
    """
    used = {a.ip for port in segment.ports for a in port.addresses}
    free = {kind: _free_addresses(segment, used, is_lan and not kind) for kind in (True, False)}
    for place, port in enumerate(segment.ports):
        if not port.given.planned:
            continue
        if segment.ipv4 and port.ipv4 is None:
            address = next(free[port.node in routers], None)
            if address is None:
                raise ConfigError(
                    f"{port.name}: {segment.ipv4} has no address left for it; "
                    f"{segment.ports[0].name} is on the same network: give it a larger one"
                )
            port.ipv4 = V4((address, segment.ipv4.prefixlen))
            used.add(address)
        if segment.ipv6 and port.ipv6 is None:
            suffix = _host_part(segment, port, place)
            while segment.ipv6[suffix] in used:
                suffix += 1
            port.ipv6 = V6((segment.ipv6[suffix], segment.ipv6.prefixlen))
            used.add(port.ipv6.ip)


def _free_addresses(segment: Segment, used: Collection[Any], far: bool) -> Iterator[Any]:
    """IPv4 addresses of a segment that nobody has, in order; `far`: those of hosts on a LAN."""
    if segment.ipv4 is None:
        return
    last = segment.ipv4.num_addresses - (1 if segment.ipv4.prefixlen < 31 else 0)
    start = _FIRST_HOST if far and last > _FIRST_HOST + len(segment.ports) else 1
    yield from (segment.ipv4[n] for n in range(start, last) if segment.ipv4[n] not in used)


def _host_part(segment: Segment, port: Port, place: int) -> int:
    """That of its IPv4 address; of an interface without one, its place on the segment."""
    if not (port.ipv4 and segment.ipv4 and port.ipv4.ip in segment.ipv4):
        return place + 1
    offset = int(port.ipv4.ip) - int(segment.ipv4.network_address)
    return offset + (segment.ipv4.prefixlen > 30)  # a /31 begins at 0, which means any router
