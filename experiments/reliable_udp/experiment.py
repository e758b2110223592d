"""Three classic protocols that make UDP reliable, on a link that does everything wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import throughput
from analysis.plots import congestion as rate_plots
from analysis.plots import reliability as plots
from testbed import (
    Action,
    LinkShape,
    Tables,
    bulk_flows,
    compute_checksums,
    param,
    ping,
    steps,
)
from topologies.dumbbell import BOTTLENECK, BOTTLENECK_FAR, Dumbbell

from . import go_back_n, selective_repeat, stop_and_wait, transfers
from .efficiency import Efficiency
from .transfers import PORT, Transfer

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

QUIET_S = 1.0
SWEEP_PIECES, BAD_PIECES, SWAP_PIECES, SWAP_EVERY, SWAP_WINDOW = 100, 150, 40, 5, 4
TCP_PORT, ALONE_S, BESIDE_S, BIN_S = 40_001, 2.0, 3.0, 0.2
"""How long a TCP flow has the bottleneck alone before, and next to the transfer."""

FLOWS = ("TCP", "new data", "useless copies")
TITLES = {
    "stop_and_wait": "stop-and-wait",
    "go_back_n": "go-back-N",
    "selective_repeat": "selective repeat",
}
PROTOCOLS = tuple(TITLES)
PROGRESS_S = 0.6
"""How much of the lossy transfer the figure shows."""

LADDER_PKTS = 21
FAULTS = tuple("none trusting no-crc half-window late-timer no-room forgetful polite".split())
"""What is broken on purpose; see `_transfer`."""


class ReliableUdp(Efficiency):
    """Reliability built on UDP: stop-and-wait, go-back-N and selective repeat.

    tx1 sends numbered pieces of data to rx1 by each of the three protocols: over a clean link with
    several windows, over one that loses packets both ways, over one that also doubles, reorders and
    damages them, with datagrams in which two words are exchanged behind UDP's back, and next to a
    TCP flow. The protocols are small programs without clock or sockets (`go_back_n.py` and so on).

    `faults` break things on purpose: see which claims fail with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment; the scenarios vary the protocol."""

        protocol: str = param("go_back_n", "how to make UDP reliable", choices=PROTOCOLS)
        rate_mbps: float = param(10.0, "rate of every link", unit="Mbit/s", low=1, high=100)
        delay_ms: float = param(
            10.0, "delay of the bottleneck, one way", unit="ms", low=1, high=100
        )
        loss_percent: float = param(5.0, "losses in each direction", unit="%", low=1, high=20)
        timeout_ms: float = param(60.0, "retransmission timer", unit="ms", low=5, high=2000)
        pieces: int = param(250, "pieces of data in lossy transfers", low=100, high=10_000)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters

    def scenarios(self) -> Mapping[str, Parameters]:
        """Each protocol in a network of its own."""
        return {name: replace(self.params, protocol=name) for name in PROTOCOLS}

    # ---- in the network

    def topology(self) -> Dumbbell:
        """All links have the same rate, so that a lone sender waits at its own interface."""
        p = self.params
        bottleneck = LinkShape(rate_mbps=p.rate_mbps, delay_ms=p.delay_ms, queue_pkts=100)
        access = LinkShape(rate_mbps=p.rate_mbps, delay_ms=transfers.ACCESS_MS)
        return Dumbbell(pairs=2, bottleneck=bottleneck, access=access)

    def run(self, net: RunningNetwork) -> None:
        """All transfers, one after another."""
        compute_checksums("tx1-eth0", "rx1-eth0")(net)
        ping("tx1", net.address("rx1"))(net)  # no transfer waits for ARP
        net.capture("tx1-eth0", "rx2-eth0", snaplen_bytes=96)
        net.capture("rx1-eth0")
        steps.play(net, self._steps(), quiet_s=QUIET_S)

    def _steps(self) -> dict[str, Action]:
        p = self.params
        windows = (1,) if p.protocol == "stop_and_wait" else self.link.windows
        few = min(SWAP_WINDOW, windows[-1])
        full, widest = windows[len(windows) // 2], windows[-1]
        endless = round(BESIDE_S / self.link.frame_s)
        bad = ("loss_percent", "duplicate_percent", "reorder_percent", "corrupt_percent")
        return {
            **{f"clean-{w}": self._transfer("clean", w, _rounds(w)) for w in windows},
            **{
                f"lossy-{w}": self._on(self._transfer("lossy", w, p.pieces), "loss_percent")
                for w in dict.fromkeys((full, widest))
            },
            "bad": self._on(self._transfer("bad", widest, BAD_PIECES), *bad),
            "swapped": self._transfer("swapped", few, SWAP_PIECES, swap_every=SWAP_EVERY),
            "beside": self._beside(self._transfer("beside", widest, endless, seconds=BESIDE_S)),
        }

    def _transfer(self, kind: str, window: int, pieces: int, **more: Any) -> Transfer:
        """A transfer with the faults that concern its kind."""
        p, faults = self.params, set(self.params.faults)
        room = 1 if "no-room" in faults else window
        timeout_s = p.timeout_ms / 1e3
        if kind == "clean" and "half-window" in faults:
            window = max(1, window // 2)
        if kind == "lossy" and "late-timer" in faults:
            timeout_s *= 2
        if kind == "beside" and "polite" in faults:
            window = 1
        mine = faults & {"no-crc", {"bad": "trusting", "lossy": "forgetful"}.get(kind, "none")}
        return Transfer(p.protocol, window, pieces, timeout_s, room, faults=mine, **more)

    def _on(self, act: Action, *imperfections: str) -> Action:
        """Acts while both directions of the bottleneck's wire have imperfections."""

        def acting(net: RunningNetwork) -> None:
            sound = {end: net.shape(end) for end in (BOTTLENECK, BOTTLENECK_FAR)}
            for end, shape in sound.items():
                wrong: dict[str, Any] = dict.fromkeys(imperfections, self.params.loss_percent)
                net.reshape(end, replace(shape, **wrong))
            act(net)
            for end, shape in sound.items():
                net.reshape(end, shape)

        return acting

    def _beside(self, act: Action) -> Action:
        """Acts while a TCP flow, which began before, fills the bottleneck."""

        def acting(net: RunningNetwork) -> None:
            bulk_flows.receive(net, "rx2")
            seconds = ALONE_S + BESIDE_S
            target = net.address("rx2")
            bulk_flows.send(net, "tx2", target, cc="reno", seconds=seconds, sport=TCP_PORT)
            net.sleep(ALONE_S)
            net.event("transfer-begins")
            act(net)

        return acting

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """One row per transfer, all frames of the protocols, and TCP's rate next to the last."""
        announced = data.happened("step")

        def beginnings(packets: pd.DataFrame) -> pd.DataFrame:
            ours = packets[packets["udp_dport"].eq(PORT) | packets["udp_sport"].eq(PORT)]
            step = pd.Series(steps.step_at(announced, ours["time_s"]), index=ours.index)
            return ours[ours.groupby(step).cumcount() < LADDER_PKTS]

        tables = steps.measure(
            data,
            ("payload", "wire_bytes", "captured_bytes"),
            {"messages": transfers.messages},
            beginnings,
        )
        seen = transfers.frames(data, tables["steps"])
        sent, received = (
            steps.json_logs(data, tables["steps"], f"peer-{what}", having=having)
            for what, having in (("send", "done"), ("receive", "numbers"))
        )
        found = transfers.summary(tables["steps"], seen, sent, received)
        tables["transfers"] = found
        tables["frames"] = seen
        return tables | _rates(data, seen)

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """Utilisation over the window, data over time, the rates next to TCP, and ladders.

        Figures:
            1_utilisation: What each protocol makes of the link, with and without losses. Beyond the
                window that the path holds, go-back-N gains nothing; with losses it only sends
                more in vain.
            2_progress: Pieces sent over time on the lossy link, for the first time and again. Each
                of go-back-N's teeth is a timeout; selective repeat goes on with new pieces while it
                repeats what was lost.
            3_beside_tcp: None of the three looks at the network. Stop-and-wait is harmless because
                it is slow; the others take the link from TCP, and fill it with copies of what has
                arrived.
            4_stop_and_wait: Two words of piece 4 have changed places, which UDP does not notice and
                the CRC does. No acknowledgement comes, and the piece is sent again.
            5_go_back_n: The same with a window of four. Pieces 5 to 7 arrive, and are thrown away;
                the acknowledgements repeat which piece is missing.
            6_selective_repeat: The same again. Pieces 5 to 7 are kept and acknowledged, and piece 4
                alone is sent again.
        """
        ladder = partial(steps.ladder, tables, "swapped", "rx1-eth0")
        lines = {name: self._formulae(name) for name in PROTOCOLS}
        found = tables.of("transfers")
        found = found[found["reported"].astype(bool)]
        used = found.assign(used=[self._used(row) for row in found.to_dict("records")])
        flows = pd.DataFrame(
            [{"scenario": n, "flow": f, "label": f} for n in PROTOCOLS for f in FLOWS]
        )
        setting = pd.DataFrame(
            [{"scenario": n, "rate_mbps": self.params.rate_mbps} for n in PROTOCOLS]
        )
        return {
            "1_utilisation": plots.utilisation(used, lines, TITLES),
            "2_progress": plots.progress(tables.of("frames"), found, TITLES, PROGRESS_S),
            "3_beside_tcp": rate_plots.goodput(tables.of("rates"), flows, setting, TITLES),
            "4_stop_and_wait": ladder(scenario="stop_and_wait"),
            "5_go_back_n": ladder(scenario="go_back_n"),
            "6_selective_repeat": ladder(scenario="selective_repeat"),
        }

    def _formulae(self, name: str) -> dict[str, dict[int, float]]:
        """Each kind's utilisation in percent, by window."""
        link, loss = self.link, self.params.loss_percent / 100
        times = (link.frame_s, link.cycle_s, link.timeout_s)
        if name == "stop_and_wait":
            kinds = {"clean": 0.0, "lossy": self._failed}
            return {k: {1: 100 * stop_and_wait.utilisation(*times, p)} for k, p in kinds.items()}
        windows = range(1, link.windows[-1] + 1)
        clean = {w: 100 * go_back_n.utilisation(*times, w, 0) for w in windows}
        wide = [w for w in windows if w >= link.pipe_frames]
        if name == "go_back_n":
            lossy = {w: 100 * go_back_n.utilisation(*times, w, loss) for w in wide}
        else:
            lasting = [w for w in wide if w * link.frame_s >= link.cycle_s + link.timeout_s]
            lossy = dict.fromkeys(lasting, 100 * selective_repeat.utilisation(self._failed))
        return {"clean": clean, "lossy": lossy}


def _rounds(window: int) -> int:
    """Pieces of data for whole rounds of a window, and one more to end the last round."""
    return 1 + window * max(2, round(SWEEP_PIECES / window))


def _rates(data: ScenarioData, seen: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """TCP's goodput and the transfer's around the last step's beginning."""
    began_s = data.moment("transfer-begins")
    columns = ("ip_src", "tcp_sport", "tcp_seq", "tcp_payload_bytes", "wire_bytes")
    tcp = throughput.arrivals(data.packets("rx2-eth0", columns), data.address("tx2"), TCP_PORT)
    came = seen[(seen["capture"] == "rx1-eth0") & ~seen["ack"] & (seen["step"] == "beside")]
    new = ~came["number"].duplicated()
    size = transfers.PIECE_BYTES
    flows = {
        "TCP": tcp,
        "new data": pd.DataFrame({"time_s": came["time_s"], "new_bytes": new * size}),
        "useless copies": pd.DataFrame({"time_s": came["time_s"], "new_bytes": ~new * size}),
    }
    windows = {
        "before": (began_s - ALONE_S / 2, began_s),
        "beside": (began_s + BESIDE_S / 2, began_s + BESIDE_S),
    }
    shares = [
        {"phase": phase, "flow": flow, "mbps": throughput.rate_mbps(rows, "new_bytes", *window)}
        for phase, window in windows.items()
        for flow, rows in flows.items()
    ]
    rates = []
    for flow, rows in flows.items():
        shifted = rows.assign(time_s=rows["time_s"] - began_s + ALONE_S)
        binned = throughput.binned_mbps(
            shifted[shifted["time_s"] >= 0], "new_bytes", BIN_S, ALONE_S + BESIDE_S
        )
        rates.append(binned.assign(flow=flow))
    return {"shares": pd.DataFrame(shares), "rates": pd.concat(rates, ignore_index=True)}
