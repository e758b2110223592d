"""UDP: eight bytes between IP and the program, and all that it leaves to others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.dissect import ipv4, udp
from analysis.plots import congestion as rate_plots
from analysis.plots import exchanges as plots
from analysis.plots import headers as header_plots
from testbed import (
    Action,
    LinkShape,
    Tables,
    compute_checksums,
    filter_packets,
    first,
    in_order,
    nothing,
    param,
    steps,
)
from topologies.dumbbell import BOTTLENECK, BOTTLENECK_FAR, Dumbbell

from . import sending, sharing
from .delivery import Delivery
from .header import CAME, SENT
from .sending import CLIENT, CLOSED, ECHO, PLAIN, SERVER, SMALL, counted, send, while_stopped
from .sharing import Sharing

if TYPE_CHECKING:
    from testbed import Process, RunningNetwork, ScenarioData

QUIET_S = 1.0
DELAY_MS = 10.0
SHOWN = 60
"""Datagrams in the figure of their order."""

WAY = ("tx1", "tx2", "tx3", "r1", "r2", "rx1")
"""Nodes in ladder diagrams, from left to right."""


def _without_tx3(net: RunningNetwork) -> None:
    filter_packets("r1", "prerouting", f"ip saddr {net.address('tx3')} udp dport {ECHO} drop")(net)


BREAKS: dict[str, Action] = {
    "none": nothing,
    "translated": filter_packets("r1", "prerouting", "udp sport 6001 udp sport set 6003"),
    "strict": in_order(
        *(
            filter_packets("r1", "prerouting", f"udp {field} drop", family)
            for field in ("checksum 0", "checksum 0xffff", "sport 0", "length 8")
            for family in ("ip", "ip6")
        )
    ),
    "honest": nothing,  # see `sending.headers`
    "careless": filter_packets("rx1", "prerouting", f"udp dport {PLAIN} udp checksum set 0"),
    "twice": nothing,  # see `_steps`
    "tidy": nothing,  # see `sending.receive`
    "small-reader": nothing,  # see `sending.receive`
    "large-buffers": nothing,  # see `sending.receive`
    "unconnected": nothing,  # see `sending.connect`
    "no-tx3": _without_tx3,
    "no-fragments": in_order(
        filter_packets("r1", "prerouting", "ip frag-off & 0x3fff != 0 drop"),
        filter_packets("r1", "prerouting", "exthdr frag exists drop", "ip6"),
    ),
    "polite": nothing,  # see `sharing.compete`
}
"""Faults: what is broken on purpose."""


class Udp(Sharing, Delivery):
    """UDP: an 8-byte header, no connection, no promise, and no regard for the network.

    tx1 sends datagrams to rx1: of all sizes, with fields that no correct sender writes, damaged on
    the way, lost, overtaken and doubled by the wire, too long for the reader, faster than it reads,
    and to a port where nobody listens. Four clients ask one server. At last two TCP flows fill the
    bottleneck, and tx3 sends UDP through it at a constant rate.

    The claims compute every checksum from the captured bytes, and compare the packets with what the
    programs' sockets returned, with the kernel's counters, and with its reasons for each drop.
    `faults` break things on purpose: see which claims fail with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        rate_mbps: float = param(10.0, "rate of the bottleneck", unit="Mbit/s", low=2, high=100)
        udp_percent: float = param(
            90.0, "rate of the UDP flow, of the bottleneck's", unit="%", low=5, high=200
        )
        imperfect_percent: float = param(
            10.0, "packets lost, doubled and overtaking in one step", unit="%", low=2, high=40
        )
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=BREAKS
        )

    params: Parameters
    programs = ("nft", "cat")

    # ---- in the network

    def topology(self) -> Dumbbell:
        """Three senders, three receivers, one bottleneck."""
        shape = LinkShape(rate_mbps=self.params.rate_mbps, delay_ms=DELAY_MS, queue_pkts=100)
        return Dumbbell(pairs=3, bottleneck=shape, access=LinkShape(delay_ms=1))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another, with silence between them."""
        compute_checksums("tx1-eth0", "tx2-eth0", "tx3-eth0", "rx1-eth0")(net)
        net.trace("kfree_skb")
        receiver = sending.receive(net, self.params.faults)
        for fault in self.params.faults:
            BREAKS[fault](net)
        net.capture("tx1-eth0", "tx3-eth0", "rx1-eth0", BOTTLENECK_FAR)
        steps.play(net, self._steps(net, receiver), quiet_s=QUIET_S)

    def _steps(self, net: RunningNetwork, receiver: Process) -> dict[str, Action]:
        p, host, elsewhere = self.params, net.address(SERVER), net.address("tx2")
        host6 = next(str(a["ipv6"]) for a in net.network.addresses if a["node"] == SERVER)
        host6 = host6.split("/")[0]
        burst = send("--count", sending.BURST_PKTS, host, sending.TINY, sending.BURST_BYTES)
        numbered = _many(host, sending.NUMBERED_PKTS, 100)
        return {
            **sending.headers(host, host6, elsewhere, p.faults),
            "damaged": self._imperfect(
                counted("damaged", _many(host, sending.DAMAGED_PKTS, sending.BURST_BYTES)),
                corrupt_percent=50.0,
            ),
            "clients": sending.ask_together,
            "strangers": partial(sending.strangers, p.faults),
            "boundaries": while_stopped(receiver, send(host, PLAIN, *sending.MESSAGES)),
            "truncated": send(host, SMALL, sending.LONG_BYTES, sending.NEXT_BYTES),
            "peeked": send(host, sending.PEEKED, sending.LONG_BYTES),
            "burst": counted("burst", while_stopped(receiver, burst)),
            "imperfect": self._imperfect(
                in_order(numbered, numbered) if "twice" in p.faults else numbered,
                loss_percent=p.imperfect_percent,
                duplicate_percent=p.imperfect_percent,
                reorder_percent=p.imperfect_percent,
            ),
            "largest": in_order(
                send(host, PLAIN, sending.LARGEST_BYTES, sending.LARGEST_BYTES + 1),
                send(host6, PLAIN, sending.LARGEST6_BYTES, sending.LARGEST6_BYTES + 1),
                send("--sndbuf", sending.SNDBUF_BYTES, host, PLAIN, sending.ABOVE_SNDBUF_BYTES),
            ),
            "closed": send("--gap-ms", 200, host, CLOSED, *[10] * 4),
            "closed-connected": send(
                *sending.connect(p.faults), "--gap-ms", 200, host, CLOSED, *[10] * 4
            ),
            "sharing": partial(sharing.compete, self.params),
        }

    def _imperfect(self, act: Action, **shape: Any) -> Action:
        """Acts while the bottleneck's wire does more than to delay."""

        def acting(net: RunningNetwork) -> None:
            sound = net.shape(BOTTLENECK)
            net.reshape(BOTTLENECK, replace(sound, **shape))
            act(net)
            net.sleep(QUIET_S)
            net.reshape(BOTTLENECK, sound)

        return acting

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and datagrams by step, what sockets returned, counters, drops, rates."""
        announced = data.happened("step")
        began = first(announced[announced["step"] == "sharing"], "step 'sharing'")
        began_s = float(began["time_s"])

        def exchanges(packets: pd.DataFrame) -> pd.DataFrame:
            return packets[packets["time_s"] < began_s]

        columns = ("ip_checksum_ok", "ip_offset_bytes", "ip_mf")
        tables = steps.measure(data, columns, thin=exchanges)
        tables["datagrams"] = _datagrams(data, tables["packets"])
        tables["sent"] = steps.json_logs(data, tables["steps"], "tx?-udp")
        tables["received"] = steps.json_logs(data, tables["steps"], "received", having="got_bytes")
        tables["counters"] = sending.counters(data)
        if data.traced:
            drops = data.trace("kfree_skb")[["time_s", "reason"]]
            drops.insert(1, "step", steps.step_at(tables["steps"], drops["time_s"]))
            tables["drops"] = drops[drops["time_s"] < began_s].reset_index(drop=True)
        return tables | sharing.measure(data, began_s, self.params)

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """The header, the rates at the bottleneck, and ladders of the exchanges.

        Figures:
            1_header: The header of a datagram without data, and two others; coloured is what
                differs from the first. The length counts the header's 8 bytes, and a checksum of 0
                says that there is none.
            2_order: Which datagrams the wire brought, one after another. The program gets exactly
                these: some are missing, some come twice, and some late.
            3_sharing: Two TCP flows share the bottleneck until UDP comes. TCP takes losses for
                congestion and slows down; the UDP sender does not even notice its own.
            4_clients: Four clients ask one server at the same time. Nothing precedes the first
                datagram and nothing follows the last one.
            5_closed: Each datagram to a closed port comes back as an ICMP error. The connected
                socket's next call fails for it, and that call sends nothing.
            6_strangers: tx2 sends to two sockets of tx1. The connected one, at port 6001, does not
                take it, and so the kernel answers as if nobody listened there.
        """
        fields = tables.of("datagrams", capture="rx1-eth0")
        shown = {
            "sizes": "without data",
            "no-checksum": "without a checksum",
            "no-source-port": "without a source port",
        }
        first = {title: fields[fields["step"] == step].head(1) for step, title in shown.items()}
        setting = pd.DataFrame([{"scenario": "main", "rate_mbps": self.params.rate_mbps}])
        order = self._numbered(tables)
        ladders = {
            "4_clients": ("clients", CAME),
            "5_closed": ("closed-connected", CAME),
            "6_strangers": ("strangers", SENT),
        }
        return {
            "1_header": header_plots.rows_of_bits({t: _fields(row) for t, row in first.items()}),
            "2_order": plots.arrivals(
                {
                    "as the wire brought them": order["wire"][:SHOWN],
                    "as the program got them": order["program"][:SHOWN],
                }
            ),
            "3_sharing": rate_plots.goodput(
                tables.of("rates"), tables.of("flows"), setting, {"main": "goodput by flow"}
            ),
            **{
                title: steps.ladder(tables, step, capture, hosts=WAY, ip_version=4)
                for title, (step, capture) in ladders.items()
            },
        }


def _many(host: str, count: int, size_bytes: int) -> Action:
    """Numbered datagrams, one every 2 ms."""
    return send("--numbered", "--count", count, "--gap-ms", 2, host, PLAIN, size_bytes)


def _datagrams(data: ScenarioData, packets: pd.DataFrame) -> pd.DataFrame:
    """The header fields of each whole datagram at the client and the server, from its bytes."""
    rows = []
    for capture in (f"{CLIENT}-eth0", f"{SERVER}-eth0"):
        mine = packets[(packets["capture"] == capture) & packets["udp_dport"].notna()]
        frames = ipv4.frames(data.path / "captures" / f"{capture}.pcap", mine["frame"])
        for row in mine.to_dict("records"):
            place = {key: row[key] for key in ("time_s", "capture", "step", "frame", "ip_src")}
            found = udp.row(frames[int(row["frame"])])
            if found:
                rows.append({**place, **found, "ip_ok": row["ip_checksum_ok"] is not False})
    return pd.DataFrame(rows)


def _fields(datagram: pd.DataFrame) -> list[ipv4.Field]:
    """A datagram's header as a figure shows it."""
    if datagram.empty:
        return []
    row = datagram.iloc[0]
    names = ("sport", "dport", "length_bytes", "checksum")
    return udp.fields(*(int(row[name]) for name in names))
