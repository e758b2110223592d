"""Pings: what comes back, when, and with which TTL."""

from __future__ import annotations

import pandas as pd

from testbed import Experiment, Tables, Verdict, claim, holds, near, pick, same

from .traceroutes import ECHO_REPLY, ECHO_REQUEST


class Echo(Experiment):
    """Pings: what comes back, when, and with which TTL."""

    @claim(
        "An echo request is answered by an echo reply with the same identifier, sequence number "
        "and data.",
        source="RFC 792 p. 14, RFC 1122 §3.2.2.6",
    )
    def echo_returns_the_data(self, tables: Tables) -> Verdict:
        """Every request of the ping, at the sender."""
        asked = pick(tables, "echo", "h1-eth0", icmp_type=ECHO_REQUEST)
        told = pick(tables, "echo", "h1-eth0", icmp_type=ECHO_REPLY)
        key = ["icmp_id", "icmp_seq", "payload"]
        matched = asked.merge(told, on=key, suffixes=("", "_told"))
        swapped = (matched["ip_src"] == matched["ip_dst_told"]) & (
            matched["ip_dst"] == matched["ip_src_told"]
        )
        return near(int(swapped.sum()), 3, abs=0, unit="requests answered in kind").because(
            "requests and replies", pd.concat([asked, told])
        )

    @claim(
        "The round-trip time that ping reports is the sum of the links' delays, there and back.",
        source="RFC 792; arithmetic",
        bears_stall_s=0.002,
    )
    def echo_takes_the_paths_delay(self, tables: Tables) -> Verdict:
        """From each request to its reply, at the sender."""
        asked = pick(tables, "echo", "h1-eth0", icmp_type=ECHO_REQUEST)
        told = pick(tables, "echo", "h1-eth0", icmp_type=ECHO_REPLY)
        both = asked.merge(told, on="icmp_seq", suffixes=("", "_told"))
        rtt_ms = (both["time_s_told"] - both["time_s"]) * 1e3
        if both.empty:
            return holds(False, observed="no replies", expected="a reply to each request")
        # the first one waits for ARP on three LANs; that is not the path's delay
        return near(float(rtt_ms.min()), 4 * self.params.delay_ms, rel=0.01, unit="ms").because(
            "requests and replies", pd.concat([asked, told])
        )

    @claim(
        "Every router on the way lowers the TTL by one; Linux begins with 64.",
        source="RFC 791 p. 30, RFC 1812 §5.3.1",
    )
    def routers_lower_the_ttl(self, tables: Tables) -> Verdict:
        """The ping's requests as they leave, behind one router and behind three."""
        seen = {
            capture: pick(tables, "echo", capture, icmp_type=ECHO_REQUEST)
            for capture in ("h1-eth0", "r2-eth0", "h2-eth0")
        }
        found = {c: {int(t) for t in p["ip_ttl"]} for c, p in seen.items()}
        return same(found, {"h1-eth0": {64}, "r2-eth0": {63}, "h2-eth0": {61}}, "TTL").because(
            "requests on their way", pd.concat(seen.values())
        )
