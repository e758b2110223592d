"""Errors: who reports what, what the report quotes, and when there is none."""

from __future__ import annotations

import pandas as pd

from analysis import traceroute
from testbed import (
    Experiment,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    near,
    pick,
    same,
)

from .traceroutes import ECHO_REPLY, ECHO_REQUEST, NO_PORT, TIME_EXCEEDED, UDP, UNREACHABLE

NO_NETWORK, NO_HOST, NO_PROTOCOL, TOO_BIG, PROHIBITED = 0, 1, 2, 4, 13
"""Codes of destination unreachable (RFC 792, RFC 1812 §5.2.7.1)."""

BURST_PKTS = 20


class Errors(Experiment):
    """Errors: who reports what, what the report quotes, and when there is none."""

    @claim(
        "A router without a route to the network answers network unreachable (code 0).",
        source="RFC 792 p. 4, RFC 1812 §4.3.3.1",
    )
    def no_route_is_network_unreachable(self, tables: Tables) -> Verdict:
        """Ping to a network nobody knows; h1's gateway answers."""
        return self._unreachable(tables, "no-network", NO_NETWORK, "r1-eth0")

    @claim(
        "A router that cannot find the host on its last network answers host unreachable (code 1).",
        source="RFC 792 p. 4, RFC 1812 §5.2.7.1",
    )
    def silent_host_is_host_unreachable(self, tables: Tables) -> Verdict:
        """Ping to an address of h2's LAN that nobody has; r3 answers when its ARP gives up."""
        return self._unreachable(tables, "no-host", NO_HOST, "r3-eth0")

    @claim(
        "A host that does not know the transport protocol answers protocol unreachable (code 2).",
        source="RFC 792 p. 5, RFC 1122 §3.2.2.1",
    )
    def unknown_protocol_is_protocol_unreachable(self, tables: Tables) -> Verdict:
        """A packet of protocol 253 to h2."""
        return self._unreachable(tables, "no-protocol", NO_PROTOCOL, "h2-eth0")

    @claim(
        "A host answers a datagram to a port without a listener by port unreachable (code 3).",
        source="RFC 792 p. 5, RFC 1122 §4.1.3.1",
    )
    def closed_port_is_port_unreachable(self, tables: Tables) -> Verdict:
        """A datagram to h2's port 9."""
        return self._unreachable(tables, "no-port", NO_PORT, "h2-eth0")

    @claim(
        "A filter that refuses openly answers administratively prohibited (code 13).",
        source="RFC 1812 §5.2.7.1",
    )
    def filter_says_prohibited(self, tables: Tables) -> Verdict:
        """A datagram to port 69, which r3 refuses to forward."""
        return self._unreachable(tables, "prohibited", PROHIBITED, "r3-eth0")

    @claim(
        "An ICMP error carries the IP header of the packet it is about, and at least 8 bytes more.",
        source="RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3.2.3",
    )
    def errors_quote_the_packet(self, tables: Tables) -> Verdict:
        """Every error that reaches h1: the quoted identification and destination are h1's own."""
        names = ("traceroute-udp", "no-network", "no-host", "no-protocol", "no-port", "prohibited")
        seen = pd.concat(pick(tables, name, "h1-eth0", ip_version=4) for name in names)
        errors = seen[seen["icmp_type"].isin([UNREACHABLE, TIME_EXCEEDED])]
        sent = seen[seen["ip_src"] == address(tables, "h1-eth0")]
        known = set(zip(sent["ip_id"].astype(int), sent["ip_dst"].astype(str), strict=True))
        strange = sum(traceroute.quoted(e) not in known for e in errors["payload"])
        shortest = min((len(e) for e in errors["payload"]), default=0)
        return all_of(
            at_least(len(errors), len(names), unit="errors"),
            at_most(strange, 0, unit="of them about packets never sent"),
            at_least(shortest, 28, unit="bytes quoted"),
        ).because("errors", errors)

    @claim(
        "A ping to the broadcast address goes unanswered, and no error ever answers a broadcast.",
        source="RFC 1122 §3.2.2, §3.2.2.6; RFC 2644",
    )
    def broadcasts_get_no_answer(self, tables: Tables) -> Verdict:
        """Two requests to the LAN's broadcast address."""
        asked = pick(tables, "broadcast", "h1-eth0", icmp_type=ECHO_REQUEST)
        told = pick(
            tables, "broadcast", "h1-eth0", icmp_type={ECHO_REPLY, UNREACHABLE, TIME_EXCEEDED}
        )
        return all_of(
            at_least(len(asked), 2, unit="requests to everybody"),
            at_most(len(told), 0, unit="answers"),
        ).because("requests and answers", pd.concat([asked, told]))

    @claim(
        "Hosts and routers limit the rate of their errors; not every bad packet draws one.",
        source="RFC 1812 §4.3.2.8, RFC 1122 §3.2.2",
        bears_stall_s=0.1,
    )
    def errors_are_rate_limited(self, tables: Tables) -> Verdict:
        """Twenty datagrams to a closed port, back to back (Linux: a bucket of 6, one a second)."""
        sent = pick(tables, "burst", "h1-eth0", ip_proto=UDP)
        errors = pick(tables, "burst", "h1-eth0", icmp_type=UNREACHABLE)
        return all_of(
            near(len(sent), BURST_PKTS, abs=0, unit="datagrams"),
            between(len(errors), 1, BURST_PKTS / 2, unit="errors"),
        ).because("errors", errors)

    def _unreachable(self, tables: Tables, name: str, code: int, by: str) -> Verdict:
        errors = pick(tables, name, "h1-eth0", icmp_type=UNREACHABLE)
        found = set(zip(errors["icmp_code"].astype(int), errors["ip_src"].astype(str), strict=True))
        return same(found, {(code, address(tables, by))}, "code and sender").because(
            "the exchange", pick(tables, name, "h1-eth0", ip_version=4)
        )
