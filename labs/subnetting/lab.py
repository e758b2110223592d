"""The subnetting lab: students divide a block of addresses, and write every route by hand."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import echo, routes
from testbed import (
    Assignment,
    LinkShape,
    SeededRandom,
    Topo,
    Verdict,
    claim,
    holds,
    param,
    programs,
    share_of,
    with_addresses,
)
from testbed.daemons import frr

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData, Tables

ROUTERS = ("r1", "r2", "r3")
LANS = {
    "A": ("r1-eth0", "h1"),
    "B": ("r2-eth0", "h2"),
    "C": ("r3-eth0", "h3"),
    "D": ("r3-eth1", "h4"),
}
"""LAN → its router's interface and its host."""

CABLES = {"r1-r2": ("r1-eth1", "r2-eth1"), "r2-r3": ("r2-eth2", "r3-eth2")}
UPLINK, PROVIDER = "r2-eth3", "isp"
OUTSIDE = "192.0.2.1"
"""A host of the Internet (RFC 5737); here the provider answers for it."""

STARTED_S = 3.0
"""By then routers have read their files."""

FILTER = "icmp"
_MOST_ROWS = 50


class Company(Topo):
    """Three routers in a row, four LANs, and a provider.

    ::

                    isp
                     │
        h1 ─ r1 ──── r2 ──── r3 ─ h3
                     │        └── h4
                     h2

    | interface | leads to |
    | --- | --- |
    | r1-eth0, r1-eth1 | h1, r2 |
    | r2-eth0, r2-eth1, r2-eth2, r2-eth3 | h2, r1, r3, isp |
    | r3-eth0, r3-eth1, r3-eth2 | h3, h4, r2 |
    """

    def build(self, **_: Any) -> None:
        """Builds the graph."""
        r1, r2, r3, isp = (self.addRouter(name) for name in (*ROUTERS, PROVIDER))
        shape = LinkShape(delay_ms=1)
        for router, host in ((r1, "h1"), (r2, "h2"), (r3, "h3"), (r3, "h4")):
            self.addLink(router, self.addHost(host))
        self.addLink(r1, r2, shape=shape)
        self.addLink(r2, r3, shape=shape)
        self.addLink(r2, isp, shape=shape)


class Lab(Assignment):
    """Subnets of one block, and static routes between them."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        block: str = param("10.20.4.0/22", "address block given to the company")
        hosts: tuple[int, ...] = param(
            (400, 126, 100, 50), "hosts of LAN A, B, C, D", low=2, high=1022
        )
        uplink: int = param(5, "which /30 of 203.0.113.0/24 leads to the provider", low=0, high=63)
        question: str = param("10.9.77.200/21", "address and prefix of the first question")
        target: str = param("10.77.10.140", "destination of the second question")
        prefixes: tuple[str, ...] = param(
            ("10.77.0.0/16", "10.77.8.0/22", "10.77.8.0/25", "0.0.0.0/0"),
            "destinations of the second question's table; the second is the answer",
        )
        vias: tuple[str, ...] = param(("r5", "r6", "r7", "r8"), "next hops of that table")

    params: Parameters
    routing = None
    programs = ("ip", *frr.PROGRAMS)

    @classmethod
    def variant(cls, random: SeededRandom) -> dict[str, Any]:
        """A block, the LANs' sizes, and two questions.

        LAN B has as many hosts as a prefix has addresses for them, so that its router makes it
        need the next larger one.
        """
        length = random.choice((22, 23, 24))
        bits = [32 - length - 1 - i for i in range(4)]
        tight = 2 ** (bits[1] - 1) - 2
        roomy = [random.integer(2 ** (b - 1), 2**b - 4) for b in (bits[0], *bits[2:])]
        first, *others = random.shuffled(roomy)
        second, third = random.integer(1, 250), 8 * random.integer(1, 30)
        asked = (
            random.integer(1, 250),
            4 * random.integer(16, 62) + random.integer(1, 2),
            random.integer(1, 250),
            random.integer(18, 22),
        )
        return {
            "block": f"10.{random.integer(1, 250)}.{4 * random.integer(1, 60)}.0/{length}",
            "hosts": (first, tight, *others),
            "uplink": random.integer(0, 63),
            "question": "10.{}.{}.{}/{}".format(*asked),
            "target": f"10.{second}.{third + random.integer(1, 3)}.{random.integer(1, 250)}",
            "prefixes": (
                f"10.{second}.0.0/16",
                f"10.{second}.{third}.0/22",
                f"10.{second}.{third}.0/25",
                "0.0.0.0/0",
            ),
            "vias": tuple(random.shuffled(("r5", "r6", "r7", "r8"))),
        }

    # ---- the variant, for handout and solution

    def size(self, lan: str) -> int:
        """How many hosts a LAN has; its router comes on top."""
        return self.params.hosts[sorted(LANS).index(lan)]

    def prefix_length(self, lan: str) -> int:
        """Of the smallest prefix with room for a LAN's hosts and its router."""
        needed = self.size(lan) + 1 + 2  # the router; network and broadcast address
        return 32 - (needed - 1).bit_length()

    def uplink(self, end: int) -> str:
        """The address of r2 (1) or the provider (2) on the uplink."""
        return f"203.0.113.{4 * self.params.uplink + end}/30"

    # ---- in the network

    def topology(self) -> Company:
        """The company; only the uplink's addresses are given."""
        return with_addresses(Company(), {UPLINK: self.uplink(1), "isp-eth0": self.uplink(2)})

    def run(self, net: RunningNetwork) -> None:
        """Gives everybody the student's addresses and routes, and tries who reaches whom."""
        net.watch("routes")
        net.capture(*(f"{host}-eth0" for _, host in LANS.values()), UPLINK, filter=FILTER)
        self._clear(net)
        hosts = self.given_hosts()
        for host, (address, gateway) in hosts.items():
            _ip(
                net, host, f"addr add {address} dev {host}-eth0", f"route add default via {gateway}"
            )
        self.submission.start_frr(net, {router: f"{router}.conf" for router in ROUTERS})
        net.sleep_until(STARTED_S)
        for router in ROUTERS:
            net.exec(router, "ip", "-4", "-j", "addr", log=f"addresses-{router}")
        net.event("settled")
        targets = sorted({str(address.ip) for address, _ in hosts.values()})
        asking = [
            net.start(host, *programs.argv("reach", "2", *targets, OUTSIDE)) for host in hosts
        ]
        for process in asking:
            process.wait(timeout_s=30)
        unused = self._unused(net)
        net.event("unused", address=unused)
        if "h1" in hosts and unused:
            net.start("h1", *programs.argv("reach", "0.5", unused)).wait(timeout_s=30)

    def _clear(self, net: RunningNetwork) -> None:
        """Takes away the plan's addresses, and has the provider answer for the Internet."""
        inside = [name for name, _ in LANS.values()] + [
            end for ends in CABLES.values() for end in ends
        ]
        for router in ROUTERS:
            _ip(net, router, *(f"addr flush dev {n}" for n in inside if n.startswith(router)))
        for _, host in LANS.values():
            _ip(net, host, f"addr flush dev {host}-eth0")
        route = f"{self.params.block} via {self.uplink(1).split('/')[0]}"
        _ip(net, PROVIDER, f"addr add {OUTSIDE}/32 dev lo", f"route add {route}")

    def given_hosts(self) -> dict[str, tuple[IPv4Interface, str]]:
        """The rows of hosts.csv that make sense: host → address and gateway."""
        found = {}
        for host, row in self._rows().items():
            with suppress(ValueError, IndexError):
                found[host] = (IPv4Interface(row[1]), str(IPv4Address(row[2])))
        return found

    def _rows(self) -> dict[str, list[str]]:
        """hosts.csv: host → its fields."""
        lines = self.submission.text("hosts.csv").splitlines()[:_MOST_ROWS]
        hosts = {host for _, host in LANS.values()}
        rows = [[field.strip() for field in line.split(",")] for line in lines]
        return {row[0]: row for row in rows if row[0] in hosts}

    def _unused(self, net: RunningNetwork) -> str:
        """The block's last address that is in no router's network; empty if there is none."""
        logs = [(net.path / "logs" / f"addresses-{router}.log").read_text() for router in ROUTERS]
        taken = [IPv4Network(row["prefix"]) for log in logs for row in _addresses(log)]
        block = reversed(list(IPv4Network(self.params.block)))
        return next((str(a) for a in block if not any(a in network for network in taken)), "")

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Addresses, the routers' static routes, pings, and what went up to the provider."""
        found = [
            {"node": router, **row}
            for router in ROUTERS
            for row in _addresses(data.log(f"addresses-{router}"))
        ]
        asked = []
        for host, (address, _) in self.given_hosts().items():
            packets = data.packets(f"{host}-eth0", echo.COLUMNS)
            pings = echo.pings(packets, str(address.ip))
            asked.append(pings.assign(host=host, capture=f"{host}-eth0"))
        settled_s = data.moment("settled")
        columns = ["host", "capture", "ip_dst", "rtt_ms"]
        return {
            "addresses": pd.DataFrame(found, columns=["node", "interface", "address", "prefix"]),
            "routes": routes.table_at(data.notices("routes"), settled_s).drop(columns="hops"),
            "pings": pd.concat(asked) if asked else pd.DataFrame(columns=columns),
            "up": data.packets(UPLINK, [*echo.COLUMNS, "ip_ttl"]).assign(capture=UPLINK),
            "unused": data.events("unused")[["address"]],
        }

    # ---- public checks

    @claim(
        "Each LAN has the smallest prefix of the block with room for its hosts and its router, "
        "and both have addresses in it.",
        source="RFC 4632 §3.1",
        scenarios=("main",),
    )
    def lans_fit(self, tables: Tables) -> Verdict:
        """The router's address as it has it, the host's as it was given."""
        return share_of([self._lan_fits(tables, lan) for lan in sorted(LANS)])

    def _lan_fits(self, tables: Tables, lan: str) -> Verdict:
        interface, host = LANS[lan]
        length = self.prefix_length(lan)
        router, given = self.own(tables, interface), self.given_hosts().get(host)
        expected = f"LAN {lan}: {interface} and {host} in a /{length} of {self.params.block}"
        if router is None or given is None:
            missing = interface if router is None else host
            return holds(False, observed=f"LAN {lan}: {missing} has no address", expected=expected)
        near, far = router.network, given[0].network
        good = (
            near == far
            and near.prefixlen == length
            and router.ip != given[0].ip
            and near.subnet_of(IPv4Network(self.params.block))
            and all(_is_usable(address) for address in (router, given[0]))
        )
        return holds(good, observed=f"LAN {lan}: {router}, {given[0]}", expected=expected)

    @claim(
        "Each cable between routers has a /30 (or /31) of the block.",
        source="RFC 3021",
        scenarios=("main",),
    )
    def cables_fit(self, tables: Tables) -> Verdict:
        """Both ends' addresses."""
        cases = []
        for name, ends in CABLES.items():
            one, two = (self.own(tables, end) for end in ends)
            good = (
                one is not None
                and two is not None
                and one.network == two.network
                and one.ip != two.ip
                and one.network.prefixlen in (30, 31)
                and one.network.subnet_of(IPv4Network(self.params.block))
                and _is_usable(one)
                and _is_usable(two)
            )
            cases.append(
                holds(
                    good,
                    observed=f"{name}: {one or 'none'}, {two or 'none'}",
                    expected=f"{name}: two addresses of one /30",
                )
            )
        return share_of(cases)

    @claim("No two networks overlap.", source="RFC 4632 §3.1", scenarios=("main",))
    def nothing_overlaps(self, tables: Tables) -> Verdict:
        """The networks of the four LANs and the two cables, at one router each."""
        names = {f"LAN {lan}": end for lan, (end, _) in LANS.items()}
        names |= {name: ends[0] for name, ends in CABLES.items()}
        found = {name: self.own(tables, end) for name, end in names.items()}
        missing = [name for name, own in found.items() if own is None]
        if missing:
            return holds(
                False, observed=f"no address: {', '.join(missing)}", expected="six networks"
            )
        nets = {name: own.network for name, own in found.items() if own is not None}
        clashes = [
            f"{a} {nets[a]} and {b} {nets[b]}"
            for a, b in combinations(nets, 2)
            if nets[a].overlaps(nets[b])
        ]
        return holds(
            not clashes, observed="; ".join(clashes) or "none overlap", expected="none overlap"
        )

    @claim("The hosts of all LANs reach one another.", source="RFC 1812 §5.2", scenarios=("main",))
    def hosts_reach_one_another(self, tables: Tables) -> Verdict:
        """Each of the six pairs, both ways."""
        cases = []
        hosts = self.given_hosts()
        for one, two in combinations(sorted(host for _, host in LANS.values()), 2):
            lost = [
                f"{a} to {b}"
                for a, b in ((one, two), (two, one))
                if b not in hosts or not self.reached(tables, a, str(hosts[b][0].ip))
            ]
            cases.append(
                holds(
                    not lost,
                    observed=f"no answer: {', '.join(lost)}"
                    if lost
                    else f"{one} and {two}: answers both ways",
                    expected=f"{one} and {two}: answers both ways",
                )
            )
        return share_of(cases)

    @claim("Every host reaches the Internet.", source="RFC 1812 §5.2", scenarios=("main",))
    def internet_is_reached(self, tables: Tables) -> Verdict:
        """Pings to an address of the provider's."""
        return share_of(
            [
                holds(
                    good := self.reached(tables, host, OUTSIDE),
                    observed=f"{host}: {'an' if good else 'no'} answer from {OUTSIDE}",
                    expected=f"{host}: an answer from {OUTSIDE}",
                )
                for _, host in LANS.values()
            ]
        )

    # ---- what checks look at

    def own(self, tables: Tables, interface: str) -> IPv4Interface | None:
        """The address of a router's interface, if it has exactly one."""
        found = tables.rows("addresses", interface=interface)["address"]
        return IPv4Interface(found.iloc[0]) if len(found) == 1 else None

    def reached(self, tables: Tables, host: str, address: str) -> bool:
        """Whether a host got an answer from an address."""
        asked = tables.rows("pings", host=host, ip_dst=address)
        return bool(asked["rtt_ms"].notna().any())


def _is_usable(address: IPv4Interface) -> bool:
    """Neither the network's own address nor its broadcast address."""
    network = address.network
    return network.prefixlen >= 31 or address.ip not in (network[0], network[-1])


def _addresses(log: str) -> list[dict[str, str]]:
    """What ``ip -j addr`` said of a router's inner interfaces."""
    found = []
    for interface in json.loads(log):
        for own in interface["addr_info"]:
            address = IPv4Interface(f"{own['local']}/{own['prefixlen']}")
            if interface["ifname"] not in ("lo", UPLINK):
                row = {"address": str(address), "prefix": str(address.network)}
                found.append({"interface": interface["ifname"], **row})
    return found


def _ip(net: RunningNetwork, node: str, *lines: str) -> None:
    """Commands of ip; one that fails (a gateway out of reach, say) leaves the others alone."""
    path = net.path / f"{node}.ip"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    net.start(node, "ip", "-4", "-force", "-batch", str(path)).wait(timeout_s=30)
