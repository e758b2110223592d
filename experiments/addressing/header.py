"""IPv4's header on captured packets: its fields, first TTL, marks, options, protocols."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import pandas as pd

from analysis.dissect import ipv4
from testbed import (
    Action,
    Experiment,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    filter_packets,
    holds,
    in_order,
    pick,
    ping,
    program,
    same,
    sysctl,
    tunnels,
    when,
    zeros,
)

if TYPE_CHECKING:
    from testbed import ScenarioData, Tables

ICMP, IGMP, TCP, UDP, GRE, ESP = 1, 2, 6, 17, 47, 50
"""Protocol numbers (IANA)."""

ECHO_REQUEST = 8
IGMP_GROUP = "224.0.0.22"
"""All routers that speak IGMPv3 (RFC 3376 §4.2.14)."""

FIRST_TTLS = (32, 128, 255)
"""What other systems begin with; Linux can be told to."""

EXPEDITED = 46
"""The DSCP of expedited forwarding (RFC 3246): 0xb8 as type of service."""


INNER = ("10.99.0.1", "10.99.0.2")
"""Addresses of h1 and h2 inside their tunnel."""


def header_steps(faults: Collection[str], far: str) -> dict[str, Action]:
    """Pings: plain, with a record of the route, with other TTLs, with a mark.

    Args:
        faults: what is broken on purpose.
        far: address of h2.
    """
    one = ("ping", "-n", "-c", "1")
    return {
        "header": in_order(
            when("raised" in faults, filter_packets("r2", "prerouting", "ip ttl set 100")),
            when(
                "options" in faults,
                program("h1", "ping", "-n", "-c", "3", "-i", "0.2", "-R", far),
                ping("h1", far, 3),
            ),
        ),
        "recorded": program("h1", *one, "-W", "1", *(["-R"] * ("no-record" not in faults)), far),
        "first-ttl": in_order(
            *(
                in_order(sysctl("h1", "net.ipv4.ip_default_ttl", ttl), ping("h1", far))
                for ttl in (*FIRST_TTLS, 64)
            )
        ),
        "marked": in_order(
            when("bleached" in faults, filter_packets("r2", "prerouting", "ip dscp set 0")),
            program("h1", *one, "-Q", f"{EXPEDITED << 2}", far),
        ),
    }


def protocol_steps(faults: Collection[str], ends: tuple[str, str]) -> dict[str, Action]:
    """Other protocols inside IPv4: TCP, GRE, ESP.

    Args:
        faults: what is broken on purpose.
        ends: addresses of h1 and h2.
    """
    tunnelled = "plain" not in faults
    return {
        "segment": zeros("h1", f"TCP4:{ends[1]}:9"),
        "tunnel": in_order(
            when(tunnelled, tunnels.gre(("h1", "h2"), ends, INNER)), ping("h1", INNER[1])
        ),
        "sealed": in_order(
            when(tunnelled, tunnels.seal(("h1", "h2"), ends)),
            ping("h1", ends[1]),
            tunnels.unseal("h1", "h2"),
        ),
    }


def header_fields(data: ScenarioData, packets: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """What the frames tell beyond the reader's columns.

    Args:
        data: the scenario's artefacts.
        packets: of all captures, with `capture`, `step`, `frame` and `icmp_type`.

    Returns:
        the fields of the first ping's header at each capture (`capture`, `field`, `bits`, `value`,
        `meaning`); the addresses noted in the recorded route.
    """
    asked = packets[(packets["icmp_type"] == ECHO_REQUEST).fillna(False)]
    fields = pd.DataFrame(
        [
            {
                "capture": capture,
                "field": field.name,
                "bits": field.bits,
                "value": field.value,
                "meaning": field.meaning,
            }
            for capture, rows in asked[asked["step"] == "header"].groupby("capture")
            for field in ipv4.fields(data.frame(str(capture), rows["frame"].iloc[0]))
        ]
    )
    came = asked[(asked["step"] == "recorded") & (asked["capture"] == "h2-eth0")]
    noted = [ipv4.recorded_route(data.frame("h2-eth0", number)) for number in came["frame"]]
    return fields, ", ".join(ip for way in noted for ip in way)


def _on_the_way(tables: Tables, step: str) -> dict[str, pd.DataFrame]:
    """The pings of a step at each capture of their way across the routers."""
    places = ("h1-eth0", "r2-eth0", "r3-eth0", "h2-eth0")
    return {place: pick(tables, step, place, icmp_type=ECHO_REQUEST) for place in places}


class Ipv4Header(Experiment):
    """Every field of the header, on its way across three routers."""

    @claim(
        "Every router lowers the TTL and so makes a new header checksum; addresses, identification "
        "and protocol stay.",
        source="RFC 791 p. 14, 30; RFC 1812 §5.3.1; RFC 1624",
    )
    def routers_change_ttl_and_checksum_only(self, tables: Tables) -> Verdict:
        """The three pings as they pass each capture."""
        seen = _on_the_way(tables, "header")
        others = ["ip_src", "ip_dst", "ip_id", "ip_proto", "ip_bytes"]
        first = seen["h1-eth0"][others].astype(str).to_numpy().tolist()
        kept = all(p[others].astype(str).to_numpy().tolist() == first for p in seen.values())
        sums = set(tables.of("headers", field="header checksum")["value"])
        ttls = {p: sorted({int(t) for t in rows["ip_ttl"]}) for p, rows in seen.items()}
        bad = sum(int((~rows["ip_checksum_ok"].fillna(False)).sum()) for rows in seen.values())
        return all_of(
            same(ttls, dict(zip(seen, ([64], [63], [62], [61]), strict=True)), "TTL"),
            at_most(bad, 0, unit="wrong checksums"),
            at_least(len(sums), len(seen), unit="checksums, another at each place"),
            holds(
                kept and bool(first), observed=f"other fields the same: {kept}", expected="the same"
            ),
        ).because("on their way", pd.concat(seen.values()))

    @claim(
        "The sender chooses the first TTL: Linux begins with 64 and can be told otherwise; what "
        "arrives is lower by the number of routers.",
        source="RFC 791 p. 14, 30; RFC 1700 (64); ip(7) ip_default_ttl",
    )
    def sender_chooses_the_first_ttl(self, tables: Tables) -> Verdict:
        """Pings with the default, then with three others, across three routers."""
        steps = ("header", "first-ttl")
        left, came = (
            pd.concat(pick(tables, s, c, icmp_type=ECHO_REQUEST) for s in steps)
            for c in ("h1-eth0", "h2-eth0")
        )
        first, last = ([int(t) for t in dict.fromkeys(rows["ip_ttl"])] for rows in (left, came))
        return (
            all_of(
                same(first, [64, *FIRST_TTLS], "TTL at h1"),
                same(last, [ttl - 3 for ttl in first], "behind three routers"),
            )
            .because("as they left", left)
            .because("as they came", came)
        )

    @claim(
        "The sender may mark packets in the type of service (DSCP); routers that do not care "
        "carry the mark unchanged.",
        source="RFC 791 p. 12, RFC 2474 §3, RFC 3246",
    )
    def marks_are_carried(self, tables: Tables) -> Verdict:
        """A ping marked for expedited forwarding, at each capture of its way."""
        seen = _on_the_way(tables, "marked")
        found = {p: [int(d) for d in rows["ip_dscp"]] for p, rows in seen.items()}
        return same(found, {p: [EXPEDITED] for p in seen}, "DSCP").because(
            "on its way", pd.concat(seen.values())
        )

    @claim(
        "The header has 20 bytes without options; total length counts header and payload.",
        source="RFC 791 §3.1",
    )
    def header_has_twenty_bytes(self, tables: Tables) -> Verdict:
        """A ping of 56 bytes: 20 of IP, 8 of ICMP; every field is in the figure."""
        sent = pick(tables, "header", "h2-eth0", icmp_type=ECHO_REQUEST).head(1)
        if sent.empty:
            return holds(False, observed="no ping arrived", expected="a ping")
        packet = sent.iloc[0]
        found = {c: int(packet[f"ip_{c}"]) for c in ("version", "header_bytes", "bytes", "proto")}
        wanted = {"version": 4, "header_bytes": 20, "bytes": 20 + 8 + 56, "proto": ICMP}
        fields = tables.of("headers", capture="h2-eth0")
        rows = fields[["field", "bits", "value", "meaning"]]
        return (
            same(found, wanted, "header")
            .because("field by field", rows.head(9), scenario="main")
            .because("and its second part", rows.tail(len(rows) - 9), scenario="main")
            .because("the packet", sent)
        )

    @claim(
        "The protocol field says what is inside: 1 ICMP, 2 IGMP, 6 TCP, 17 UDP, 47 GRE, 50 ESP.",
        source="RFC 791 p. 14; RFC 2784, RFC 4303; IANA",
    )
    def protocol_says_what_is_inside(self, tables: Tables) -> Verdict:
        """A ping, a group, a SYN, a datagram, and pings through a tunnel and encrypted."""
        wanted = {"header": ICMP, "segment": TCP, "translated": UDP, "tunnel": GRE, "sealed": ESP}
        seen = {
            name: pick(tables, name, "r2-eth0", ip_version=4, ip_dst=address(tables, "h2-eth0"))
            for name in wanted
        }
        seen["group"] = pick(tables, "group", "h3-eth0", ip_dst=IGMP_GROUP)
        found = {name: {int(n) for n in rows["ip_proto"]} for name, rows in seen.items()}
        return same(
            found, {name: {n} for name, n in wanted.items()} | {"group": {IGMP}}, "protocols"
        ).because("one of each", pd.concat(r.head(1) for r in seen.values()))

    @claim(
        "Options lengthen the header, padded to whole 32-bit words; in a recorded route each "
        "router notes its address.",
        source="RFC 791 p. 15, 20, 23",
    )
    def options_are_padded(self, tables: Tables) -> Verdict:
        """A record-route option has 39 bytes; one of padding makes ten words."""
        came = pick(tables, "recorded", "h2-eth0", icmp_type=ECHO_REQUEST)
        noted = tables.row("told")["noted"].replace(", 0.0.0.0", "")
        route = [address(tables, i) for i in ("h1-eth0", "r1-eth1", "r2-eth1", "r3-eth1")]
        return all_of(
            same([int(b) for b in came["ip_header_bytes"]], [60], "bytes of header"),
            same(noted, ", ".join(route), "noted"),
        ).because("with options", came)
