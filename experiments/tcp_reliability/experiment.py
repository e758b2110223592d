"""TCP's reliability: damage, reordering, duplicates and loss are repaired; flow control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import conversation, segment_words
from analysis.plots import tcp_delivery as plots
from testbed import (
    ETHERNET_HEADER_BYTES,
    Action,
    Conversation,
    LinkShape,
    MissingDataError,
    Tables,
    compute_checksums,
    endpoints,
    filter_packets,
    param,
    ping,
    steps,
    unfilter,
)
from topologies.square import Square

from .conversations import (
    DISTANCES,
    INITIAL_WINDOW,
    KARN_BEFORE,
    LOST,
    PAUSE_S,
    WINDOW_STEPS,
    repairs,
    windows,
)
from .faults import FAULTS, FEW_ACKS
from .limits import Limits
from .network import (
    AHEAD,
    PATH,
    RATE_MBPS,
    counted,
    damaging,
    detouring,
    losing,
    matching,
    setting,
    shaped,
    spoiling,
)
from .repair import address_of, part_of
from .timer import Timer

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

NARROW_MBPS, NARROW_PKTS = 3.0, 15
"""The path of the sender that the network limits."""

FAT_MBPS, FAT_RTT_MS = 20.0, 200.0
JITTER_MS = 8.0
QUIET_S = 1.0
HEADERS_BYTES = 128
"""What captures keep of a packet where nobody looks at the data."""

DAMAGED, DETOURED = 4, 3
"""Numbers of the segments that the network damages and sends by the other way."""

_ENDS_S = 3000.0


class TcpReliability(Timer, Limits):
    """TCP's reliability: damage, reordering, duplicates and loss are repaired; flow control.

    h1 sends to h4 through r1, r2 and r4. On the way r1 damages, duplicates or drops chosen
    segments, or sends them by the longer way through r3. Claims follow each segment and its
    acknowledgement, and compare the retransmission timer with the formulae. In the second part h4
    reads late, slowly or not at all: its window closes, probes ask for it, and the sender's rate
    becomes one window per round-trip time.

    `faults` break things on purpose: see which claims fail with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; `part` tells the scenarios apart."""

        rtt_ms: float = param(40.0, "round-trip time of the path", unit="ms", low=20, high=80)
        part: str = param("repair", "what is shown", choices=("repair", "window"))
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("nft", "ip", "ping", "sysctl", "cat")

    def scenarios(self) -> Mapping[str, Parameters]:
        """One network for each part, side by side."""
        return {part: replace(self.params, part=part) for part in ("window", "repair")}

    # ---- in the network

    def topology(self) -> Square:
        """Two ways from r1 to r4; every link has a quarter of the delay."""
        return Square(shape=LinkShape(rate_mbps=RATE_MBPS, delay_ms=self.params.rtt_ms / 4))

    def run(self, net: RunningNetwork) -> None:
        """All steps of this part, one after another."""
        for node in ("h1", "h4"):
            net.sysctl(node, "net.ipv4.tcp_no_metrics_save", 1)
        compute_checksums("h1-eth0", "h4-eth0")(net)  # what is damaged must not pass
        for node, far in (("r1", "r3-eth0"), ("r3", "r4-eth2")):  # so that the detour is known
            ping(node, str(net.network.interface(far).IP()))(net)
        for fault in self.params.faults:
            FAULTS[fault](net)
        talks = self._talks()
        change = self._repair_steps if self.params.part == "repair" else self._window_steps
        endpoints.listen(net, "h4", talks)
        whole = self.params.part == "repair"
        net.capture("h1-eth0", "h4-eth0", snaplen_bytes=0 if whole else HEADERS_BYTES)
        acts = endpoints.actions(talks, "h1", "h4")
        ports = {name: endpoints.port(talks, name) for name in talks}
        steps.play(net, acts | change(acts, ports), quiet_s=QUIET_S)
        net.sleep(QUIET_S)

    def _repair_steps(
        self, acts: Mapping[str, Action], ports: Mapping[str, int]
    ) -> dict[str, Action]:
        """What happens to the segments of each step of the first part."""
        faults = self.params.faults
        segment_ms = (1500 + ETHERNET_HEADER_BYTES) * 8 / RATE_MBPS / 1e3
        tail = (INITIAL_WINDOW - 2, INITIAL_WINDOW - 1)
        lost = {
            name: losing(acts[name], ports[name], *numbers)
            for name, numbers in (
                ("tail-probe", tail),
                ("tail-timer", tail),
                ("sack", LOST),
                ("no-sack", LOST),
            )
        }
        samples = shaped(acts["samples"], AHEAD, jitter_ms=JITTER_MS)
        if "lossy-samples" in faults:
            samples = losing(samples, ports["samples"], 10, 20)
        exchanges = spoiling(
            acts["karn"], f"{matching(ports['karn'], KARN_BEFORE, over_bytes=45)} drop"
        )
        plain = {} if "timestamps" in faults else {"timestamps": 0}
        return {
            "damaged": counted(
                damaging(acts["damaged"], ports["damaged"], DAMAGED), "h4", "h4-counters"
            ),
            **{
                f"late-{d}": detouring(
                    acts[f"late-{d}"],
                    ports[f"late-{d}"],
                    DETOURED,
                    (DETOURED + d - 0.5) * segment_ms,
                )
                for d in DISTANCES
            },
            "duplicated": acts["duplicated"]
            if "single" in faults
            else shaped(acts["duplicated"], AHEAD, duplicate_percent=100),
            "bulk": spoiling(acts["bulk"], FEW_ACKS, "output", "h4")
            if "few-acks" in faults
            else acts["bulk"],
            "samples": samples,
            "karn": setting(exchanges, "h1", early_retrans=0, **plain),
            "tail-probe": setting(lost["tail-probe"], "h1", early_retrans=0)
            if "no-probe" in faults
            else lost["tail-probe"],
            "tail-timer": lost["tail-timer"]
            if "always-probe" in faults
            else setting(lost["tail-timer"], "h1", early_retrans=0),
            "sack": setting(lost["sack"], "h1", sack=0) if "no-sack" in faults else lost["sack"],
            "no-sack": lost["no-sack"]
            if "always-sack" in faults
            else setting(lost["no-sack"], "h1", sack=0),
        }

    def _window_steps(
        self, acts: Mapping[str, Action], ports: Mapping[str, int]
    ) -> dict[str, Action]:
        """The same for the second part."""
        faults = self.params.faults
        stalled, slow = acts["stalled"], acts["slow-receiver"]
        if "wide-windows" in faults:
            open_wide = (
                f"tcp sport {ports['slow-receiver']} tcp flags & syn == 0 tcp window set 65535"
            )
            slow = spoiling(slow, open_wide)
        if "mute" in faults:
            stalled = self._muted("stalled", 1.0, PAUSE_S + 1)
        lost_update = self._muted("lost-update", PAUSE_S - 0.1, PAUSE_S + 1)
        silly = acts["silly"]
        if "crumbs" in faults:
            crumbs = f"tcp sport {ports['silly']} tcp flags & syn == 0 tcp window set 2"
            silly = spoiling(silly, crumbs)
        fat = {name: self._fat(acts[name]) for name in ("unscaled", "scaled")}
        small = {name: self._narrow(acts[name], "narrow" in faults) for name in WINDOW_STEPS}
        answered = setting(acts["answered"], "h1", retries2=3)
        return small | {
            "stalled": stalled,
            "slow-receiver": slow,
            "lost-update": acts["lost-update"] if "no-update-lost" in faults else lost_update,
            "silly": silly,
            "unscaled": fat["unscaled"]
            if "always-scaled" in faults
            else setting(fat["unscaled"], "h1", window_scaling=0),
            "scaled": setting(fat["scaled"], "h1", window_scaling=0)
            if "unscaled" in faults
            else fat["scaled"],
            "slow-network": self._narrow(acts["slow-network"], "wide-network" not in faults),
            "answered": self._dark("answered") if "dead" in faults else answered,
            "unanswered": acts["unanswered"] if "alive" in faults else self._dark("unanswered"),
        }

    def _narrow(self, act: Action, narrow: bool) -> Action:
        """The path with a low rate and a short queue."""
        if not narrow:
            return act
        return shaped(act, AHEAD, rate_mbps=NARROW_MBPS, queue_pkts=NARROW_PKTS)

    def _fat(self, act: Action) -> Action:
        """The path fast and long."""
        for interface in PATH:
            act = shaped(act, interface, rate_mbps=FAT_MBPS, delay_ms=FAT_RTT_MS / len(PATH))
        return act

    def _muted(self, name: str, begin_s: float, end_s: float) -> Action:
        """A conversation; for some time nothing that h4 sends gets through."""

        def act(net: RunningNetwork) -> None:
            client = endpoints.connect(net, self._talks(), name, "h1", "h4")
            net.sleep(begin_s)
            port = endpoints.port(self._talks(), name)
            filter_packets("r1", "forward", f"tcp sport {port} drop")(net)
            net.sleep(end_s - begin_s)
            unfilter("r1")(net)
            client.wait(_ENDS_S)

        return act

    def _dark(self, name: str) -> Action:
        """A conversation; the path dies while the window is closed."""

        def act(net: RunningNetwork) -> None:
            client = endpoints.connect(net, self._talks(), name, "h1", "h4")
            net.sleep(PAUSE_S / 2)
            net.silence(AHEAD)
            client.wait(_ENDS_S)

        return act

    def _talks(self) -> Mapping[str, Conversation]:
        if self.params.part == "repair":
            return repairs(self.params.faults)
        return windows(self.params.faults)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and segments by step, what both ends reported, and h4's counters."""
        is_repair = self.params.part == "repair"  # there data may change on the way
        tables = steps.measure(data, (*conversation.COLUMNS, *["payload"] * is_repair))
        tables["segments"] = conversation.segments(tables["packets"])
        packets = tables["packets"].drop(columns="payload", errors="ignore")
        tables["packets"] = segment_words.described(packets, windows=True)
        tables["calls"] = endpoints.calls(data, tables["steps"], ("h1", "h4"))
        if is_repair:
            tables["counters"] = _counters(data)
        return tables

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """The window, the probes, the timer, and what SACK saves.

        Figures:
            1_window: What h1 has sent, what is acknowledged, and how far it may send. The receiver
                does not read for ten seconds: the window shrinks to nothing, probes ask for it at
                doubling intervals, and reading opens it again.
            2_timer: The round-trip times of forty exchanges over a path with jitter, SRTT, RTTVAR
                and the timer: the kernel's (lines) and those of the formulae (dots). The kernel's
                RTTVAR falls below the formula's after samples far below SRTT.
            3_four_losses: The same four losses with and without SACK; crosses are retransmissions.
                Without SACK each of them takes a round trip.
            4_throughput: The rate of a sender by the receiver's window. On the line it is the
                window over the round-trip time.
            5_window_scale: What has arrived over a long fat path, with and without window scaling.
            6_two_limits: Bytes in flight and the receiver's window. A slow receiver limits the
                sender by its window, and nothing is lost. On a slow network the window is wide, and
                losses (crosses) slow the sender down.
            7_duplicates: The network delivers every segment twice; h4 reports each duplicate in a
                SACK block below the acknowledgement.
            8_tail_probe: The last two segments are lost. The probe repeats the last one, and its
                SACK reveals the other.
            9_zero_window: The last segments before the window closes, the probes and their answers,
                and the window update.
        """
        drawn: dict[str, Any] = {}
        if "repair" in tables.scenarios:
            again = {name: self._seen(tables, name) for name in ("sack", "no-sack")}
            drawn |= {
                "2_timer": plots.timer(self._estimates(tables)),
                "3_four_losses": plots.losses(again, address_of(tables, "h1")),
                "7_duplicates": self._ladder(tables, "duplicated", "h4-eth0"),
                "8_tail_probe": self._ladder(tables, "tail-probe", "h1-eth0"),
            }
        if "window" in tables.scenarios:
            flights = {
                name: self._flight(tables, name) for name in ("slow-receiver", "slow-network")
            }
            arrived = {n: self._sent(tables, n, "h4-eth0") for n in ("unscaled", "scaled")}
            drawn |= {
                "1_window": plots.window(
                    self._sent(tables, "stalled"),
                    self._windows(tables, "stalled", "h1-eth0"),
                    self._probes(tables, "stalled"),
                ),
                "4_throughput": plots.by_window(self._by_window(tables)),
                "5_window_scale": plots.arrived(arrived),
                "6_two_limits": plots.limits(
                    flights, {name: self._repeated(tables, name) for name in flights}
                ),
                "9_zero_window": self._ladder(
                    tables, "stalled", "h1-eth0", frame=self._frames_around(tables, "stalled")
                ),
            }
        return dict(sorted(drawn.items()))

    def _ladder(self, tables: Tables, name: str, capture: str, **equals: Any) -> str:
        part = part_of(tables, name)
        ends = ("h1", "h4")
        return steps.ladder(
            tables, name, capture, scenario=part, hosts=ends, ip_version=4, **equals
        )

    def _frames_around(self, tables: Tables, name: str) -> list[int]:
        """Packets while the window was closed, some before and some after, at h1."""
        closed_s, opened_s = self._closed(tables, name)
        seen = self._seen(tables, name)
        first, last = np.searchsorted(seen["time_s"], [closed_s, opened_s])
        return [int(n) for n in seen["frame"].iloc[max(0, first - 4) : last + 3]]


def _counters(data: ScenarioData) -> pd.DataFrame:
    """How far h4's TCP counters went on in the step with the damaged segment."""
    found = []
    for when in ("before", "after"):
        lines = [line.split() for line in data.log(f"h4-counters-{when}").splitlines()]
        tcp = [line[1:] for line in lines if line[0] == "Tcp:"]
        if len(tcp) != 2:
            raise MissingDataError(f"h4 did not report its counters {when} the damage")
        found.append(dict(zip(tcp[0], map(int, tcp[1]), strict=True)))
    before, after = found
    return pd.DataFrame([{name: after[name] - before[name] for name in after}])
