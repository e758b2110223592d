"""Distributed floods against a link, reflected ones, and what stops them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from analysis import summaries, throughput
from analysis.plots import floods as plots
from testbed import Action, MissingDataError, Tables, crafted, param, programs, steps
from testbed.daemons import start
from topologies.provider import NARROW, Provider

from . import defences, reflection
from .observations import (
    ATTACKER_SIDES,
    BEFORE_S,
    COPY_SIDES,
    END_S,
    FLOODS,
    NEIGHBOUR_SIDE,
    REFLECTION,
    VICTIM_SIDE,
    arrivals,
)
from .outcomes import Outcomes
from .traffic import ATTACKERS, CLIENTS, FLOOD_PORT, NEIGHBOUR, SERVICE, VICTIM, Flood, Upload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

QUIET_S = 1.0
PING_S, BIN_S = 0.1, 0.2
CAPTURES = {
    FLOODS: ("c1-eth0", *ATTACKER_SIDES, VICTIM_SIDE, NEIGHBOUR_SIDE, *COPY_SIDES.values()),
    REFLECTION: ("a1-eth0", "d1-eth0", "d2-eth0", VICTIM_SIDE, NEIGHBOUR_SIDE),
}
SNAPLEN_BYTES = 128
WEAKER = 20
"""How many times weaker the flood is with the fault."""

FAULTS = ("none", "weak", "no-defence", "small")
_TRUNCATED = 0x02


class Ddos(Outcomes):
    """Distributed floods: a full link, reflected answers, and what stops them.

    In `flood` four sources fill the link of a customer with two servers, v1 and v2. Two clients
    upload to the service, a third flow goes to v2: first alone, then in the flood. Each step has
    one defence: none, a faster link, a black hole, a limit for each source (against true and
    against forged senders), scrubbing, and copies of the service in both regions. In `reflection`
    a1 asks name servers in v1's name.

    All packets are counted beforehand, and stay in a guest without any way out. `faults` break
    things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        link_mbps: float = param(5.0, "rate of the customer's link", unit="Mbit/s", low=3, high=8)
        source_mbps: float = param(
            2.0, "rate of each of four sources", unit="Mbit/s", low=1, high=4
        )
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("nft", "ip", "ping", "nsd", "kdig")
    guest_only = True

    def scenarios(self) -> Mapping[str, Parameters]:
        """A full link, and answers to somebody who did not ask."""
        return dict.fromkeys((FLOODS, REFLECTION), self.params)

    # ---- in the network

    def topology(self) -> Provider:
        """Two regions, a core, and a customer behind a narrow link."""
        return Provider(narrow=replace(NARROW, rate_mbps=self.params.link_mbps))

    def run(self, net: RunningNetwork) -> None:
        """One step for each defence."""
        faults = self.params.faults
        if net.scenario == FLOODS:
            net.capture(*CAPTURES[FLOODS], snaplen_bytes=SNAPLEN_BYTES)
            defences.announce(net)
            every = {name: self._flooded(name) for name in defences.DEFENCES}
        else:
            start(net, reflection.servers(net, faults))
            net.capture(*CAPTURES[REFLECTION])
            every = reflection.steps(net, faults)
        steps.play(net, every, quiet_s=QUIET_S)
        net.sleep(QUIET_S)

    def _flooded(self, name: str) -> Action:
        """Uploads, then the flood as well, with one defence."""
        p = self.params
        mbps = p.source_mbps / (WEAKER if "weak" in p.faults else 1)
        flood = Flood(mbps, BEFORE_S, END_S, forged=name.endswith("forged"))
        defence = defences.DEFENCES["undefended" if "no-defence" in p.faults else name]
        servers = defences.COPIES.values() if defence is defences.anycast else (VICTIM, VICTIM)
        ends = [(c, s, str(SERVICE)) for c, s in zip(CLIENTS, servers, strict=True)]

        def act(net: RunningNetwork) -> None:
            with defence(net), ExitStack() as stack:
                beside = (CLIENTS[1], NEIGHBOUR, net.address(NEIGHBOUR))
                uploads = [Upload(net, *end) for end in (*ends, beside)]
                events = [event for upload in uploads for event in upload.timed(END_S)]
                for node in ATTACKERS:
                    out = stack.enter_context(crafted.sender(net, node))
                    events += flood.timed(net, node, out)
                pings = (net.address(VICTIM), str(int(END_S / PING_S)), str(PING_S))
                net.start(NEIGHBOUR, *programs.argv("echoes", *pings))
                crafted.play_timed(net, *events)
                for upload in uploads:
                    upload.end()

        return act

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets by step; of name servers also their messages."""
        if data.name == FLOODS:
            return arrivals(data)
        tables = steps.measure(data, ("ip_bytes", "payload"), {"dns": summaries.dns})
        seen = tables["packets"]
        udp = seen["udp_sport"].notna()
        seen["truncated"] = [
            bool(is_udp and isinstance(p, bytes) and len(p) > 2 and p[2] & _TRUNCATED)
            for is_udp, p in zip(udp, seen.pop("payload"), strict=True)
        ]
        return {"packets": seen, "steps": tables["steps"], "addresses": tables["addresses"]}

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str | Figure]:
        """Goodput by defence, the undefended flood over time, and a truncated answer.

        Figures:
            1_goodput: What the honest flows get with each defence: two clients of the service, and
                one of its neighbour. Outlines: before the flood; filled: in the flood.
            2_undefended: What comes through the customer's link without a defence. The flood takes
                nearly all of it, because TCP gives way and the flood does not.
            3_truncated: The neighbour's resolver in the reflected flood: the answer over UDP is
                truncated, so it asks again over TCP.
        """
        found: dict[str, str | Figure] = {}
        if FLOODS in tables.scenarios:
            try:
                found = {
                    "1_goodput": self._goodput(tables),
                    "2_undefended": self._over_time(tables),
                }
            except MissingDataError:  # nothing was captured
                found = {}
        if REFLECTION in tables.scenarios:
            found["3_truncated"] = steps.ladder(
                tables, "answers-limited", NEIGHBOUR_SIDE, scenario=REFLECTION, hosts=("v2", "d2")
            )
        return found

    def _goodput(self, tables: Tables) -> Figure:
        rows = []
        for step in tables.of("steps", scenario=FLOODS)["step"]:
            sides = COPY_SIDES if step == "anycast" else dict.fromkeys(COPY_SIDES, VICTIM_SIDE)
            flows = {c: (c, side) for c, side in sides.items()}
            flows["neighbour's"] = (CLIENTS[1], NEIGHBOUR_SIDE)
            for flow, (client, side) in flows.items():
                before, during = (
                    self._mbps(tables, step, client, side, flooded=f) for f in (False, True)
                )
                row = {"before_mbps": before, "during_mbps": during}
                rows.append({"step": step, "flow": flow, **row})
        return plots.goodput(pd.DataFrame(rows))

    def _over_time(self, tables: Tables) -> Figure:
        """What comes through the link, in the step without a defence."""
        seen = tables.of("packets", scenario=FLOODS, step="undefended")
        seen = seen.assign(time_s=seen["since_s"])
        at_victim = seen[seen["capture"] == VICTIM_SIDE]
        is_data = at_victim["tcp_payload_bytes"] > 0
        beside = seen[(seen["capture"] == NEIGHBOUR_SIDE) & (seen["tcp_payload_bytes"] > 0)]
        kinds = {
            "flood": at_victim[at_victim["udp_dport"] == FLOOD_PORT],
            "clients of the service": at_victim[is_data.fillna(False).astype(bool)],
            "the neighbour's client": beside,
        }
        parts = [
            throughput.binned_mbps(found, "ip_bytes", BIN_S, END_S).assign(what=what)
            for what, found in kinds.items()
            if len(found)
        ]
        if not parts:
            raise MissingDataError("nothing came through the link")
        return plots.rates(pd.concat(parts), (BEFORE_S, END_S))
