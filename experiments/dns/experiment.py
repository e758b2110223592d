"""DNS: from a name to an address, by way of the root; caches, failures, and what a walk costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.plots import exchanges as plots
from testbed import (
    Action,
    LookUps,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    dns_lookups,
    filter_packets,
    holds,
    in_order,
    name_service,
    near,
    param,
    same,
    steps,
    wait,
)
from testbed.daemons import start
from testbed.daemons.nsd import Nsd
from testbed.daemons.unbound import ONE_PORT, Unbound
from topologies.nameservers import NameServers

from .records import Records
from .resolving import SERVERS, WWW, WWW6, Resolving

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

delegation, DAY_S = name_service.delegation, name_service.DAY_S
REVERSE = "2.0.192.in-addr.arpa"
RANDOM_PORTS_AT_LEAST = 0.9
"""Share of queries that must leave from a port of their own."""

MANY = 20
"""Names looked up to see from which ports the resolver asks."""

HALF = 8
"""Names looked up in the zone of which one server is dead; each picks a server at random."""

FAULTS = tuple(
    ("none forwarding no-cache eternal no-tcp fixed-port detour alive adopted bare").split()
)


class Dns(Records, Resolving):
    """DNS: the walk from the stub in h1's libc to the resolver v1, the root, org and example.org.

    h1 looks up a name cold, warm, and after its TTL; a name that is not there; aliases, mail
    servers, addresses backwards and IPv6 addresses; an answer too long for UDP; and names whose
    servers are dead or know nothing of them. The servers are NSD, the resolver is Unbound, the
    stub is the C library's. Each server is at its own distance, so time tells who was asked.

    `faults` break things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        root_ms: float = param(40.0, "one-way delay to the root", unit="ms", low=0.1, high=500)
        tld_ms: float = param(25.0, "one-way delay to org's server", unit="ms", low=0.1, high=500)
        auth_ms: float = param(
            10.0, "one-way delay to example.org's server", unit="ms", low=0.1, high=500
        )
        ttl_s: int = param(60, "time to live of the addresses", unit="s", low=30, high=3600)
        negative_ttl_s: int = param(30, "names that do not exist", unit="s", low=25, high=3600)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    tables_type = LookUps
    programs = ("nsd", "unbound", "kdig", "getent", "unshare", "ping", "nft")

    # ---- in the network

    def topology(self) -> NameServers:
        """Client and resolver at home, servers at their distances."""
        p = self.params
        return NameServers(delays_ms=(p.root_ms, p.tld_ms, p.auth_ms, p.auth_ms))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another."""
        faults = self.params.faults
        zones = self._zones(net)
        servers = {
            node: [Nsd(zones[node])] for node in SERVERS if node != "n4" or "alive" in faults
        }
        start(net, {**servers, "v1": [self._resolver(net)]})
        if "no-tcp" in faults:
            filter_packets("n3", "input", "tcp dport 53 drop")(net)
        if "alive" not in faults:
            filter_packets("n4", "input", "udp dport 53 drop")(net)
        name_service.use_resolver(net, net.address("v1"))
        name_service.reach(net, "v1", "h1", *SERVERS)
        if "detour" in faults:
            for interface in ("r1-eth3", "n3-eth0"):
                net.reshape(interface, replace(net.shape(interface), delay_ms=60))
        net.capture("h1-eth0", "v1-eth0")
        steps.play(net, self._steps(net), quiet_s=1.0)

    def _steps(self, net: RunningNetwork) -> dict[str, Action]:
        p = self.params
        ask = partial(name_service.ask, "h1", net.address("v1"))
        look_up = name_service.look_up(net, "h1", "www.example.org")
        backwards = ".".join(reversed(WWW.split("."))) + ".in-addr.arpa"
        return {
            "cold": look_up,
            "warm": wait(10, look_up),
            "expired": wait(p.ttl_s, look_up),
            "absent": ask("nope.example.org", "A"),
            "absent-again": wait(10, ask("nope.example.org", "A")),
            "absent-late": wait(p.negative_ttl_s, ask("nope.example.org", "A")),
            "alias": ask("alias.example.org", "A"),
            "mail": ask("example.org", "MX"),
            "backwards": ask(backwards, "PTR"),
            "ipv6": ask("www.example.org", "AAAA"),
            "long": ask("long.example.org", "TXT"),
            "dead": ask("www.gone.org", "A"),
            "backup": in_order(*(ask(f"host{i}.half.org", "A") for i in range(HALF))),
            "lame": ask("www.lame.org", "A"),
            "many": in_order(*(ask(f"host{i}.example.org", "A") for i in range(MANY))),
        }

    def _resolver(self, net: RunningNetwork) -> Unbound:
        faults = self.params.faults
        lines = {
            "no-cache": ("cache-max-ttl: 0", "cache-max-negative-ttl: 0"),
            "eternal": (f"cache-min-ttl: {DAY_S // 24}",),
            "fixed-port": ONE_PORT,
        }
        upstream = f'forward-zone:\n  name: "."\n  forward-addr: {net.address("n3")}'
        return Unbound(
            root=net.address("n1"),
            options=[  # Unbound knows by itself that nobody has TEST-NET-1; here somebody has
                f'local-zone: "{REVERSE}." nodefault',
                *(line for fault in faults for line in lines.get(fault, ())),
            ],
            clauses=[upstream] * ("forwarding" in faults),
        )

    def _zones(self, net: RunningNetwork) -> dict[str, dict[str, str]]:
        """Master files of each server's zones."""
        faults, ttl_s = self.params.faults, self.params.ttl_s
        root, org, example, gone, lame = (
            (name, net.address(node))
            for name, node in (
                ("a.root.", "n1"),
                ("ns.org.", "n2"),
                ("ns.example.org.", "n3"),
                ("ns.gone.org.", "n4"),
                ("ns.lame.org.", "n3"),
            )
        )
        below_root = delegation("org.", org) | delegation(f"{REVERSE}.", example)
        below_org = (
            delegation("example.org.", example)
            | delegation("gone.org.", gone)
            | delegation("lame.org.", lame)
            | delegation("half.org.", example, gone)
        )
        half = name_service.zone(
            "half.org.",
            example,
            ttl_s,
            {"half.org.": [f"NS {gone[0]}"], **_hosts("half.org.", HALF)},
        )
        served = {
            "n1": {".": name_service.zone(".", root, DAY_S, below_root)},
            "n2": {"org": name_service.zone("org.", org, DAY_S, below_org)},
            "n3": {
                "example.org": name_service.zone(
                    "example.org.", example, ttl_s, self._own_records(), self.params.negative_ttl_s
                ),
                REVERSE: name_service.zone(f"{REVERSE}.", example, ttl_s, self._backwards()),
                "half.org": half,
            },
            "n4": {
                "gone.org": name_service.zone("gone.org.", gone, ttl_s, _www("gone.org.")),
                "half.org": half,
            },
        }
        if "adopted" in faults:
            served["n3"]["lame.org"] = name_service.zone(
                "lame.org.", lame, ttl_s, _www("lame.org.")
            )
        return served

    def _own_records(self) -> dict[str, list[str]]:
        """Of example.org."""
        plain = _www("example.org.") | _hosts("example.org.", MANY)
        if "bare" in self.params.faults:
            return plain
        return plain | {
            "www.example.org.": [f"A {WWW}", f"AAAA {WWW6}"],
            "mail.example.org.": ["A 192.0.2.25"],
            "alias.example.org.": ["CNAME other.example.org."],
            "other.example.org.": ["CNAME www.example.org."],
            "example.org.": ["MX 10 mail.example.org."],
            "long.example.org.": [" ".join(["TXT", *[f'"{"x" * 200}"'] * 12])],
        }

    def _backwards(self) -> dict[str, list[str]]:
        bare = "bare" in self.params.faults
        return {} if bare else {f"80.{REVERSE}.": ["PTR www.example.org."]}

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets, DNS messages and their records by step."""
        return dns_lookups.measure(data)

    # ---- claims

    @claim(
        "A server that does not answer is asked again, later and later; without another one there "
        "is no address.",
        source="RFC 1035 §4.2.1, §7.2",
        bears_stall_s=0.01,
    )
    def dead_servers_are_asked_again(self, tables: LookUps) -> Verdict:
        """gone.org's only server is silent; h1 asks three times."""
        asked = tables.resolver_queries("dead", ip_dst=address(tables, "n4-eth0"))
        gaps = [float(g) for g in asked["time_s"].diff().dropna()]
        steady = all(later > 0.95 * gap for gap, later in pairwise(gaps))
        return all_of(
            at_least(len(asked), 3, unit="queries to n4"),
            holds(
                bool(gaps) and gaps[-1] > 4 * gaps[0] and steady,
                observed="gaps " + ", ".join(f"{g:.2f}" for g in gaps) + " s",
                expected="growing",
            ),
            same(tables.addresses("dead"), [], "h1 got"),
        ).because("queries", asked)

    @claim(
        "That is why a zone has several servers: if one is dead another answers, at the price of a "
        "timeout.",
        source="RFC 1034 §4.1, §5.3.3; RFC 2182 §3",
        bears_stall_s=0.1,
    )
    def another_server_takes_over(self, tables: LookUps) -> Verdict:
        """Names of half.org, served by n3 and the dead n4: all are found."""
        vain = tables.resolver_queries("backup", ip_dst=address(tables, "n4-eth0"))
        told = tables.resolver_answers("backup", ip_src=address(tables, "n4-eth0"))
        back = tables.client_answers("backup", rcode="NOERROR")
        return (
            all_of(
                at_least(len(vain), 1, unit="queries to n4"),
                at_most(len(told), 0, unit="answers by n4"),
                near(int((back["answers"] > 0).sum()), HALF, abs=0, unit="names found"),
            )
            .because("in vain", vain)
            .because("answers to h1", back)
        )

    @claim(
        "A delegation to a server that does not know the zone is lame: it refuses, and the client "
        "hears SERVFAIL.",
        source="RFC 1912 §2.8, RFC 8499 §7",
    )
    def lame_delegations_fail(self, tables: LookUps) -> Verdict:
        """org says that n3 serves lame.org."""
        told = tables.resolver_answers("lame", ip_src=address(tables, "n3-eth0"))
        codes = set(tables.client_answers("lame")["rcode"])
        return all_of(
            same(set(told["rcode"]), {"REFUSED"}, "n3 says"), same(codes, {"SERVFAIL"}, "h1 hears")
        ).because("n3's answers", told)

    @claim(
        "The resolver sends each query from another port and with another number: a forger who "
        "does not see it must guess both, 32 bits instead of 16.",
        source="RFC 5452 §4.5, §9.1",
    )
    def ports_and_numbers_are_random(self, tables: LookUps) -> Verdict:
        """Many look-ups, one after another."""
        asked = tables.resolver_queries("many")
        asked = asked[asked["ip_dst"] == address(tables, "n3-eth0")]
        count = max(1, len(asked))
        rising = int((asked["id"].diff() == 1).sum())
        return all_of(
            at_least(len(asked), MANY, unit="queries"),
            at_least(
                asked["udp_sport"].nunique() / count, RANDOM_PORTS_AT_LEAST, unit="ports a query"
            ),
            at_least(asked["id"].nunique() / count, RANDOM_PORTS_AT_LEAST, unit="numbers a query"),
            at_most(rising, 1, unit="numbers that follow the one before"),
        ).because("queries", asked)

    # ---- what the claims look at

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """The walk as a ladder, and what each look-up took.

        Figures:
            1_cold: A look-up with nothing in the cache: h1 asks once and waits, v1 walks from the
                root (n1) by org (n2) to example.org (n3).
            2_warm: The same look-up again: v1 answers from its cache, and no other server hears of
                it.
            3_long: An answer too long for UDP comes truncated, and is fetched again by TCP: first
                by v1, then by h1.
            4_latency: How long h1 waits: for the walk from the root (cold), for the cache (warm),
                and for one question to n3 when that record alone has expired.
        """
        look_ups = LookUps(tables)
        took = {s: self._latency_ms(look_ups, s) for s in ("cold", "warm", "expired")}
        return {
            "1_cold": steps.ladder(tables, "cold", "v1-eth0", ip_version=4),
            "2_warm": steps.ladder(tables, "warm", "v1-eth0", ip_version=4),
            "3_long": steps.ladder(tables, "long", "v1-eth0", ip_version=4),
            "4_latency": plots.bars(
                {k: v for k, v in took.items() if v is not None},
                "look-up of www.example.org",
                "ms until the answer",
            ),
        }


def _www(zone: str) -> dict[str, list[str]]:
    return {f"www.{zone}": [f"A {WWW}"]}


def _hosts(zone: str, count: int) -> dict[str, list[str]]:
    return {f"host{i}.{zone}": [f"A 192.0.2.{100 + i}"] for i in range(count)}
