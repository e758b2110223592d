"""Flows that a learning switch gets from its controller."""

from __future__ import annotations

import pandas as pd

from analysis import flow_tables
from testbed import Experiment, MissingDataError, Tables, Verdict, all_of, between, claim, near

CONTROL = "c0-lo"

EXPIRY_SLACK_S = 2.5
"""Open vSwitch looks for idle flows about once a second, and reads the kernel's counters before."""


class Flows(Experiment):
    """Flows that a learning switch gets from its controller."""

    @claim(
        "Only the first packet of a flow goes to the controller, once at each switch on its way.",
        source="OpenFlow 1.3.5 (TS-012) §5.4",
        scenarios=("learning",),
        bears_stall_s=0.002,
    )
    def first_packet_goes_to_controller(self, tables: Tables) -> Verdict:
        """PACKET_INs that carry h1's echo requests."""
        asked = tables.of("pings", scenario="learning", step="first")
        messages = tables.of("messages", scenario="learning", step="first", type="PACKET_IN")
        echoes = messages[(messages["icmp_type"] == 8).fillna(False)]
        counts = [int((echoes["icmp_seq"] == seq).sum()) for seq in asked["icmp_seq"]]
        return all_of(
            *(
                [near(counts[0], 2, abs=0, unit="packet-ins of the first")]
                + [near(count, 0, abs=0, unit="of a later one") for count in counts[1:]]
            )
        ).because(
            "packet-ins with echo requests", echoes["frame"], scenario="learning", capture=CONTROL
        )

    @claim(
        "The first packet pays one round trip to the controller at each switch on its way.",
        source="OpenFlow 1.3.5 (TS-012) §5.4; Kurose & Ross, §5.5",
        scenarios=("learning",),
        bears_stall_s=0.002,
    )
    def first_packet_pays(self, tables: Tables) -> Verdict:
        """The first echo's round-trip time less that of the others; the reply finds flows."""
        asked = tables.of("pings", scenario="learning", step="first")
        paid_ms = asked["rtt_ms"].iloc[0] - asked["rtt_ms"].iloc[1:].median()
        expected_ms = 2 * 2 * self.params.control_delay_ms
        return near(paid_ms, expected_ms, abs=0.5 + 0.02 * expected_ms, unit="ms").because(
            "echoes of h1", asked[["frame", "icmp_seq", "rtt_ms"]], scenario="learning"
        )

    @claim(
        "Once its flow is installed, a packet is as fast as through Linux bridges.",
        source="OpenFlow 1.3.5 (TS-012) §5",
        scenarios=("learning", "bridge"),
        bears_stall_s=0.002,
    )
    def later_packets_are_as_fast(self, tables: Tables) -> Verdict:
        """Median round-trip times of all echoes but the first."""
        later = {
            name: tables.of("pings", scenario=name, step="first").iloc[1:]
            for name in ("learning", "bridge")
        }
        median_ms = {name: float(pings["rtt_ms"].median()) for name, pings in later.items()}
        verdict = near(median_ms["learning"], median_ms["bridge"], rel=0.05, unit="ms")
        return verdict.because(
            "later echoes", pd.concat(later.values())[["scenario", "time_s", "rtt_ms"]]
        )

    @claim(
        "A frame to an address nobody has shown is flooded; one to a learnt address is not.",
        source="IEEE 802.1D §7.7.2, §7.8",
        scenarios=("learning", "bridge"),
    )
    def unknown_is_flooded(self, tables: Tables) -> Verdict:
        """Echo requests of h1 that h3, at the same switch, overhears."""
        verdicts, shown = [], []
        for name in ("learning", "bridge"):
            tables.of("pings", scenario=name, step="first")
            heard = tables.of("overheard", scenario=name)
            counts = heard["step"].value_counts()
            shown.append(heard.head(4))
            verdicts += [
                near(int(counts.get("unknown", 0)), 2, abs=0, unit="of 2 to nobody overheard"),
                near(int(counts.get("first", 0)), 0, abs=0, unit="of 5 to h2 overheard"),
            ]
        return all_of(*verdicts).because("what h3 overheard", pd.concat(shown))

    @claim(
        "A flow that carries no packet for its idle timeout ends.",
        source="OpenFlow 1.3.5 (TS-012) §5.5",
        scenarios=("learning",),
        bears_stall_s=0.05,
    )
    def idle_flows_end(self, tables: Tables) -> Verdict:
        """h1's flows at s1: from h1's last frame in each to its removal."""
        idle_s = self.params.idle_s
        changes = tables.of("changes", scenario="learning", switch="s1")
        spoken = tables.of("spoken", scenario="learning")
        end_s = tables.row("steps", scenario="learning", step="end")["time_s"]
        lives = flow_tables.idle_times(changes, spoken, end_s)
        if lives.empty:
            raise MissingDataError("no flow of h1 was installed")
        return all_of(
            *(between(x, idle_s - 0.5, idle_s + EXPIRY_SLACK_S, unit="s") for x in lives["idle_s"])
        ).because("h1's flows at s1", lives, scenario="learning")
