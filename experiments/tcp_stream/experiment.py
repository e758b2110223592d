"""TCP's byte stream: when small writes leave, and how a reader finds the messages again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import conversation, rows, segment_words
from analysis.plots import exchanges
from analysis.plots import stream as plots
from testbed import (
    Action,
    LinkShape,
    MissingDataError,
    endpoints,
    nothing,
    param,
    pick,
    program,
    programs,
    steps,
)
from testbed.programs.framing import MESSAGES
from topologies.line import Line

from .boundaries import Boundaries
from .conversations import conversations
from .messages import READERS, Messages
from .small_writes import SmallWrites

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

FRAMING_PORT = 6001
QUIET_S = 2.0
RATE_MBPS = 10.0
"""Slow enough that a reader meets each segment alone."""

FAULTS: dict[str, Action] = {
    "none": nothing,
    "nodelay": nothing,  # this and the next five: see `conversations`
    "nagle": nothing,
    "fast-reader": nothing,
    "slow-reader": nothing,
    "tcp-only": nothing,
    "split-write": nothing,
    "quick-ack": program(
        "h2", "ip", "route", "change", "default", "via", "198.51.100.1", "quickack", "1"
    ),
    "naive": nothing,  # see `_frames`
    "uncut": nothing,
}
"""What is broken on purpose."""

CASES = {
    "merged": "Nagle's algorithm",
    "buffered": "the sender's buffer, with TCP_NODELAY",
    "split": "the MSS",
    "slow-reader": "a slow reader",
    "small-reads": "small reads",
    "datagrams": "UDP to a slow reader",
}
"""Steps in which a stream is cut in another way than it was written, with the cause; and UDP."""


class TcpStream(Messages, Boundaries, SmallWrites):
    """TCP's byte stream: when small writes leave, and where messages end.

    h1 talks to h2 over a path with a long round-trip time. It writes small pieces (requests in two
    writes, keystrokes) with Nagle's algorithm, with TCP_NODELAY and with TCP_CORK. Then messages in
    a stream are merged and split: by Nagle's algorithm, in the send buffer, by the MSS and by the
    reader. Three kinds of framing recover them however the stream is cut; datagrams keep their
    boundaries.

    `faults` break things on purpose: see which claims fail with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        rtt_ms: float = param(100.0, "round-trip time of the path", unit="ms", low=20, high=200)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("ip",)

    # ---- in the network

    def topology(self) -> Line:
        """Two routers, with the path's delay between them."""
        return Line(shape=LinkShape(rate_mbps=RATE_MBPS, delay_ms=self.params.rtt_ms / 2))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another."""
        for fault in self.params.faults:
            FAULTS[fault](net)
        talks = conversations(self.params.rtt_ms / 1e3, self.params.faults)
        endpoints.listen(net, "h2", talks)
        readers = net.start(
            "h2", *programs.argv("framing", "serve", str(FRAMING_PORT)), log="h2-framing"
        )
        net.wait_until("readers listening", lambda: "listening" in readers.output(), 20)
        net.capture("h1-eth0", "h2-eth0")
        acts = endpoints.actions(talks, "h1", "h2")
        steps.play(net, acts | self._frames(net.address("h2")), quiet_s=QUIET_S)
        net.sleep(QUIET_S)  # the last reader is still at work

    def _frames(self, far: str) -> dict[str, Action]:
        """The messages to each reader, cut in many ways."""
        faults = self.params.faults
        how = "uncut" if "uncut" in faults else "cut"
        naive = "naive-" if "naive" in faults else ""
        return {
            f"framing-{reader}": program(
                "h1",
                *programs.argv(
                    "framing",
                    "send",
                    far,
                    str(FRAMING_PORT),
                    naive + reader if reader in READERS else reader,
                    how,
                ),
                log="h1-framing",
            )
            for reader in (*READERS, *(f"naive-{r}" for r in READERS))
        }

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and segments by step, and what both ends' sockets reported."""
        tables = steps.measure(data, conversation.COLUMNS)
        tables["segments"] = conversation.segments(tables["packets"])
        tables["packets"] = segment_words.described(tables["packets"])
        tables["calls"] = endpoints.calls(data, tables["steps"], ("h1", "h2"))
        tables["framing"] = _framing(data, tables["steps"])
        return tables

    # ---- figures

    def plot(self, tables: Any) -> dict[str, Any]:
        """The typist, the requests, and the cuts of the stream.

        Figures:
            1_keys: Each keystroke when it is typed, when it leaves in a segment, and when its echo
                is read. With Nagle's algorithm keystrokes wait for the echo of earlier ones and
                then leave together.
            2_request: How long a request of 20 bytes takes, by the way it is written. Two writes
                suffer from Nagle's algorithm and the delayed ACK; each of the three cures brings
                the request back to one round trip.
            3_boundaries: The same bytes as they were written, as they crossed the network and as
                they were read. Each block is one write, one packet or one read. Only with UDP are
                the blocks the same in all three rows.
            4_two_writes: The second write waits for the ACK of the first, which h2 delays by 40 ms
                because it expects to send a reply with it.
            5_no_delay: The same requests with TCP_NODELAY.
            6_cork: The same requests with TCP_CORK: both writes leave in one segment.
        """
        ladders = {"4_two_writes": "two-writes", "5_no_delay": "no-delay", "6_cork": "cork"}
        typed = {"Nagle's algorithm": "keys", "TCP_NODELAY": "keys-no-delay"}
        return {
            "1_keys": plots.keys({title: self._keys(tables, s) for title, s in typed.items()}),
            "2_request": exchanges.bars(
                {
                    title: self._request_ms(tables, name)
                    for title, name in (
                        ("two writes", "two-writes"),
                        ("TCP_NODELAY", "no-delay"),
                        ("one write", "one-write"),
                        ("TCP_CORK", "cork"),
                    )
                },
                "a request of 20 bytes",
                "ms",
            ),
            "3_boundaries": plots.boundaries(
                {cause: self._cuts(tables, name) for name, cause in CASES.items()}
            ),
            **{
                title: steps.ladder(tables, name, "h1-eth0", hosts=("h1", "h2"), ip_version=4)
                for title, name in ladders.items()
            },
        }

    def _cuts(self, tables: Any, name: str) -> dict[str, list[int]]:
        """Sizes of a step's writes, of its segments (or datagrams), and of its reads."""
        seen = pick(tables, name, "h2-eth0", ip_src=steps.address(tables, "h1-eth0"))
        sizes = seen["tcp_payload_bytes"].fillna(seen["udp_bytes"] - 8)
        return {
            "written": self._sizes(tables, name, "h1", "write"),
            "on the wire": [int(n) for n in sizes if n > 0],
            "read": self._sizes(tables, name, "h2", "read"),
        }


def _framing(data: ScenarioData, begun: pd.DataFrame) -> pd.DataFrame:
    """One row for each connection: step, reader, pieces, reads, right, found."""
    sent, got = (
        steps.json_logs(data, begun, f"{node}-framing", having="reader") for node in ("h1", "h2")
    )
    if len(sent) != len(got):
        raise MissingDataError(f"{len(sent)} streams sent, {len(got)} read")
    return pd.DataFrame(
        {
            "step": one.step,
            "reader": other.reader,
            "pieces": len(one.cuts) + 1,
            "reads": int(other.reads),
            "right": other.messages == MESSAGES,
            "found": ", ".join(map(repr, other.messages)),
        }
        for one, other in zip(rows(sent), rows(got), strict=True)
    )
