"""Claims on traceroute in its three forms; the second part of `icmp`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis import traceroute
from testbed import Experiment, Verdict, address, all_of, claim, near, pick, same

if TYPE_CHECKING:
    import pandas as pd

    from testbed import Tables

ECHO_REPLY, UNREACHABLE, ECHO_REQUEST, TIME_EXCEEDED = 0, 3, 8, 11
"""ICMP types (RFC 792)."""

NO_PORT = 3
"""Code of destination unreachable (RFC 792)."""

UDP, TCP = 17, 6
TRACEROUTE_PORT = 33_434
"""First destination port of a UDP traceroute; nobody should listen there."""


class Traceroutes(Experiment):
    """The walk along the path, by UDP, ICMP and TCP."""

    @claim(
        "A router that lowers a TTL to 0 drops the packet and sends time exceeded (type 11 code "
        "0): probes with TTL 1, 2, 3 … name the routers in order.",
        source="RFC 792 p. 6, RFC 1812 §5.3.1; RFC 2151 §3.4",
    )
    def traceroute_names_the_routers(self, tables: Tables) -> Verdict:
        """All three forms of traceroute, each router once and in its place."""
        route = self._route(tables)
        verdicts = []
        for form in ("udp", "icmp", "tcp"):
            walk = self._walk(tables, form)
            expired = walk[walk["answer"] == f"{TIME_EXCEEDED}/0"]
            found = [(f"TTL {row.ttl}", row.by) for row in expired.itertuples()]
            wanted = [(f"TTL {ttl}", by) for ttl, by in enumerate(route[:-1], 1)]
            verdict = same(found, wanted, form)
            verdicts.append(
                verdict.because(f"{form} probes and answers", self._probes(tables, form))
            )
        return all_of(*verdicts)

    @claim("A packet whose TTL ends at a router is not seen behind it.", source="RFC 1812 §5.3.1")
    def expired_packets_go_no_further(self, tables: Tables) -> Verdict:
        """The first probe of each traceroute leaves h1 and never reaches r2."""
        probes: dict[str, dict[str, Any]] = {
            "udp": {"ip_proto": UDP},
            "icmp": {"icmp_type": ECHO_REQUEST},
            "tcp": {"ip_proto": TCP},
        }
        source = address(tables, "h1-eth0")
        verdicts = []
        for form, kind in probes.items():
            name = f"traceroute-{form}"
            sent = pick(tables, name, "h1-eth0", ip_src=source, **kind)
            passed = pick(tables, name, "r2-eth0", ip_src=source, **kind)
            # with one probe a hop, all but the first pass r1
            verdicts.append(
                near(len(sent) - len(passed), 1, abs=0, unit=f"{form} probe ended at r1").because(
                    "the probe with TTL 1", sent[sent["ip_ttl"] == 1]
                )
            )
        return all_of(*verdicts)

    @claim(
        "A UDP traceroute ends with port unreachable (type 3 code 3): its probes go to ports from "
        "33434 on, where nobody listens.",
        source="RFC 2151 §3.4, RFC 1122 §3.2.2.1",
    )
    def udp_traceroute_ends_at_a_closed_port(self, tables: Tables) -> Verdict:
        """The last answer, and the probes' ports."""
        sent = pick(tables, "traceroute-udp", "h1-eth0", ip_proto=UDP)
        ports = [int(p) for p in sent["udp_dport"]]
        wanted = list(range(TRACEROUTE_PORT, TRACEROUTE_PORT + max(1, len(ports))))
        last = self._last_answer(tables, "udp")
        return all_of(
            self._ends(tables, last, f"{UNREACHABLE}/{NO_PORT}"), same(ports, wanted, "ports")
        ).because("udp probes and answers", self._probes(tables, "udp"))

    @claim(
        "An ICMP traceroute ends with the target's echo reply.", source="RFC 792 p. 14, RFC 2151"
    )
    def icmp_traceroute_ends_with_an_echo(self, tables: Tables) -> Verdict:
        """The last answer."""
        last = self._last_answer(tables, "icmp")
        return self._ends(tables, last, f"{ECHO_REPLY}/0").because(
            "icmp probes and answers", self._probes(tables, "icmp")
        )

    @claim(
        "A TCP traceroute ends with the target's answer to a SYN: SYN+ACK, or RST from a closed "
        "port.",
        source="RFC 9293 §3.10.7",
    )
    def tcp_traceroute_ends_with_a_segment(self, tables: Tables) -> Verdict:
        """The last answer; port 80 is closed here."""
        last = self._last_answer(tables, "tcp")
        return self._ends(tables, last, "RST,ACK").because(
            "tcp probes and answers", self._probes(tables, "tcp")
        )

    # ---- what the claims look at

    def _route(self, tables: Tables) -> list[str]:
        """Who answers along the path: each router by the interface the probe came in."""
        return [address(tables, i) for i in ("r1-eth0", "r2-eth0", "r3-eth0", "h2-eth0")]

    def _walk(self, tables: Tables, form: str) -> pd.DataFrame:
        seen = pick(tables, f"traceroute-{form}", "h1-eth0", ip_version=4)
        return traceroute.walk(seen, address(tables, "h1-eth0"))

    def _probes(self, tables: Tables, form: str) -> pd.DataFrame:
        return pick(tables, f"traceroute-{form}", "h1-eth0", ip_version=4)

    def _last_answer(self, tables: Tables, form: str) -> tuple[str, str]:
        walk = self._walk(tables, form)
        heard = walk[walk["answer"] != ""]
        return (heard["by"].iloc[-1], heard["answer"].iloc[-1]) if len(heard) else ("", "")

    def _ends(self, tables: Tables, last: tuple[str, str], answer: str) -> Verdict:
        return same(last, (address(tables, "h2-eth0"), answer), "last answer")
