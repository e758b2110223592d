"""DNS answers, forged: how a resolver is made to believe a lie, and what stops it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.plots import spoofing as plots
from testbed import (
    NO_DEFENCE,
    Action,
    AttackExperiment,
    Defence,
    Layer,
    LookUps,
    Outcome,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    claim,
    dns_lookups,
    name_service,
    own_program,
    param,
    pick,
    same,
    sysctl,
    wait,
)
from testbed import steps as exchange
from testbed.daemons import dnssec, start
from testbed.daemons.nsd import Nsd
from testbed.daemons.unbound import ONE_PORT, Unbound
from topologies.nameservers import NameServers

from .forgery import DAY_S, LIE, LIE_TTL_S, NAME, SERVER, TRUTH, WAIT_S, Forgery, delegation

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

SIGNED = "192.0.2.99"
"""An address that n3 changes after it was signed."""

ALTERED, ABSENT, OWN_NAME = "altered.example.org", "nope.example.org", "x.evil.org"
ZONES = {"n1": ".", "n2": "org", "n3": "example.org"}
"""Who serves what; n4's zone is the forging program's."""

SERVERS = (*ZONES, "n4")
ROUTER, FORGERS_LAN = "r1", "r1-eth4"
EVERY = 64
"""Number of forged answers per point of the figure."""

SHOWN = 3
"""Forged answers kept from the flood's beginning and end, in addition to those that hit."""

ATTACKS = {"forged-answers": "forged answers to a resolver's question"}
DEFENCES = {
    NO_DEFENCE: Defence("no defence", None, "fixed_port_is_guessed"),
    "random": Defence("random source ports", Layer.HOST, "random_ports_defend"),
    "signed": Defence("DNSSEC", Layer.CRYPTOGRAPHY, "signatures_defend"),
    "filtered": Defence("check of senders (BCP 38)", Layer.NETWORK, "senders_are_checked_at_home"),
}
"""Each is a scenario, the first one as `fixed`."""

FAULTS = ("none", "random-port", "fixed-port", "no-filter", "no-validation")


class DnsSpoofing(Forgery, AttackExperiment):
    """DNS answers, forged by somebody who does not see the questions.

    n4 serves a zone of its own, which tells it the resolver's port. Then it has the resolver v1 ask
    n3 for a name and sends 65,536 answers in n3's name, one for each message number. If the port
    is fixed, one of them is right; h1 asks afterwards. The other scenarios differ in one thing
    each: v1 takes a random port for each question; v1 checks signatures; r1 lets nothing out of
    n4's LAN that has another sender.

    `faults` break things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; the scenarios vary port, signatures and filter."""

        server_ms: float = param(
            100.0, "one-way delay to n3: the time the forger has", unit="ms", low=80, high=150
        )
        random_port: bool = param(False, "v1 asks from random ports")
        signed: bool = param(False, "zones are signed, v1 checks")
        filtered: bool = param(False, "r1 checks senders of n4's LAN")
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    tables_type = LookUps
    programs = ("nsd", "unbound", "kdig", "getent", "unshare", "ping", *dnssec.PROGRAMS)
    guest_only = True
    attacks, defences = ATTACKS, DEFENCES

    def scenarios(self) -> Mapping[str, Parameters]:
        """The attack, and each of three defences on its own."""
        faults = self.params.faults
        port = "random-port" in faults
        open_to_all = replace(self.params, random_port=False, signed=False, filtered=False)
        return {
            "fixed": replace(open_to_all, random_port=port),
            "random": replace(open_to_all, random_port="fixed-port" not in faults),
            "signed": replace(open_to_all, signed=True),
            "filtered": replace(open_to_all, filtered="no-filter" not in faults),
        }

    # ---- in the network

    def topology(self) -> NameServers:
        """Client and resolver at home; the true server far away, the forger near."""
        return NameServers(delays_ms=(10, 10, self.params.server_ms, 5))

    def run(self, net: RunningNetwork) -> None:
        """The attack, and what a client hears afterwards."""
        p = self.params
        zones, options = self._zones(net), self._port()
        if p.signed:
            zones, anchor = dnssec.sign(net, "n1", zones)
            zones["example.org"] = zones["example.org"].replace(SIGNED, "192.0.2.98")
            if "no-validation" not in p.faults:
                options += ['module-config: "validator iterator"', f"trust-anchor: '{anchor}'"]
        servers = {node: [Nsd({zone: zones[zone]})] for node, zone in ZONES.items()}
        start(net, {**servers, "v1": [Unbound(root=net.address("n1"), options=options)]})
        name_service.use_resolver(net, net.address("v1"))
        name_service.reach(net, "v1", "h1", *SERVERS)
        if p.filtered:
            sysctl(ROUTER, f"net.ipv4.conf.{FORGERS_LAN}.rp_filter", 1)(net)
        net.capture(dns_lookups.CLIENT, dns_lookups.RESOLVER, SERVER)
        exchange.play(net, self._steps(net), quiet_s=2.0)

    def _steps(self, net: RunningNetwork) -> dict[str, Action]:
        resolver = net.address("v1")
        lie = (NAME, net.address("n3"), LIE, str(LIE_TTL_S))
        steps = {
            "forge": own_program("n4", "forge", resolver, OWN_NAME, "ns.example.org", *lie),
            "ask": name_service.look_up(net, "h1", NAME),
            "later": wait(WAIT_S, name_service.ask("h1", resolver, NAME, "A", "+dnssec")),
        }
        checks = {
            "altered": name_service.ask("h1", resolver, ALTERED),
            "absent": name_service.ask("h1", resolver, ABSENT, "A", "+dnssec"),
        }
        return steps | checks if self.params.signed else steps

    def _port(self) -> list[str]:
        """Unbound's options for a single port, where it must have one."""
        port = () if self.params.random_port else ONE_PORT
        return ["trust-anchor-signaling: no", *port]

    def _zones(self, net: RunningNetwork) -> dict[str, str]:
        """Master files."""
        servers = {"n1": "a.root.", "n2": "ns.org.", "n3": "ns.example.org.", "n4": "ns.evil.org."}
        root, org, example, evil = ((name, net.address(n)) for n, name in servers.items())
        below_org = delegation("example.org.", example) | delegation("evil.org.", evil)
        own = {f"{NAME}.": [f"A {TRUTH}"], f"{ALTERED}.": [f"A {SIGNED}"]}
        return {
            ".": name_service.zone(".", root, DAY_S, delegation("org.", org)),
            "org": name_service.zone("org.", org, DAY_S, below_org),
            "example.org": name_service.zone("example.org.", example, 60, own, minimum_s=30),
        }

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and DNS messages without most of the flood, and the flood in numbers."""
        tables = dns_lookups.measure(data, _thinned)
        packets = tables["packets"]
        lies = _is_forged(packets)
        numbers = _numbers(packets[lies])
        packets.loc[lies, "info"] = [f"forged, number {n}: {LIE}" for n in numbers]
        seen = data.packets(dns_lookups.RESOLVER, ("udp_sport", "udp_dport", "payload"))
        forged = seen[_is_forged(seen)]
        some = forged.iloc[::EVERY]
        tables["race"] = pd.DataFrame({"time_s": some["time_s"], "number": _numbers(some)})
        told = exchange.json_logs(data, tables["steps"], "n4-forge").reindex(
            columns=["sent", "port"]
        )
        tables["flood"] = pd.DataFrame(
            [{"sent": told["sent"].max(), "port_learnt": told["port"].max(), "came": len(forged)}]
        )
        return tables

    def outcome(self, tables: Tables, attack: str, defence: str) -> Outcome:
        """Whether h1 hears the lie."""
        scenario = "fixed" if defence == NO_DEFENCE else defence
        heard = LookUps(tables).addresses("ask", scenario=scenario)
        return Outcome.of(LIE in heard)

    # ---- claims

    @claim(
        "DNSSEC stops it whatever the port: the forged answer has the right number and comes "
        "first, but no signature, so the resolver asks again.",
        source="RFC 4033 §3, RFC 4035 §5",
        scenarios=("signed",),
        bears_stall_s=0.002,
    )
    def signatures_defend(self, tables: LookUps) -> Verdict:
        """The same flood, fixed port, signed zones."""
        first = self._first_answers(tables, "signed")
        return self._shown(
            all_of(
                self._lie_is_first(first),
                at_least(
                    len(
                        tables.resolver_queries("forge", question=NAME, type="A", scenario="signed")
                    ),
                    2,
                    unit="queries for the name",
                ),
                same(tables.addresses("ask", scenario="signed"), [TRUTH], "h1 hears"),
            ),
            first,
        )

    @claim(
        "The resolver needs one key, the root's: each zone's parent vouches for the zone's key by "
        "a DS record. A client that asks learns that the data is authentic (AD).",
        source="RFC 4033 §3.1, §5; RFC 4034 §5; RFC 4035 §3.2.3",
        scenarios=("signed",),
    )
    def parents_vouch_for_keys(self, tables: LookUps) -> Verdict:
        """Keys asked for from the root down, DS records in referrals, the flag in h1's answer."""
        asked = tables.resolver_queries("forge", type="DNSKEY", scenario="signed")
        records = tables.of("records", scenario="signed", capture=dns_lookups.RESOLVER, type="DS")
        vouched = pick(
            tables, "forge", dns_lookups.RESOLVER, scenario="signed", frame=set(records["frame"])
        )
        told = tables.client_answers("later", scenario="signed")
        keys = [str(q) or "." for q in asked["question"]]
        return (
            all_of(
                same(keys, [".", "org", "example.org"], "keys asked for"),
                same(set(records["name"]), {"org", "example.org"}, "vouched for"),
                same([bool(f) for f in told["authentic"]], [True], "AD"),
            )
            .because("keys", asked)
            .because("DS records", vouched)
            .because("the answer to h1", told)
        )

    @claim(
        "Data that was changed after it was signed is refused: the client hears SERVFAIL, not the "
        "wrong address.",
        source="RFC 4035 §5.5",
        scenarios=("signed",),
    )
    def altered_data_is_refused(self, tables: LookUps) -> Verdict:
        """n3 serves an address under the signature of another."""
        came = pick(
            tables,
            "altered",
            dns_lookups.RESOLVER,
            scenario="signed",
            table="dns",
            response=True,
            ip_src=address(tables, SERVER, scenario="signed"),
        )
        told = tables.client_answers("altered", scenario="signed")
        return (
            all_of(
                same(set(came["rcode"]), {"NOERROR"}, "n3 says"),
                same(set(told["rcode"]), {"SERVFAIL"}, "h1 hears"),
            )
            .because("n3's answers", came)
            .because("to h1", told)
        )

    @claim(
        "That a name does not exist is signed too, as a gap between two names (NSEC).",
        source="RFC 4034 §4, RFC 4035 §3.1.3.2, §5.4",
        scenarios=("signed",),
    )
    def absence_is_signed(self, tables: LookUps) -> Verdict:
        """The answer to h1: NXDOMAIN, authentic, with records around the gap."""
        told = tables.client_answers("absent", scenario="signed")
        gaps = tables.records("absent", "NSEC", section="authority", scenario="signed")
        return all_of(
            same(set(told["rcode"]), {"NXDOMAIN"}, "h1 hears"),
            same([bool(f) for f in told["authentic"]], [True], "AD"),
            at_least(len(gaps), 1, unit="NSEC records"),
        ).because("to h1", told)

    # ---- what the claims look at

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """The race of forged numbers against the true answer; both outcomes as ladders.

        Figures:
            1_race: Forged answers, one for each message number, race the true answer. One hits
                where the forged numbers cross the number of the question (grey), unless the port is
                wrong.
            2_fixed: The forger knows the port: of 65,536 answers (here the first, the last and the
                one that hits) one is right, long before the true one comes, and h1 gets the lie.
            3_signed: v1 checks signatures: the forged answer hits and proves nothing, so v1 asks
                again, for keys and proofs, until what it has verifies.
        """
        races = {}
        for scenario in dict.fromkeys(tables.of("flood")["scenario"]):
            first = self._first_answers(LookUps(tables), scenario)
            forged = tables["race"][tables["race"]["scenario"] == scenario]
            races[scenario] = (forged, first["asked"], first["true"], first["forged"])
        ladders = {
            name: exchange.ladder(
                tables,
                "forge",
                dns_lookups.RESOLVER,
                scenario=scenario,
                ip_version=4,
                ip_proto=17,
                hosts=("n4", "v1", "n3"),
            )
            for name, scenario in (("2_fixed", "fixed"), ("3_signed", "signed"))
        }
        return {"1_race": plots.races(races), **ladders}


def _is_forged(packets: pd.DataFrame) -> pd.Series[bool]:
    """Answers with authority that end in the lie; neither server nor resolver says it so."""
    end = ipaddress.IPv4Address(LIE).packed
    of_server = packets["udp_sport"].isin([53]) & ~packets["udp_dport"].isin([53])
    lies = [isinstance(p, bytes) and p[-4:] == end and bool(p[2] & 4) for p in packets["payload"]]
    return of_server.astype(bool) & pd.Series(lies, index=packets.index, dtype=bool)


def _asked(packets: pd.DataFrame) -> pd.DataFrame:
    """Questions about the name, with their `id`."""
    labels = NAME.split(".", maxsplit=1)[0].encode()
    found = packets[packets["udp_dport"].isin([53]).astype(bool)]
    found = found[[labels in p for p in found["payload"]]]
    return found.assign(id=_numbers(found))


def _numbers(packets: pd.DataFrame) -> pd.Series[int]:
    numbers = [int.from_bytes(p[:2], "big") for p in packets["payload"]]
    return pd.Series(numbers, index=packets.index, dtype=int)


def _hits(forged: pd.DataFrame, asked: pd.DataFrame) -> pd.Series[bool]:
    """Forged answers with the number and port of a question."""
    wanted = set(zip(asked["id"], asked["udp_sport"], strict=True))
    pairs = zip(_numbers(forged), forged["udp_dport"], strict=True)
    return pd.Series([p in wanted for p in pairs], index=forged.index, dtype=bool)


def _thinned(packets: pd.DataFrame) -> pd.DataFrame:
    """Without the forged answers between the first and the last few that hit nothing."""
    forged = packets[_is_forged(packets)]
    kept = forged[_hits(forged, _asked(packets))].index.union(forged.index[:SHOWN])
    kept = kept.union(forged.index[-SHOWN:])
    return packets.drop(index=forged.index.difference(kept)).reset_index(drop=True)
