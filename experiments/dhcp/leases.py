"""Leases: renewed, released, rebound, expired; and pools that are empty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from testbed import (
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    holds,
    near,
    pick,
    same,
)

from .exchange import EVERYBODY, NOBODY, Exchange, _types

LINK_LOCAL = "169.254."


class Leases(Exchange):
    """Leases: renewed, released, rebound, expired; and pools that are empty."""

    @claim(
        "At T1, half of the lease, the client renews it by unicast with its own address.",
        source="RFC 2131 §4.4.5, §4.3.2",
        bears_stall_s=0.1,
    )
    def renews_at_half_time(self, tables: Tables) -> Verdict:
        """The first REQUEST after h1 began to use its address; T1 is a little short at random."""
        begun = self._said(tables, "acquire", "h1", type="ACK")
        asked = self._said(tables, "renew", "h1", type="REQUEST").head(1)
        acked = self._said(tables, "renew", "h1", type="ACK").head(1)
        if asked.empty or begun.empty:
            return holds(False, observed="no renewal", expected="a renewal at T1")
        own, t1_s = begun["your_ip"].iloc[0], float(begun["renewal_s"].iloc[0])
        used = pick(tables, "acquire", "h1-eth0", arp_sender_ip=own)["time_s"].min()
        waited_s = float(asked["time_s"].iloc[0] - used)
        way = (str(asked["ip_src"].iloc[0]), str(asked["ip_dst"].iloc[0]))
        wanted = (str(own), address(tables, "d1-eth0"))
        return all_of(
            between(t1_s / self.params.lease_s, 0.43, 0.5, unit="of the lease is T1"),
            between(waited_s - t1_s, -1.0, 2.0, unit="s after T1"),
            same(way, wanted, "REQUEST from, to"),
            same(asked["client_ip"].iloc[0], own, "has"),
            near(len(acked), 1, abs=0, unit="ACK"),
        ).because("renewal", pd.concat([asked, acked]))

    @claim("A server whose pool is empty makes no offer.", source="RFC 2131 §4.3.1")
    def empty_pool_makes_no_offer(self, tables: Tables) -> Verdict:
        """Two addresses, three clients: what the third hears."""
        seen = self._said(tables, "exhausted", "d2")
        return all_of(
            at_least(int((seen["type"] == "DISCOVER").sum()), 2, unit="DISCOVERs"),
            at_most(int((seen["type"] == "OFFER").sum()), 0, unit="OFFERs"),
            near(
                int((self._said(tables, "exhausted", "h2")["type"] == "ACK").sum()),
                1,
                abs=0,
                unit="ACK to the second client",
            ),
        ).because("the third client", seen)

    @claim(
        "A host that finds no server takes an address of 169.254/16, after it has probed that "
        "nobody has it.",
        source="RFC 3927 §1, §2.2",
        bears_stall_s=0.1,
    )
    def falls_back_to_link_local(self, tables: Tables) -> Verdict:
        """The third client's ARP: probes first, then announcements."""
        probes = pick(tables, "exhausted", "d2-eth0", arp_op=1, arp_sender_ip=NOBODY)
        probes = probes[probes["arp_target_ip"].str.startswith(LINK_LOCAL)]
        taken = pick(tables, "exhausted", "d2-eth0", arp_op=1)
        taken = taken[taken["arp_sender_ip"].str.startswith(LINK_LOCAL)]
        same = set(probes["arp_target_ip"]) >= set(taken["arp_sender_ip"])
        return all_of(
            at_least(len(probes), 3, unit="probes"),
            at_least(len(taken), 1, unit="announcements"),
            holds(
                same,
                observed=f"{_listed(taken['arp_sender_ip'])} probed: {same}",
                expected="probed: True",
            ),
        ).because("probes, announcements", pd.concat([probes, taken]))

    @claim(
        "A client that leaves politely releases its address by a unicast that nobody answers.",
        source="RFC 2131 §3.1 (6), §4.4.6",
    )
    def release_is_unicast(self, tables: Tables) -> Verdict:
        """h2's last message."""
        seen = self._said(tables, "release", "h2")
        target = sorted(set(seen["ip_dst"].astype(str)))
        return all_of(
            _types(seen, ["RELEASE"]), same(target, [address(tables, "d1-eth0")], "to")
        ).because("the release", seen)

    @claim(
        "If its server stays silent the client asks all servers by broadcast from T2 on, 7/8 of "
        "the lease; another server that knows the lease prolongs it, and is asked from then on.",
        source="RFC 2131 §4.4.5, §4.3.2 (REBINDING)",
        bears_stall_s=0.1,
    )
    def rebinding_finds_another_server(self, tables: Tables) -> Verdict:
        """h1 after d1 has stopped and d2 serves the same pool."""
        begun = self._last_ack(tables, "acquire", "renew", "exhausted", "release")
        seen = self._said(tables, "rebind", "h1")
        asked, acked = (seen[seen["type"] == kind] for kind in ("REQUEST", "ACK"))
        broadcast = asked[asked["ip_dst"] == EVERYBODY]
        if broadcast.empty or begun is None:
            return holds(False, observed="no broadcast REQUEST", expected="rebinding at T2")
        at_s, other = float(broadcast["time_s"].iloc[0]), address(tables, "d2-eth0")
        before, after = asked[asked["time_s"] < at_s], asked[asked["time_s"] > at_s]
        return all_of(
            at_least(len(before), 1, unit="unicast REQUESTs before"),
            between(
                (at_s - float(begun["time_s"])) / self.params.lease_s,
                0.8,
                0.89,
                unit="of the lease at the broadcast",
            ),
            same(set(acked["your_ip"].astype(str)), {str(begun["your_ip"])}, "address"),
            same(set(acked["ip_src"].astype(str)), {other}, "ACK from"),
            same(set(after["ip_dst"].astype(str)), {other}, "asked from then on"),
        ).because("the exchange", seen)

    @claim(
        "If no server answers until the lease ends, the client gives up the address.",
        source="RFC 2131 §4.4.5",
        bears_stall_s=0.1,
    )
    def lease_expires(self, tables: Tables) -> Verdict:
        """h1 after d2 has stopped, too: unicast, then broadcast, then without its address."""
        begun = self._last_ack(tables, "acquire", "renew", "exhausted", "release", "rebind")
        asked = self._said(tables, "expire", "h1", type="REQUEST")
        if begun is None:
            return holds(False, observed="no lease", expected="a lease that ends")
        own, ends_s = str(begun["your_ip"]), float(begun["time_s"]) + self.params.lease_s
        left = tables.row("told")["expired"]
        return all_of(
            at_least(len(asked), 2, unit="REQUESTs in vain"),
            at_least(ends_s - float(asked["time_s"].max()), -1.0, unit="s before its end"),
            holds(
                f" {own}/" not in left,
                observed=f"afterwards: {' '.join(left.split()[:4])}",
                expected=f"without {own}",
            ),
        ).because("requests in vain", asked)

    def _last_ack(self, tables: Tables, *steps: str) -> pd.Series[Any] | None:
        """The last ACK that h1 got in these steps."""
        acked = pd.concat(self._said(tables, s, "h1", type="ACK") for s in steps)
        return acked.iloc[-1] if len(acked) else None


def _listed(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or "none"
