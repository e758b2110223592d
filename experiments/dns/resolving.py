"""The walk from the root, and the cache that saves it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from testbed import Experiment, LookUps, Verdict, address, all_of, at_most, claim, near, pick, same

WWW, WWW6 = "192.0.2.80", "2001:db8::80"

SERVERS = ("n1", "n2", "n3", "n4")


class Resolving(Experiment):
    """The walk from the root, and the cache that saves it."""

    @claim(
        "A cold look-up walks down: the stub asks the resolver, the resolver asks the root, then "
        "org's server, then example.org's; each refers it to the next.",
        source="RFC 1034 §5.3.3, §4.3.1",
        bears_stall_s=0.05,
    )
    def walks_from_the_root(self, tables: LookUps) -> Verdict:
        """Queries for the name as the resolver sends them, and who answered with what."""
        asked = tables.resolver_queries("cold", question="www.example.org", type="A")
        told = tables.resolver_answers("cold", question="www.example.org", type="A")
        way = [self._node(tables, a) for a in asked["ip_dst"]]
        referrals = [int(n) for n in told["answers"]]
        return all_of(
            same(way, ["n1", "n2", "n3"], "asked"),
            same(referrals, [0, 0, 1], "answers in each reply"),
            same(tables.addresses("cold"), [WWW], "h1 got"),
        ).because("the walk", pd.concat([asked, told]))

    @claim(
        "The stub desires recursion (RD) and gets it (RA); the resolver asks the servers without: "
        "they answer from what they have (iterative).",
        source="RFC 1034 §4.3.1, §5.3.1; RFC 1035 §4.1.1",
    )
    def recursion_is_for_clients(self, tables: LookUps) -> Verdict:
        """The flags on both sides of the resolver."""
        stub = tables.client_queries("cold")
        back = tables.client_answers("cold")
        asked = tables.resolver_queries("cold")
        told = tables.resolver_answers("cold")
        return (
            all_of(
                _flags(stub, "recursion_desired", True, "RD of the stub"),
                _flags(back, "recursion_available", True, "RA of the resolver"),
                _flags(asked, "recursion_desired", False, "RD of the resolver"),
                _flags(told, "recursion_available", False, "RA of the servers"),
            )
            .because("stub", stub)
            .because("resolver", asked)
        )

    @claim(
        "Only the zone's own server answers with authority (AA); referrals and answers from a "
        "cache are without.",
        source="RFC 1035 §4.1.1, RFC 2181 §5.4.1",
    )
    def authority_is_flagged(self, tables: LookUps) -> Verdict:
        """AA in the answers of n1, n2 and n3, and in those to h1."""
        told = tables.resolver_answers("cold", question="www.example.org", type="A")
        found = {self._node(tables, m.ip_src): bool(m.authoritative) for m in told.itertuples()}
        back = tables.client_answers("cold")
        return all_of(
            same(found, {"n1": False, "n2": False, "n3": True}, "AA"),
            _flags(back, "authoritative", False, "AA of the resolver"),
        ).because("answers", told)

    @claim(
        "A cold look-up takes the sum of the round trips to the servers asked, one after another; "
        "a warm one only that to the resolver.",
        source="arithmetic; RFC 1034 §5.3.3",
        bears_stall_s=0.002,
    )
    def latency_is_the_sum(self, tables: LookUps) -> Verdict:
        """From the stub's first query to its answer."""
        p = self.params
        rtt_ms = {"n1": 2 * p.root_ms, "n2": 2 * p.tld_ms, "n3": 2 * p.auth_ms, "n4": 2 * p.auth_ms}
        way = [self._node(tables, a) for a in tables.resolver_queries("cold")["ip_dst"]]
        cold_ms, warm_ms = (self._latency_ms(tables, s) for s in ("cold", "warm"))
        return all_of(
            near(
                cold_ms, sum(rtt_ms[node] for node in way), rel=0.01, unit=f"ms by {', '.join(way)}"
            ),
            at_most(warm_ms, 0.5, unit="ms warm"),
        ).because("the walk", tables.resolver_queries("cold"))

    @claim(
        "Another look-up within the TTL is answered from the cache, and the TTL is counted down.",
        source="RFC 1034 §3.6, §5.3.3; RFC 1035 §3.2.1",
        bears_stall_s=0.1,
    )
    def cache_counts_down(self, tables: LookUps) -> Verdict:
        """The same look-up some seconds later."""
        asked = tables.resolver_queries("warm")
        first, again = (self._ttl(tables, s) for s in ("cold", "warm"))
        apart_s = _began_s(tables, "warm") - _began_s(tables, "cold")
        return all_of(
            at_most(len(asked), 0, unit="queries by the resolver"),
            near(first, self.params.ttl_s, abs=0, unit="s TTL at first"),
            near(again, self.params.ttl_s - apart_s, abs=1.1, unit="s TTL again"),
        ).because("to and from h1", pick(tables, "warm", "h1-eth0", table="dns"))

    @claim(
        "When the TTL is over the resolver asks again, but only the zone's own server: it still "
        "knows who that is.",
        source="RFC 1034 §5.3.3, RFC 1035 §7.3",
        bears_stall_s=0.05,
    )
    def expired_names_are_asked_again(self, tables: LookUps) -> Verdict:
        """The look-up after the TTL of the address; NS records live longer."""
        asked = tables.resolver_queries("expired", question="www.example.org", type="A")
        way = [self._node(tables, a) for a in asked["ip_dst"]]
        return same(way, ["n3"], "asked").because("queries", asked)

    @claim(
        "That a name does not exist is cached too, for the minimum of the SOA record.",
        source="RFC 2308 §4, §5",
        bears_stall_s=0.05,
    )
    def absence_is_cached(self, tables: LookUps) -> Verdict:
        """NXDOMAIN at once, ten seconds later, and after the negative TTL."""
        counts = {
            s: len(tables.resolver_queries(s, question="nope.example.org"))
            for s in ("absent", "absent-again", "absent-late")
        }
        codes = {code for s in counts for code in tables.client_answers(s)["rcode"]}
        return all_of(
            same(counts, {"absent": 1, "absent-again": 0, "absent-late": 1}, "queries"),
            same(codes, {"NXDOMAIN"}, "h1 hears"),
        ).because("queries", tables.resolver_queries("absent"))

    def _node(self, tables: LookUps, ip: Any) -> str:
        names = {address(tables, f"{node}-eth0"): node for node in SERVERS}
        return names.get(str(ip), str(ip))

    def _latency_ms(self, tables: LookUps, name: str) -> float | None:
        asked = tables.client_queries(name, type="A")
        told = tables.client_answers(name, type="A")
        if asked.empty or told.empty:
            return None
        return float(told["time_s"].iloc[0] - asked["time_s"].iloc[0]) * 1e3

    def _ttl(self, tables: LookUps, name: str) -> float | None:
        found = tables.records(name, "A")
        return float(found["ttl_s"].iloc[0]) if len(found) else None


def _began_s(tables: LookUps, name: str) -> float:
    return float(tables.client_queries(name)["time_s"].min())


def _flags(found: pd.DataFrame, flag: str, wanted: bool, what: str) -> Verdict:
    return same({bool(v) for v in found[flag]}, {wanted}, what)
