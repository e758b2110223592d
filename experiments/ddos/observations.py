"""What the claims look at: what arrived where, in each step."""

from __future__ import annotations

import pandas as pd

from analysis import packets
from testbed import (
    Experiment,
    MissingDataError,
    ScenarioData,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    pick,
    same,
    steps,
)

from .traffic import ATTACKERS, FLOOD_PORT, Flood

FLOODS, REFLECTION = "flood", "reflection"
BEFORE_S, FLOOD_S = 3.0, 5.0
"""Each step: honest uploads alone, then with the flood."""

END_S = BEFORE_S + FLOOD_S

SETTLE_S = 1.0
"""Left out at the begin of both."""

VICTIM_SIDE, NEIGHBOUR_SIDE, CLIENT_SIDE = "v1-eth0", "v2-eth0", "c1-eth0"
COPY_SIDES = {"c1": "w1-eth0", "c2": "e1-eth0"}
ATTACKER_SIDES = ("a1-eth0", "a3-eth0")
"""One in each region."""

UDP, TCP = 17, 6

_COLUMNS = (
    "frame",
    "ip_src",
    "ip_dst",
    "ip_proto",
    "ip_bytes",
    "tcp_flags",
    "tcp_payload_bytes",
    "udp_dport",
    "icmp_type",
    "icmp_seq",
)


def arrivals(data: ScenarioData) -> dict[str, pd.DataFrame]:
    """All packets with a few columns, by step; nobody reads descriptions of a flood."""
    begun = data.events("step").drop(columns=["time_ns", "event"], errors="ignore")
    if begun.empty:
        raise MissingDataError("the run announced no step")
    parts = []
    for capture in data.captures():
        found = data.packets(capture, _COLUMNS)
        found = found[_matters(found)]
        found = found.astype(dict.fromkeys(found.select_dtypes("category").columns, "object"))
        found.insert(0, "capture", capture)
        found.insert(1, "step", steps.step_at(begun, found["time_s"]))
        parts.append(found)
    addresses = pd.DataFrame(data.network["addresses"])
    seen = pd.concat(parts, ignore_index=True)
    since_s = seen["step"].map(dict(zip(begun["step"], begun["time_s"], strict=True)))
    seen["since_s"] = seen["time_s"] - since_s.astype(float)
    return {"steps": begun, "packets": seen, "addresses": addresses}


def _matters(found: pd.DataFrame) -> pd.Series[bool]:
    """All but mere acknowledgements."""
    is_bare = (found["ip_proto"] == TCP) & (found["tcp_payload_bytes"] == 0)
    return ~(is_bare & ~packets.has_flags(found, "SYN")).fillna(False).astype(bool)


class Observations(Experiment):
    """What the claims look at."""

    def _packets(self, tables: Tables, step: str, capture: str, *, flooded: bool) -> pd.DataFrame:
        """What was seen of a step, before or in the flood.

        Raises:
            MissingDataError: nothing at all was captured there.
        """
        seen = pick(tables, step, capture, scenario=FLOODS)
        if step == "undefended" and seen.empty:
            raise MissingDataError(f"no packets at {capture}")
        begin_s = SETTLE_S + (BEFORE_S if flooded else 0.0)
        end_s = BEFORE_S + (FLOOD_S if flooded else 0.0)
        inside = seen["since_s"].between(begin_s, end_s)
        return seen[inside]

    def _flood(self, tables: Tables, step: str, capture: str = VICTIM_SIDE) -> pd.DataFrame:
        """Datagrams of the flood that came."""
        found = self._packets(tables, step, capture, flooded=True)
        return found[(found["ip_proto"] == UDP) & (found["udp_dport"] == FLOOD_PORT)]

    def _was_flooded(self, tables: Tables, step: str) -> Verdict:
        """In each region an attacker sent all its datagrams; else a defence shows nothing."""
        count = Flood(float(self.params.source_mbps), BEFORE_S, END_S).count
        sent = {
            side: pick(tables, step, side, scenario=FLOODS, ip_proto=UDP, udp_dport=FLOOD_PORT)
            for side in ATTACKER_SIDES
        }
        return all_of(
            *(same(len(found), count, f"datagrams sent at {side}") for side, found in sent.items())
        )

    @property
    def _overloads(self) -> Verdict:
        """The setting's flood is as fast as the link, or faster."""
        link_mbps = float(self.params.link_mbps)
        return at_least(self._offered_mbps, link_mbps, unit="Mbit/s", what="flood")

    def _honest(
        self, tables: Tables, step: str, client: str, capture: str, *, flooded: bool
    ) -> pd.DataFrame:
        """A client's segments with data at a server."""
        found = self._packets(tables, step, capture, flooded=flooded)
        own = address(tables, f"{client}-eth0", scenario=FLOODS)
        mine = (found["ip_src"] == own) & (found["ip_proto"] == TCP)
        return found[mine & (found["tcp_payload_bytes"] > 0)]

    def _mbps(
        self, tables: Tables, step: str, client: str, capture: str = VICTIM_SIDE, *, flooded: bool
    ) -> float:
        """A client's goodput."""
        found = self._honest(tables, step, client, capture, flooded=flooded)
        return _mbps(found["tcp_payload_bytes"], flooded)

    def _both_mbps(self, tables: Tables, step: str, *, flooded: bool) -> float:
        """Goodput of both clients of the service, wherever it is."""
        sides = COPY_SIDES if step == "anycast" else dict.fromkeys(COPY_SIDES, VICTIM_SIDE)
        return sum(self._mbps(tables, step, c, side, flooded=flooded) for c, side in sides.items())

    def _flood_mbps(self, tables: Tables, step: str, capture: str = VICTIM_SIDE) -> float:
        """Rate of the flood that came."""
        return _mbps(self._flood(tables, step, capture)["ip_bytes"], True)

    @property
    def _offered_mbps(self) -> float:
        """Rate of all sources together."""
        return len(ATTACKERS) * float(self.params.source_mbps)


def _mbps(sizes_bytes: pd.Series[int], flooded: bool) -> float:
    span_s = (FLOOD_S if flooded else BEFORE_S) - SETTLE_S
    return 8e-6 * float(sizes_bytes.sum()) / span_s
