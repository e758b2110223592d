"""How far ARP reaches, and who may answer for whom."""

from __future__ import annotations

import pandas as pd

from testbed import (
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    mac,
    near,
    pick,
    same,
)

from .cache import ANYBODY, BROADCAST, ECHO_REQUEST, REPLY, REQUEST, Cache, _only

NEW_MAC = "02:00:00:00:00:99"
"""What h3's network card is replaced by."""


class Reach(Cache):
    """How far ARP reaches, and who may answer for whom."""

    @claim(
        "ARP does not cross a router: for a far host h1 asks for its gateway, and the next link "
        "hears nothing of h1's LAN.",
        source="RFC 826, RFC 1812 §3.3.2",
    )
    def arp_stays_on_its_lan(self, tables: Tables) -> Verdict:
        """A ping to h2; ARP packets on h1's LAN and behind r1."""
        asked = pick(
            tables, "far", "h1-eth0", arp_op=REQUEST, arp_sender_ip=address(tables, "h1-eth0")
        )
        wanted = sorted(set(asked["arp_target_ip"]))
        beyond = tables.of("packets", capture="r2-eth0")
        beyond = beyond[beyond["arp_op"].notna()]
        lan = address(tables, "h1-eth0").rsplit(".", 1)[0] + "."
        crossed = beyond[beyond["arp_target_ip"].str.startswith(lan)]
        return all_of(
            same(wanted, [address(tables, "r1-eth0")], "asked for"),
            at_least(len(beyond), 2, unit="ARP packets behind r1"),
            at_most(len(crossed), 0, unit="of them about h1's LAN"),
        ).because("request, and ARP behind r1", pd.concat([asked, beyond]))

    @claim(
        "A gratuitous ARP overwrites the entries of those who have one, and makes none where "
        "there was none.",
        source="RFC 826 (merge flag), RFC 5944 §4.6",
    )
    def announcements_update_and_do_not_create(self, tables: Tables) -> Verdict:
        """h3 announces its new network card; h1 knows h3, r1 does not."""
        told = pick(tables, "replaced", "h1-eth0", arp_sender_mac=NEW_MAC, eth_dst=BROADCAST)
        told = told[told["arp_sender_ip"] == told["arp_target_ip"]]
        other = address(tables, "h3-eth0")
        overwritten = self._changes(tables, "replaced", node="h1", address=other, mac=NEW_MAC)
        made = self._changes(tables, "replaced", node="r1", address=other)
        pings = pick(tables, "replaced", "h1-eth0", icmp_type=ECHO_REQUEST)
        return all_of(
            near(len(told), 1, abs=0, unit="announcements"),
            at_least(len(overwritten), 1, unit="changes of h1's entry"),
            at_most(len(made), 0, unit="entries made in r1"),
            _only(pings, ("eth_dst",), (NEW_MAC,)),
        ).because("announcement, ping", pd.concat([told, pings]))

    @claim("A proxy answers for hosts behind it with its own MAC address.", source="RFC 1027")
    def proxy_answers_for_others(self, tables: Tables) -> Verdict:
        """h1 believes that h2 is on its LAN; r1 knows better."""
        far = address(tables, "h2-eth0")
        told = pick(tables, "proxy", "h1-eth0", arp_op=REPLY, arp_sender_ip=far)
        back = pick(tables, "proxy", "h1-eth0", icmp_type=0, ip_src=far)
        return all_of(
            _only(told, ("arp_sender_mac",), (mac(tables, "r1-eth0"),)),
            near(len(back), 1, abs=0, unit="echo replies from h2"),
        ).because("reply by proxy, echo", pd.concat([told, back]))

    @claim(
        "Before using an address a host probes for it with sender 0.0.0.0; the owner answers, and "
        "nobody's cache changes by the probe. A free address draws no answer.",
        source="RFC 5227 §1.1, §2.1.1",
    )
    def conflicts_are_detected(self, tables: Tables) -> Verdict:
        """h3 probes for h1's address, then for a free one."""
        probes = pick(tables, "conflict", "h1-eth0", arp_op=REQUEST)
        told = pick(tables, "conflict", "h3-eth0", arp_op=REPLY)
        free = pick(tables, "free", "h3-eth0", arp_op=REPLY)
        asked_free = pick(tables, "free", "h3-eth0", arp_op=REQUEST)
        changed = self._changes(tables, "conflict", address=ANYBODY)
        return all_of(
            at_least(int((probes["arp_sender_ip"] == ANYBODY).sum()), 1, unit="probes"),
            _only(
                told,
                ("arp_sender_mac", "arp_sender_ip"),
                (mac(tables, "h1-eth0"), address(tables, "h1-eth0")),
            ),
            at_least(len(asked_free), 1, unit="probes for the free address"),
            at_most(len(free), 0, unit="answers for the free address"),
            at_most(len(changed), 0, unit="entries for 0.0.0.0"),
        ).because("probes and answer", pd.concat([probes, told, asked_free]))
