"""Entries of the cache: how they come, age, and go."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from testbed import (
    Experiment,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    between,
    claim,
    holds,
    mac,
    near,
    pick,
    same,
)

BROADCAST, ANYBODY, UNKNOWN_MAC = "ff:ff:ff:ff:ff:ff", "0.0.0.0", "00:00:00:00:00:00"

REQUEST, REPLY = 1, 2

ECHO_REQUEST, SOLICITATION, ADVERTISEMENT = 8, 135, 136

REACHABLE_S = (15.0, 45.0)
"""How long a confirmation counts: half to one and a half of 30 s (RFC 4861 §6.3.2, §10)."""

DELAY_FIRST_PROBE_S = 5.0

TRIES = 3
"""MAX_MULTICAST_SOLICIT of RFC 4861 §10, which Linux uses for ARP too."""


class Cache(Experiment):
    """Entries of the cache: how they come, age, and go."""

    @claim(
        "A host that does not know a MAC address asks everybody: the request is broadcast, with "
        "its own addresses and the target's IP; the target answers to the asker alone.",
        source="RFC 826",
    )
    def request_broadcast_reply_unicast(self, tables: Tables) -> Verdict:
        """h1's first packet to h3."""
        asked = pick(
            tables, "resolve", "h1-eth0", arp_op=REQUEST, arp_target_ip=address(tables, "h3-eth0")
        )
        told = pick(
            tables, "resolve", "h1-eth0", arp_op=REPLY, arp_sender_ip=address(tables, "h3-eth0")
        )
        me, other = mac(tables, "h1-eth0"), mac(tables, "h3-eth0")
        return all_of(
            _only(
                asked, ("eth_dst", "arp_sender_mac", "arp_target_mac"), (BROADCAST, me, UNKNOWN_MAC)
            ),
            _only(told, ("eth_dst", "arp_sender_mac", "arp_target_mac"), (me, other, me)),
        ).because("request and reply", pd.concat([asked, told]))

    @claim("The answer is cached: packets that follow need no request.", source="RFC 1122 §2.3.2.1")
    def answer_is_cached(self, tables: Tables) -> Verdict:
        """Three pings, one request."""
        asked = pick(
            tables, "resolve", "h1-eth0", arp_op=REQUEST, arp_sender_ip=address(tables, "h1-eth0")
        )
        pings = pick(
            tables, "resolve", "h1-eth0", icmp_type=ECHO_REQUEST, ip_dst=address(tables, "h3-eth0")
        )
        return all_of(
            near(len(asked), 1, abs=0, unit="requests"),
            near(len(pings), 3, abs=0, unit="pings sent"),
        ).because("request and pings", pd.concat([asked, pings]))

    @claim(
        "The target of a request learns the asker's address from it; others, who hear the same "
        "broadcast, learn nothing.",
        source="RFC 826 (packet reception)",
    )
    def only_the_target_learns(self, tables: Tables) -> Verdict:
        """New entries for h1 in h3 and in r1 while h1 looks for h3."""
        learnt = self._changes(tables, "resolve", address=address(tables, "h1-eth0"))
        who = sorted(set(learnt[learnt["action"] != "del"]["node"]))
        heard = pick(tables, "resolve", "r1-eth0", arp_op=REQUEST)
        return (
            all_of(
                same(who, ["h3"], "learnt by"), at_least(len(heard), 1, unit="requests heard by r1")
            )
            .because("changes", learnt, scenario="main")
            .because("heard by r1", heard)
        )

    @claim(
        "An entry without use loses its confirmation after 15 to 45 s and becomes stale.",
        source="RFC 4861 §6.3.2, §7.3; RFC 1122 §2.3.2.1 asks for ageing",
        bears_stall_s=0.1,
    )
    def entries_grow_stale(self, tables: Tables) -> Verdict:
        """From h3's answer to the kernel's notification."""
        mine = self._cache_of_h1(tables, ("resolve", "age"), "h3-eth0")
        confirmed = mine[mine["state"] == "REACHABLE"]["time_s"]
        used = pick(tables, "resolve", "h1-eth0", icmp_type=ECHO_REQUEST)["time_s"]
        stale = mine[mine["state"] == "STALE"]["time_s"]
        waited_s = float(stale.max() - confirmed.max()) if len(stale) and len(confirmed) else None
        if waited_s is None:
            return holds(False, observed="never confirmed, or never stale", expected="both")
        slack_s = float(used.max() - confirmed.max())  # checked only while packets go
        return between(waited_s, REACHABLE_S[0], REACHABLE_S[1] + slack_s, unit="s").because(
            "changes of h1's entry for h3", mine, scenario="main"
        )

    @claim(
        "A stale entry is used at once; 5 s later, without other confirmation, the host verifies "
        "it by a unicast request.",
        source="RFC 4861 §7.3.3, RFC 1122 §2.3.2.1 (unicast poll)",
        bears_stall_s=0.07,
    )
    def stale_entries_are_verified(self, tables: Tables) -> Verdict:
        """One ping after a minute of silence."""
        ping = pick(tables, "verify", "h1-eth0", icmp_type=ECHO_REQUEST)
        asked = pick(
            tables, "verify", "h1-eth0", arp_op=REQUEST, arp_sender_ip=address(tables, "h1-eth0")
        )
        told = pick(
            tables, "verify", "h1-eth0", arp_op=REPLY, arp_sender_ip=address(tables, "h3-eth0")
        )
        if ping.empty or asked.empty:
            return holds(
                False,
                observed=f"{len(ping)} pings, {len(asked)} requests",
                expected="a ping, then a request",
            )
        waited_s = float(asked["time_s"].iloc[0] - ping["time_s"].iloc[0])
        return all_of(
            near(waited_s, DELAY_FIRST_PROBE_S, abs=0.7, unit="s from the ping to the request"),
            same(list(asked["eth_dst"]), [mac(tables, "h3-eth0")], "requests to"),
            near(len(told), 1, abs=0, unit="replies"),
        ).because("ping, request, reply", pd.concat([ping, asked, told]))

    @claim(
        "Used again, a stale entry is in delay for as long as a sign of life may come, then in "
        "probe while the neighbour alone is asked: an answer makes it reachable, three in vain "
        "failed.",
        source="RFC 4861 §7.3.2, §7.3.3",
        bears_stall_s=0.07,
    )
    def entries_go_through_their_states(self, tables: Tables) -> Verdict:
        """h1's entry for h3: verified, then while h3 hears no ARP."""
        verified, gone = (
            self._cache_of_h1(tables, (name,), "h3-eth0") for name in ("verify", "vanished")
        )
        asked = pick(tables, "vanished", "h1-eth0", arp_op=REQUEST, eth_dst=mac(tables, "h3-eth0"))
        waiting = tables.text("told", "delay").split()[-1:]
        return (
            all_of(
                same(waiting, ["DELAY"], "after the ping"),
                same(list(verified["state"]), ["PROBE", "REACHABLE"], "with an answer"),
                same(list(gone["state"])[:3], ["STALE", "PROBE", "FAILED"], "without"),
                near(len(asked), TRIES, abs=0, unit="unicast requests in vain"),
            )
            .because("changes", pd.concat([verified, gone]), scenario="main")
            .because("in vain", asked)
        )

    @claim(
        "Where nobody answers the host asks three times, a second apart, then fails and tells the "
        "sender.",
        source="RFC 4861 §7.2.2, §10; RFC 1122 §2.3.2.1, §3.2.2.1",
        bears_stall_s=0.01,
    )
    def no_answer_is_failure(self, tables: Tables) -> Verdict:
        """A ping to an address that nobody has."""
        asked = pick(tables, "absent", "h1-eth0", arp_op=REQUEST)
        gaps = [float(g) for g in asked["time_s"].diff().dropna()]
        failed = self._changes(tables, "absent", node="h1", state="FAILED")
        told = tables.text("told", "absent")
        said = re.findall("Destination.*|.*loss", told)
        return (
            all_of(
                near(len(asked), TRIES, abs=0, unit="requests"),
                *[near(gap, 1.0, abs=0.1, unit="s apart") for gap in gaps],
                at_least(len(failed), 1, unit="entries failed"),
                holds(
                    "Host Unreachable" in told,
                    observed=f"ping says: {' '.join(said)}",
                    expected="Destination Host Unreachable",
                ),
            )
            .because("requests", asked)
            .because("changes", failed, scenario="main")
        )

    def _changes(self, tables: Tables, name: str, **equals: Any) -> pd.DataFrame:
        tables.of("steps", step=name)
        found = tables.of("changes")
        found = found[found["step"] == name]
        for column, value in equals.items():
            found = found[found[column] == value]
        return found.reset_index(drop=True)

    def _cache_of_h1(self, tables: Tables, names: tuple[str, ...], interface: str) -> pd.DataFrame:
        wanted = address(tables, interface)
        return pd.concat(self._changes(tables, n, node="h1", address=wanted) for n in names)


def _only(packets: pd.DataFrame, columns: tuple[str, ...], wanted: tuple[str, ...]) -> Verdict:
    """All packets, and at least one, have these values."""
    return all_of(
        *(
            same(set(packets[column].astype(str)), {value}, column)
            for column, value in zip(columns, wanted, strict=True)
        )
    )
