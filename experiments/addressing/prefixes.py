"""Masks, prefixes, and the route that wins."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

import pandas as pd

from testbed import (
    Action,
    Experiment,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    in_order,
    ip,
    mac,
    pick,
    ping,
    program,
    same,
    when,
)

from .header import ECHO_REQUEST

if TYPE_CHECKING:
    from testbed import RunningNetwork

INSIDE, OUTSIDE = "172.20.63.254", "172.20.64.1"
"""The last address of the first /18 of 172.20.0.0/16, and the first of the second."""

CLASSES = {
    "A": ("9.1.2.3", "8"),
    "B": ("128.1.2.3", "16"),
    "C": ("192.1.2.3", "24"),
    "D": ("224.1.2.3", "refused"),
    "E": ("240.1.2.3", "32"),
}
"""An address of each class, and the length of the mask that came with it."""


def prefix_steps(faults: Collection[str], net: RunningNetwork) -> dict[str, Action]:
    """Addresses with and without masks on h4, h1 and h3; then routes of r1 that overlap."""
    return {**_mask_steps(faults), **_route_steps(faults, net)}


def _mask_steps(faults: Collection[str]) -> dict[str, Action]:
    mask = ("netmask", "255.255.240.0") if "classless" in faults else ()
    subnet = f"172.20.0.1/{16 if 'classful' in faults else 18}"
    return {
        "classes": in_order(
            *(
                program("h4", "busybox", "ifconfig", f"h4-eth0:{name}", first, *mask)
                for name, (first, _) in CLASSES.items()
            ),
            program("h4", "ip", "-4", "-o", "addr", "show", "dev", "h4-eth0", log="classes"),
            *(program("h4", "ip", "addr", "flush", "label", f"h4-eth0:{name}") for name in CLASSES),
        ),
        "mask": in_order(
            ip("h1", "addr", "add", subnet, "dev", "h1-eth0"),
            ping("h1", INSIDE),
            ping("h1", OUTSIDE),
            ip("h1", "addr", "del", subnet, "dev", "h1-eth0"),
        ),
        "one-wire": in_order(
            ip("h3", "addr", "add", "10.9.9.9/24", "dev", "h3-eth0"),
            when("on-link" in faults, ip("h1", "route", "add", "10.9.9.0/24", "dev", "h1-eth0")),
            ping("h1", "10.9.9.9"),
        ),
    }


def _route_steps(faults: Collection[str], net: RunningNetwork) -> dict[str, Action]:
    to_r2, to_r4 = (str(net.network.interface(f"{r}-eth0").IP()) for r in ("r2", "r4"))
    longer = ip("r1", "route", "add", "203.0.113.128/25", "via", to_r2)
    size = 23 if "small-aggregate" in faults else 22
    branch = net.address("h4")
    return {
        "longest-prefix": in_order(
            ip("r1", "route", "add", "203.0.113.0/24", "via", to_r4),
            when("one-route" not in faults, longer),
            ping("h1", "203.0.113.5"),
            ping("h1", "203.0.113.200"),
        ),
        "aggregate": in_order(
            *(ip("r4", "route", "add", f"198.18.{i}.0/24", "via", branch) for i in range(5)),
            ip("r1", "route", "add", f"198.18.0.0/{size}", "via", to_r4),
            *(ping("h1", f"198.18.{i}.1") for i in range(5)),
        ),
    }


class Prefixes(Experiment):
    """Masks, prefixes, and the route that wins."""

    @claim(
        "The first bits of an address are its class, and a class was a mask: A (0) is /8, B (10) "
        "/16, C (110) /24; D (1110) is for groups, no host has it; E (1111) is reserved.",
        source="RFC 791 p. 24, RFC 1112 §4, RFC 3330 (history; RFC 4632 ended it)",
    )
    def classes_are_masks(self, tables: Tables) -> Verdict:
        """Addresses given to h4 without a mask: what the kernel makes of each."""
        told = tables.text("told", "classes")
        found = {
            name: next(iter(re.findall(rf"inet {re.escape(ip)}/(\d+)", told)), "refused")
            for name, (ip, _) in CLASSES.items()
        }
        rows = [
            {
                "class": name,
                "first bits": f"{int(ip.split('.')[0]):08b}"[:4],
                "address": ip,
                "mask": f"/{found[name]}",
            }
            for name, (ip, _) in CLASSES.items()
        ]
        wanted = {name: mask for name, (_, mask) in CLASSES.items()}
        return same(found, wanted, "masks").because("classes", pd.DataFrame(rows), scenario="main")

    @claim(
        "The mask decides who is a neighbour: in 172.20.0.0/18 (a class B network with two subnet "
        "bits) 172.20.63.254 is one, 172.20.64.1 is not.",
        source="RFC 950, RFC 1122 §3.3.1.1, RFC 4632",
    )
    def mask_decides_who_is_near(self, tables: Tables) -> Verdict:
        """h1 as 172.20.0.1/18: whom it asks for by ARP, and what goes to its router."""
        asked = pick(tables, "mask", "h1-eth0", arp_op=1)
        asked = asked[asked["arp_target_ip"].str.startswith("172.20.")]
        wanted = sorted(set(asked["arp_target_ip"]))
        routed = pick(tables, "mask", "h1-eth0", ip_dst=OUTSIDE, eth_dst=mac(tables, "r1-eth0"))
        return (
            all_of(
                same(wanted, [INSIDE], "ARP for"),
                at_least(len(routed), 1, unit=f"packets to {OUTSIDE} by the router"),
            )
            .because("ARP", asked)
            .because("by the router", routed)
        )

    @claim(
        "Two hosts on one wire but in different subnets do not talk directly: the sender uses its "
        "router.",
        source="RFC 1122 §3.3.1.1",
    )
    def one_wire_two_subnets(self, tables: Tables) -> Verdict:
        """h3 is 10.9.9.9 now; h1 pings that address."""
        asked = pick(
            tables,
            "one-wire",
            "h1-eth0",
            arp_op=1,
            arp_target_ip="10.9.9.9",
            arp_sender_ip=address(tables, "h1-eth0"),
        )
        sent = pick(tables, "one-wire", "h1-eth0", icmp_type=ECHO_REQUEST)
        way = sorted(set(sent["eth_dst"]))
        return all_of(
            at_most(len(asked), 0, unit="ARP requests for 10.9.9.9 by h1"),
            same(way, [mac(tables, "r1-eth0")], "sent to"),
        ).because("sent", sent)

    @claim(
        "Of all routes that match, the one with the longest prefix wins.",
        source="RFC 1812 §5.2.4.3, RFC 4632 §5.1",
    )
    def longest_prefix_wins(self, tables: Tables) -> Verdict:
        """203.0.113.0/24 by r4, 203.0.113.128/25 by r2, and a default route."""
        low = pick(tables, "longest-prefix", "r2-eth0", ip_dst="203.0.113.5")
        high = pick(tables, "longest-prefix", "r2-eth0", ip_dst="203.0.113.200")
        sent = pick(tables, "longest-prefix", "h1-eth0", icmp_type=ECHO_REQUEST)
        return (
            all_of(
                at_most(len(low), 0, unit="packets for .5 by r2"),
                at_least(len(high), 1, unit="packets for .200 by r2"),
            )
            .because("sent", sent)
            .because("by r2", pd.concat([low, high]))
        )

    @claim(
        "One route can stand for many networks: 198.18.0.0/22 carries four /24, and not the fifth.",
        source="RFC 4632 §3, §4",
    )
    def one_route_carries_four_networks(self, tables: Tables) -> Verdict:
        """Which of five networks' packets reach the branch."""
        came = pick(tables, "aggregate", "h4-eth0", icmp_type=ECHO_REQUEST)
        found = sorted(set(came["ip_dst"].astype(str)))
        wanted = [f"198.18.{i}.1" for i in range(4)]
        return same(found, wanted, "at the branch").because("at the branch", came)
