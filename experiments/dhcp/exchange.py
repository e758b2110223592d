"""The first exchange, and what it brings."""

from __future__ import annotations

from typing import Any

import pandas as pd

from testbed import (
    Experiment,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    claim,
    holds,
    mac,
    near,
    pick,
    same,
)
from testbed.daemons.dhcpcd import interface

CLIENT, SERVER = 68, 67

NOBODY, EVERYBODY = "0.0.0.0", "255.255.255.255"


class Exchange(Experiment):
    """The first exchange, and what it brings."""

    @claim(
        "A new client gets its address by four messages: DISCOVER, OFFER, REQUEST, ACK; it speaks "
        "from 0.0.0.0:68 to 255.255.255.255:67, all under one transaction number.",
        source="RFC 2131 §3.1, §4.1",
    )
    def four_messages(self, tables: Tables) -> Verdict:
        """h1's first lease, at its interface."""
        seen = self._said(tables, "acquire", "h1")
        mine = seen[seen["udp_sport"] == CLIENT]
        ways = set(zip(mine["ip_src"], mine["ip_dst"], mine["udp_dport"].astype(int), strict=True))
        return all_of(
            _types(seen, ["DISCOVER", "OFFER", "REQUEST", "ACK"]),
            near(seen["xid"].nunique(), 1, abs=0, unit="transaction number"),
            same(ways, {(NOBODY, EVERYBODY, SERVER)}, "client speaks (from, to, port)"),
        ).because("the exchange", seen)

    @claim(
        "The acknowledgement brings all a host needs: address, mask, router, name server, the "
        "length of the lease, and who gave it.",
        source="RFC 2131 §4.3.1, RFC 2132 §3, §9",
    )
    def acknowledgement_is_complete(self, tables: Tables) -> Verdict:
        """Options of the ACK against the server's configuration."""
        seen = self._said(tables, "acquire", "h1", type="ACK")
        server = address(tables, "d1-eth0")
        wanted = {
            "mask": "255.255.255.0",
            "routers": server.rsplit(".", 1)[0] + ".1",
            "dns_servers": server,
            "server_id": server,
            "lease_s": self.params.lease_s,
        }
        found = {k: seen[k].iloc[0] for k in wanted} if len(seen) else {}
        if found:
            found["lease_s"] = int(found["lease_s"])
        return same(found, wanted, "ACK").because("the ACK", seen)

    @claim(
        "Before it uses the address the client probes by ARP whether somebody has it.",
        source="RFC 2131 §3.1 (5), §4.4.1; RFC 5227 §2.1",
        bears_stall_s=0.1,
    )
    def address_is_probed_first(self, tables: Tables) -> Verdict:
        """ARP probes between the ACK and the first packet from the new address."""
        given = self._said(tables, "acquire", "h1", type="ACK")
        if given.empty:
            return holds(False, observed="no ACK", expected="an ACK")
        own, acked_s = given["your_ip"].iloc[0], given["time_s"].iloc[0]
        probes = pick(
            tables, "acquire", "h1-eth0", arp_op=1, arp_sender_ip=NOBODY, arp_target_ip=own
        )
        used = pick(tables, "acquire", "h1-eth0", arp_sender_ip=own)["time_s"].min()
        early = int((probes["time_s"] < used).sum()) if len(probes) else 0
        return (
            all_of(
                at_least(early, 1, unit="probes before use"),
                at_least(float(used - acked_s), 1.0, unit="s from ACK to use"),
            )
            .because("probes", probes)
            .because("the ACK", given)
        )

    @claim(
        "After it, the client reaches a host of another network by its name.",
        source="RFC 2131 §1.6; syllabus 9.7.4",
    )
    def client_reaches_names(self, tables: Tables) -> Verdict:
        """One ping by name, with the resolver, router and mask that DHCP gave."""
        asked = pick(tables, "name", "h1-eth0", silent=True, udp_dport=53)
        web = address(tables, "w1-eth0")
        back = pick(tables, "name", "h1-eth0", silent=True, icmp_type=0, ip_src=web)
        return all_of(
            at_least(len(asked), 1, unit="questions to the name server"),
            near(len(back), 1, abs=0, unit="echo replies from the host of that name"),
        ).because("question and reply", pd.concat([asked, back]))

    def _said(self, tables: Tables, name: str, node: str, **equals: Any) -> pd.DataFrame:
        """DHCP messages of one client, in its own capture."""
        where = interface(node)
        if "dhcp" not in tables:
            tables["dhcp"] = pd.DataFrame(columns=["scenario", "capture", "step"])
        who = mac(tables, where)
        return pick(tables, name, where, table="dhcp", silent=True, client_mac=who, **equals)


def _types(seen: pd.DataFrame, wanted: list[str]) -> Verdict:
    return same(list(seen["type"]), wanted, "messages")
