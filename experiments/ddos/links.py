"""Claims on floods that fill a link, and on what helps."""

from __future__ import annotations

import pandas as pd

from analysis import packets as flags
from testbed import (
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    first,
    near,
    pick,
    presuming,
    same,
)
from topologies.provider import FAST, SITE

from .defences import BURST_BYTES, CAPACITY, limit_mbps
from .observations import (
    BEFORE_S,
    CLIENT_SIDE,
    COPY_SIDES,
    FLOOD_S,
    FLOODS,
    NEIGHBOUR_SIDE,
    SETTLE_S,
    VICTIM_SIDE,
    Observations,
)
from .traffic import ATTACKERS, NEIGHBOUR

DOWN = 0.1
"""A service that gets less than this share of its goodput is down."""

UP = 0.8
"""One that gets more than this share is as good as before: flows share by chance."""

ECHO, ECHO_REPLY = 8, 0
MOST_LAN_RTT_S = 0.001


class Links(Observations):
    """Floods that fill a link."""

    @claim(
        "Several sources, each slower than the victim's link, fill it together: honest clients get "
        "next to nothing. The link is the victim, and everybody behind it; the host is not: a "
        "neighbour in its own LAN notices nothing.",
        source="RFC 4732 §2.7; Kurose & Ross, §1.6",
        scenarios=(FLOODS,),
        bears_stall_s=0.05,
    )
    def the_link_is_the_victim(self, tables: Tables) -> Verdict:
        """Goodput, the rate behind the link, and pings between v2 and v1."""
        step = "undefended"
        before = self._both_mbps(tables, step, flooded=False)
        during = self._both_mbps(tables, step, flooded=True)
        beside = {
            flooded: self._mbps(tables, step, "c2", NEIGHBOUR_SIDE, flooded=flooded)
            for flooded in (False, True)
        }
        times = self._lan_rtts_s(tables, step)
        slower = at_most(self.params.source_mbps, 0.99 * self.params.link_mbps, unit="Mbit/s")
        return presuming(
            all_of(self._overloads, slower),
            at_least(self._flood_mbps(tables, step), 0.9 * self.params.link_mbps, unit="Mbit/s"),
            at_most(during, DOWN * before, unit="Mbit/s for clients"),
            at_most(beside[True], DOWN * beside[False], unit="Mbit/s for the neighbour's client"),
            at_most(float(times.isna().mean()), 0.0, unit="of the neighbour's pings lost"),
            at_most(float(times.max()), MOST_LAN_RTT_S, unit="s for its pings"),
        ).because("the flood", self._flood(tables, step).head(4))

    @claim(
        "TCP makes it worse for the honest: it takes each loss for congestion and nearly stops, "
        "while the flood goes on. Honest flows get far less than if all packets were lost alike.",
        source="RFC 5681 §3.1; RFC 6298 §5; RFC 2914 §5",
        scenarios=(FLOODS,),
        bears_stall_s=0.05,
    )
    def congestion_control_yields(self, tables: Tables) -> Verdict:
        """The flood's share that came, and what the clients got in comparison with before."""
        step = "undefended"
        passed = self._flood_mbps(tables, step) / self._offered_mbps
        kept = self._both_mbps(tables, step, flooded=True)
        kept /= max(self._both_mbps(tables, step, flooded=False), 1e-9)
        sent = {flooded: self._sent(tables, step, flooded=flooded) for flooded in (False, True)}
        return presuming(
            self._overloads,
            at_least(
                passed, self.params.link_mbps / self._offered_mbps * 0.9, what="flood's share"
            ),
            at_most(kept, passed / 4, what="share that clients keep"),
            at_most(
                len(sent[True]) / FLOOD_S,
                DOWN * len(sent[False]) / BEFORE_S,
                unit="segments/s of c1",
            ),
        ).because("what c1 still sends", sent[True].head(6))

    @claim(
        "Capacity helps if it is more than the flood has: honest clients get at least what they "
        "had. It must be paid for all the time.",
        source="RFC 4732 §2.7; arithmetic: rates of all sources",
        scenarios=(FLOODS,),
        bears_stall_s=0.05,
    )
    def capacity_helps(self, tables: Tables) -> Verdict:
        """A link four times as fast."""
        most_mbps = 0.9 * CAPACITY * self.params.link_mbps
        enough = at_most(self._offered_mbps, most_mbps, unit="Mbit/s of flood")
        return presuming(
            all_of(enough, self._was_flooded(tables, "capacity")),
            near(self._flood_mbps(tables, "capacity"), self._offered_mbps, rel=0.1, unit="Mbit/s"),
            at_least(
                self._both_mbps(tables, "capacity", flooded=True),
                self._both_mbps(tables, "undefended", flooded=False),
                unit="Mbit/s for clients",
            ),
        ).because("a client's segments", self._shown(tables, "capacity"))

    @claim(
        "A black hole at the provider saves the others behind the link and completes the attack: "
        "nothing reaches the service any more.",
        source="RFC 5635 §1, §3; RFC 7999 §1",
        scenarios=(FLOODS,),
        bears_stall_s=0.05,
    )
    def black_holes_save_the_others(self, tables: Tables) -> Verdict:
        """The provider drops everything to the service's address."""
        beside = self._mbps(tables, "black-hole", "c2", NEIGHBOUR_SIDE, flooded=True)
        through = self._both_mbps(tables, "black-hole", flooded=True)
        return presuming(
            self._was_flooded(tables, "black-hole"),
            same(len(self._flood(tables, "black-hole")), 0, "datagrams of the flood"),
            near(through, 0, abs=0, unit="Mbit/s for clients"),
            at_least(
                beside,
                self._mbps(tables, "undefended", "c2", NEIGHBOUR_SIDE, flooded=False),
                unit="Mbit/s for the neighbour's client",
            ),
        ).because("the neighbour", self._shown(tables, "black-hole", "c2", NEIGHBOUR_SIDE))

    @claim(
        "A limit for each source brings some of the service back. It limits honest clients too, "
        "also without a flood.",
        source="arithmetic: sources x limit",
        scenarios=(FLOODS,),
        bears_stall_s=0.05,
    )
    def limits_bring_some_back(self, tables: Tables) -> Verdict:
        """The provider limits each source before the link."""
        burst_mbps = 8e-6 * BURST_BYTES / (FLOOD_S - SETTLE_S)
        limit = limit_mbps(self.params.link_mbps)
        most = limit + burst_mbps
        calm = [self._mbps(tables, "limited", c, flooded=False) for c in COPY_SIDES]
        return presuming(
            all_of(self._overloads, self._was_flooded(tables, "limited")),
            at_most(self._flood_mbps(tables, "limited"), len(ATTACKERS) * most, unit="Mbit/s"),
            at_least(
                self._both_mbps(tables, "limited", flooded=True),
                4 * self._both_mbps(tables, "undefended", flooded=True),
                unit="Mbit/s for clients",
            ),
            *(
                between(mbps, limit / 2, most, unit="Mbit/s for a client without flood")
                for mbps in calm
            ),
        ).because("a client's segments", self._shown(tables, "limited"))

    @claim(
        "Forged senders make such a limit useless: each datagram comes from another source.",
        source="RFC 2827 §2; RFC 4732 §3.1",
        scenarios=(FLOODS,),
        bears_stall_s=0.05,
    )
    def forged_senders_pass_limits(self, tables: Tables) -> Verdict:
        """The same limit, and senders from a large network."""
        step = "limited-forged"
        flood = self._flood(tables, step)
        return presuming(
            self._overloads,
            same(flood["ip_src"].nunique(), len(flood), "senders"),
            at_least(self._flood_mbps(tables, step), 0.9 * self.params.link_mbps, unit="Mbit/s"),
            at_most(
                self._both_mbps(tables, step, flooded=True),
                DOWN * self._both_mbps(tables, step, flooded=False),
                unit="Mbit/s for clients",
            ),
        ).because("the flood", flood.head(4))

    @claim(
        "Scrubbing diverts the service's traffic to a place with capacity that lets only good "
        "packets pass: clients get what they had. The price is a longer way.",
        source="RFC 8811 §1 (DDoS open threat signaling)",
        scenarios=(FLOODS,),
        bears_stall_s=0.05,
    )
    def scrubbing_restores_the_service(self, tables: Tables) -> Verdict:
        """Only TCP passes; round-trip times by c1's handshakes."""
        rtt_s = {step: self._handshake_s(tables, step) for step in ("undefended", "scrubbed")}
        detour_s = 2e-3 * FAST.delay_ms
        return presuming(
            self._was_flooded(tables, "scrubbed"),
            same(len(self._flood(tables, "scrubbed")), 0, "datagrams of the flood"),
            at_least(
                self._both_mbps(tables, "scrubbed", flooded=True),
                UP * self._both_mbps(tables, "undefended", flooded=False),
                unit="Mbit/s for clients",
            ),
            near(rtt_s["scrubbed"] - rtt_s["undefended"], detour_s, abs=0.002, unit="s longer"),
        ).because("a client's segments", self._shown(tables, "scrubbed"))

    @claim(
        "Copies of the service with one address divide the flood: each gets only what begins in "
        "its region, and has a link of its own.",
        source="RFC 4786 §4.1, §6.1; RFC 4732 §4.2.1",
        scenarios=(FLOODS,),
        bears_stall_s=0.05,
    )
    def copies_divide_the_flood(self, tables: Tables) -> Verdict:
        """A copy in each region."""
        regions = {"w1-eth0": ("a1", "a2"), "e1-eth0": ("a3", "a4")}
        own = {side: self._addresses(tables, hosts) for side, hosts in regions.items()}
        came = {side: set(self._flood(tables, "anycast", side)["ip_src"]) for side in regions}
        room_mbps = float(SITE.rate_mbps or 0) - self._offered_mbps / len(regions)
        room = at_least(room_mbps, self.params.link_mbps / 2, unit="Mbit/s beside the flood")
        return presuming(
            all_of(room, self._was_flooded(tables, "anycast")),
            same(came, own, "sources"),
            same(len(self._flood(tables, "anycast")), 0, "datagrams at v1"),
            *(
                at_least(
                    self._mbps(tables, "anycast", client, side, flooded=True),
                    self._mbps(tables, "undefended", client, flooded=False),
                    unit=f"Mbit/s for {client}",
                )
                for client, side in COPY_SIDES.items()
            ),
        ).because("a client's segments", self._shown(tables, "anycast", "c1", "w1-eth0"))

    # ---- what the claims look at

    def _shown(
        self, tables: Tables, step: str, client: str = "c1", capture: str = VICTIM_SIDE
    ) -> pd.DataFrame:
        return self._honest(tables, step, client, capture, flooded=True).head(4)

    def _sent(self, tables: Tables, step: str, *, flooded: bool) -> pd.DataFrame:
        """c1's segments with data as they leave it."""
        return self._honest(tables, step, "c1", CLIENT_SIDE, flooded=flooded)

    def _addresses(self, tables: Tables, hosts: tuple[str, ...]) -> set[str]:
        table = tables.of("addresses", scenario=FLOODS)
        return {str(a).split("/")[0] for a in table[table["node"].isin(hosts)]["ipv4"]}

    def _lan_rtts_s(self, tables: Tables, step: str) -> pd.Series[float]:
        """Of pings by v2, in the flood; NaN for those without a reply."""
        seen = self._packets(tables, step, NEIGHBOUR_SIDE, flooded=True)
        asked = seen[seen["icmp_type"] == ECHO].set_index("icmp_seq")["time_s"].iloc[:-1]
        told = seen[seen["icmp_type"] == ECHO_REPLY].set_index("icmp_seq")["time_s"]
        first(asked.to_frame(), f"ping of {NEIGHBOUR}")
        return told.reindex(asked.index) - asked

    def _handshake_s(self, tables: Tables, step: str) -> float:
        """From c1's SYN to the answer."""
        seen = pick(tables, step, CLIENT_SIDE, scenario=FLOODS)
        syn = first(seen[flags.has_flags(seen, "SYN", "ACK")], f"SYN of c1 in {step}")
        answer = first(seen[flags.has_flags(seen, "SYN ACK")], f"answer to c1 in {step}")
        return float(answer["time_s"] - syn["time_s"])
