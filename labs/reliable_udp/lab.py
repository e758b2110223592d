"""The lab on reliable UDP: a sender and a receiver by students, over links that do not help."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from testbed import (
    Assignment,
    ConvergenceError,
    LinkShape,
    SeededRandom,
    Verdict,
    at_least,
    at_most,
    claim,
    compute_checksums,
    filter_packets,
    holds,
    param,
    share_of,
)
from topologies.dumbbell import BOTTLENECK, BOTTLENECK_FAR, Dumbbell

if TYPE_CHECKING:
    from testbed import Process, RunningNetwork, ScenarioData, Tables

SENDER, RECEIVER, DATA = "sender.py", "receiver.py", "data.bin"
SHOWN = f"/in/{DATA}"
"""The file to send, in the sender's sandbox only."""

FRAME_BYTES, HEADERS_BYTES = 1514, 14 + 20 + 8
"""A full frame, and what of it is not the program's: Ethernet, IPv4, UDP."""

LONGEST_S, AFTER_S = 60.0, 15.0
"""How long the sender may take; how long the receiver may then take to end."""

SHARES = (0.15, 0.35, 0.55)
"""Of the bound, for a third of the points each."""

QUEUE_BDP = 2.5
"""The link's queue, in round trips of full frames."""

BAD_BYTES, FAST_BYTES = 40_000, 1_000_000
_START_S, _REST_S = 1.0, 1.0


@dataclass(frozen=True)
class Transfer:
    """One file to transfer.

    Attributes:
        name: what is special about it.
        size_bytes: of the file.
        loss_percent: in each direction.
        other_percent: packets doubled, packets overtaking, packets damaged; on the way to rx1.
        outage_s: from when to when after the sender's start the link loses everything.
    """

    name: str
    size_bytes: int
    loss_percent: float = 0.0
    other_percent: float = 0.0
    outage_s: tuple[float, float] = (0.0, 0.0)


class Lab(Assignment):
    """Make UDP reliable, and fast."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant; `plan` is the list of transfers of a scenario."""

        rate_mbps: float = param(8.0, "rate of the link", unit="Mbit/s", low=1, high=100)
        delay_ms: float = param(20.0, "its delay, one way", unit="ms", low=1, high=500)
        loss_percent: float = param(3.0, "losses of the fast transfer", unit="%", low=0, high=20)
        port: int = param(7000, "the receiver's port", low=1024, high=65_535)
        plan: str = param("bad", "which transfers to run", choices=("bad", "fast", "unseen"))

    params: Parameters

    @classmethod
    def variant(cls, random: SeededRandom) -> dict[str, Any]:
        """Rate, delay, loss and port."""
        return {
            "rate_mbps": float(random.integer(6, 10)),
            "delay_ms": float(random.integer(15, 25)),
            "loss_percent": random.choice((2.0, 2.5, 3.0)),
            "port": random.integer(5000, 9000),
        }

    def scenarios(self) -> Mapping[str, Parameters]:
        """The bad links, and the fast transfer."""
        return {name: replace(self.params, plan=name) for name in ("bad", "fast")}

    def transfers(self) -> list[Transfer]:
        """The transfers of this scenario."""
        p = self.params
        if p.plan == "fast":
            return [Transfer("fast", FAST_BYTES, p.loss_percent)]
        return [
            Transfer("clean", BAD_BYTES),
            Transfer("loss", BAD_BYTES, 20.0),
            Transfer("doubled, reordered", BAD_BYTES, 0.0, 20.0),
            Transfer("all of it", BAD_BYTES, 10.0, 20.0),
            Transfer("all of it again", BAD_BYTES, 10.0, 20.0),
        ]

    def content(self, transfer: Transfer) -> bytes:
        """The file's bytes."""
        return random.Random(f"{transfer.name} {self.params.port}").randbytes(transfer.size_bytes)

    # ---- the variant, for handout and solution

    @property
    def frame_s(self) -> float:
        """Transmission time of a full frame."""
        return FRAME_BYTES * 8 / self.params.rate_mbps / 1e6

    @property
    def bound_mbps(self) -> float:
        """What can arrive of the file: the frames' share of data, less the losses."""
        p = self.params
        share = (FRAME_BYTES - HEADERS_BYTES) / FRAME_BYTES
        return p.rate_mbps * share * (1 - p.loss_percent / 100)

    # ---- in the network

    def topology(self) -> Dumbbell:
        """One link between tx1 and rx1; its queue holds some round trips."""
        p = self.params
        round_trip = LinkShape(rate_mbps=p.rate_mbps, delay_ms=p.delay_ms, queue_bdp=QUEUE_BDP)
        return Dumbbell(pairs=1, bottleneck=round_trip)

    def run(self, net: RunningNetwork) -> None:
        """All transfers, one after another; r1 passes on UDP only, without its checksum."""
        compute_checksums("tx1-eth0")(net)  # otherwise r1 would complete them
        filter_packets("r1", "postrouting", "oifname r1-eth0 udp checksum set 0")(net)
        filter_packets("r1", "forward", "meta l4proto != { udp, icmp } drop")(net)
        filter_packets("r1", "forward", "meta l4proto != { udp, ipv6-icmp } drop", "ip6")(net)
        net.capture("tx1-eth0", "rx1-eth0", snaplen_bytes=64)
        for number, transfer in enumerate(self.transfers()):
            net.sleep(_REST_S)
            self._transfer(net, number, transfer)

    def _transfer(self, net: RunningNetwork, number: int, transfer: Transfer) -> None:
        """Runs both programs until they end, or for as long as they may take."""
        file = net.path / DATA
        file.write_bytes(self.content(transfer))
        self._shape(net, transfer)
        port = str(self.params.port)
        read = ["python3", RECEIVER, port, "/out/received"]
        receiver = self.submission.start_program(net, "rx1", read, log=f"receiver-{number}")
        net.sleep(_START_S)
        net.event("transfer", number=number, source=net.address("tx1"))
        send = ["python3", SENDER, net.address("rx1"), port, SHOWN]
        shown = {SHOWN: str(file)}
        sender = self.submission.start_program(
            net, "tx1", send, log=f"sender-{number}", shown=shown
        )
        begins_s, ends_s = transfer.outage_s
        if ends_s:
            net.sleep(begins_s)
            net.silence(BOTTLENECK)
            net.sleep(ends_s - begins_s)
            self._shape(net, transfer)
        sent = _code(sender, LONGEST_S)
        net.event("sent", number=number, code=sent)
        net.event("received", number=number, code=_code(receiver, AFTER_S))
        sender.stop()
        receiver.stop()

    def _shape(self, net: RunningNetwork, transfer: Transfer) -> None:
        """Makes the wire lose, double, reorder and damage packets."""
        p = self.params
        back = LinkShape(
            rate_mbps=p.rate_mbps,
            delay_ms=p.delay_ms,
            queue_bdp=QUEUE_BDP,
            loss_percent=transfer.loss_percent,
        )
        there = replace(
            back,
            duplicate_percent=transfer.other_percent,
            reorder_percent=transfer.other_percent,
            corrupt_percent=transfer.other_percent,
        )
        net.reshape(BOTTLENECK, there)
        net.reshape(BOTTLENECK_FAR, back)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """One row per transfer: what arrived, when, and how much was sent for it."""
        times = {
            event: data.events(event).set_index("number")
            for event in ("transfer", "sent", "received")
        }
        columns = ("ip_src", "wire_bytes")
        seen = {node: data.packets(f"{node}-eth0", columns) for node in ("tx1", "rx1")}
        rows = []
        for number, transfer in enumerate(self.transfers()):
            if number not in times["received"].index:
                continue
            began_s, ended_s = (float(times[e]["time_s"][number]) for e in ("transfer", "received"))
            left, came = (
                packets[
                    packets["time_s"].between(began_s, ended_s)
                    & (packets["ip_src"].astype(str) == times["transfer"]["source"][number])
                ]
                for packets in seen.values()
            )
            rows.append(
                {
                    "file": transfer.name,
                    "size_bytes": transfer.size_bytes,
                    "fault": _difference(data, number, self.content(transfer)),
                    "seconds": float(came["time_s"].max()) - began_s,
                    "sender": str(times["sent"]["code"][number]),
                    "receiver": str(times["received"]["code"][number]),
                    "wire_bytes": int(left["wire_bytes"].sum()),
                }
            )
        return {"transfers": pd.DataFrame(rows)}

    # ---- public checks

    @claim(
        "Every file arrives as it was, whatever the link does.",
        source="RFC 1122 §4.1.1",
        scenarios=("bad",),
    )
    def files_arrive(self, tables: Tables) -> Verdict:
        """The received files against those sent."""
        return share_of(self._arrived(tables, "bad"))

    @claim(
        "Both programs end by themselves and say that all went well.",
        source="exit code 0",
        scenarios=("bad",),
    )
    def programs_end(self, tables: Tables) -> Verdict:
        """Exit codes, and how long it took."""
        return share_of(
            [
                holds(
                    row["sender"] == row["receiver"] == "0",
                    observed=f"{row['file']}: sender {row['sender']}, receiver {row['receiver']}",
                    expected=f"{row['file']}: sender 0, receiver 0",
                )
                for row in tables.of("transfers", scenario="bad").to_dict("records")
            ]
        )

    @claim(
        "The file uses the link in spite of losses.",
        source="Bertsekas & Gallager §2.4",
        scenarios=("fast",),
        bears_stall_s=0.05,
    )
    def link_is_used(self, tables: Tables) -> Verdict:
        """Goodput from the sender's start until its last datagram has reached rx1."""
        row = tables.row("transfers", scenario="fast")
        if row["fault"]:
            return self._arrived(tables, "fast")[0]
        if math.isnan(row["seconds"]):
            return holds(False, observed="no datagram reached rx1", expected="a transfer")
        goodput_mbps = row["size_bytes"] * 8 / row["seconds"] / 1e6
        if goodput_mbps > self.params.rate_mbps:  # not all of it came over the link
            return at_most(goodput_mbps, self.params.rate_mbps, unit="Mbit/s")
        unit = f"Mbit/s of {self.bound_mbps:.3g}"
        return share_of(
            [at_least(goodput_mbps, share * self.bound_mbps, unit=unit) for share in SHARES]
        )

    def _arrived(self, tables: Tables, scenario: str) -> list[Verdict]:
        return [
            holds(
                not row["fault"],
                observed=f"{row['file']}: {row['fault'] or 'identical'}",
                expected=f"{row['file']}: identical",
            )
            for row in tables.of("transfers", scenario=scenario).to_dict("records")
        ]


def _code(process: Process, longest_s: float) -> str:
    """A program's exit code; words if it does not end."""
    try:
        return str(process.wait(longest_s))
    except ConvergenceError:
        return f"still running after {longest_s:g} s"


def _difference(data: ScenarioData, number: int, wanted: bytes) -> str:
    """How the received file differs from the one sent; empty if it does not."""
    path = data.path / "out" / f"receiver-{number}" / "received"
    if not path.is_file():
        return "no file"
    got = path.read_bytes()
    if got == wanted:
        return ""
    same = next((i for i, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), None)
    if same is None:
        return f"{len(got)} of {len(wanted)} bytes"
    return f"{len(got)} of {len(wanted)} bytes, the first wrong one is byte {same}"
