"""What limits a sender: the window over the round-trip time, the receiver, or the network."""

from __future__ import annotations

import pandas as pd

from analysis import conversation, rows, throughput
from testbed import (
    MSS_BYTES,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    near,
)

from .conversations import WINDOWS_BYTES
from .network import RATE_MBPS
from .repair import address_of
from .window import Window

LARGEST_UNSCALED_BYTES = 65_535
"""What 16 bits hold (RFC 9293 §3.1)."""

SETTLED, TAIL = 0.3, 0.9
"""Shares of the bytes between which throughput is measured."""


class Limits(Window):
    """What limits a sender: the window over the round-trip time, the receiver, or the network."""

    @claim(
        "A sender limited by the window transfers one window per round-trip time.",
        source="RFC 9293 §3.8.6; RFC 7323 §1.1",
        scenarios=("window",),
        bears_stall_s=0.002,
    )
    def throughput_is_window_over_rtt(self, tables: Tables) -> Verdict:
        """Three sizes of the receive buffer."""
        table = self._by_window(tables)
        return all_of(
            *(
                near(row.mbps / row.expected_mbps, 1, abs=0.15, unit="of window / RTT")
                for row in rows(table)
            )
        ).because("throughput", table, scenario="window")

    @claim(
        "Without window scaling at most 65,535 bytes are in flight, so a long fat path stays "
        "mostly empty.",
        source="RFC 9293 §3.1; RFC 7323 §1.1, §2.1",
        scenarios=("window",),
        bears_stall_s=0.002,
    )
    def sixteen_bits_limit_the_rate(self, tables: Tables) -> Verdict:
        """20 Mbit/s and 200 ms; net.ipv4.tcp_window_scaling=0."""
        flight = self._flight(tables, "unscaled")
        bound_mbps = LARGEST_UNSCALED_BYTES * 8 / self._fat_rtt_s(tables) / 1e6
        return all_of(
            at_most(flight["flight_bytes"].max(), LARGEST_UNSCALED_BYTES, unit="bytes under way"),
            near(self._mbps(tables, "unscaled") / bound_mbps, 1, abs=0.1, unit="of 65,535 / RTT"),
        ).because("segments", flight.head(12))

    @claim(
        "With window scaling the same sender fills the path.",
        source="RFC 7323 §2",
        scenarios=("window",),
        bears_stall_s=0.002,
    )
    def scaling_fills_the_path(self, tables: Tables) -> Verdict:
        """The same transfer with the option in both SYNs."""
        flight = self._flight(tables, "scaled")
        gain = self._mbps(tables, "scaled") / self._mbps(tables, "unscaled")
        return all_of(
            at_least(
                flight["flight_bytes"].max(), 2 * LARGEST_UNSCALED_BYTES, unit="bytes under way"
            ),
            at_least(gain, 2, unit="times the rate without"),
        ).because("segments", flight.head(12))

    @claim(
        "Flow control protects the receiver: with a slow reader the window holds the sender back, "
        "and the network loses nothing.",
        source="RFC 9293 §3.8.6; RFC 5681 §1",
        scenarios=("window",),
    )
    def flow_control_protects_the_receiver(self, tables: Tables) -> Verdict:
        """The slow reader on the usual path; what the kernel says it waited for."""
        info = self._info(tables, "slow-receiver").iloc[-1]
        share = float(info["window_limited_us"]) / float(info["busy_us"])
        return all_of(
            at_least(share, 0.5, unit="of its time the sender waited for the window"),
            at_most(len(self._repeated(tables, "slow-receiver")), 0, unit="segments sent again"),
            self._delivered(tables, "slow-receiver"),
        ).because("segments", self._sent(tables, "slow-receiver").head(12))

    @claim(
        "Congestion control protects the network: on a slow path the receiver's window is not the "
        "limit; losses slow the sender down.",
        source="RFC 5681 §1, §3.1; RFC 9293 §3.8.2",
        scenarios=("window",),
    )
    def congestion_control_protects_the_network(self, tables: Tables) -> Verdict:
        """A fast reader behind a narrow link with a short queue."""
        info = self._info(tables, "slow-network").iloc[-1]
        share = float(info["window_limited_us"]) / float(info["busy_us"])
        flight = self._flight(tables, "slow-network")
        return all_of(
            at_most(share, 0.1, unit="of its time the sender waited for the window"),
            at_least(len(self._repeated(tables, "slow-network")), 1, unit="segments sent again"),
            at_most(
                (flight["flight_bytes"] / flight["window_bytes"]).median(),
                0.9,
                unit="of the receiver's window under way (median)",
            ),
            at_most(int(info["ssthresh_segments"]), 10_000, unit="segments ssthresh"),
            self._delivered(tables, "slow-network"),
        ).because("sent again", self._repeated(tables, "slow-network"))

    # ---- what the claims look at

    def _mbps(self, tables: Tables, name: str) -> float:
        """Rate at which data reached h4, once the window is open."""
        came = self._sent(tables, name, "h4-eth0")
        done = came["payload_bytes"].cumsum() / came["payload_bytes"].sum()
        inside = came[(done > SETTLED) & (done <= TAIL)]
        if len(inside) < 2:
            raise MissingDataError(f"step {name}: too few segments")
        start_s, end_s = inside["time_s"].iloc[0], inside["time_s"].iloc[-1]
        return throughput.rate_mbps(inside, "payload_bytes", start_s, end_s)

    def _by_window(self, tables: Tables) -> pd.DataFrame:
        """One row a receive buffer: the window it gives, and the throughput."""
        link_mbps = RATE_MBPS * throughput.goodput_share(MSS_BYTES)  # no window carries more
        found = []
        for size in WINDOWS_BYTES:
            name = f"window-{size}"
            told = self._windows(tables, name, "h1-eth0")
            window = float(told["window_bytes"].median())
            window_mbps = window * 8 / self._data_rtt_s(tables, name) / 1e6
            found.append(
                {
                    "buffer_bytes": size,
                    "window_bytes": window,
                    "mbps": self._mbps(tables, name),
                    "window_mbps": window_mbps,
                    "expected_mbps": min(window_mbps, link_mbps),
                }
            )
        return pd.DataFrame(found)

    def _data_rtt_s(self, tables: Tables, name: str) -> float:
        """From the first full segment, which finds no queue, to its acknowledgement, at h1."""
        sent = self._sent(tables, name).iloc[0]
        seen = self._seen(tables, name)
        back = seen[(seen["ip_dst"] == address_of(tables, "h1")) & (seen["ack"] >= sent["end"])]
        if back.empty:
            raise MissingDataError(f"step {name}: nothing was acknowledged")
        return float(back["time_s"].iloc[0] - sent["time_s"])

    def _measured_rtt_s(self, tables: Tables, name: str) -> float:
        """From SYN to SYN+ACK, at h1."""
        seen = self._seen(tables, name)
        opening = seen[(seen["tcp_flags"].astype(int) & 2) != 0]
        if len(opening) < 2:
            raise MissingDataError(f"step {name}: no handshake")
        return float(opening["time_s"].iloc[1] - opening["time_s"].iloc[0])

    def _fat_rtt_s(self, tables: Tables) -> float:
        return self._measured_rtt_s(tables, "unscaled")

    def _flight(self, tables: Tables, name: str) -> pd.DataFrame:
        """h1's segments with data, what was under way behind each, and the window it knew."""
        seen = self._seen(tables, name)
        sent = self._sent(tables, name)
        acked = conversation.acknowledged(seen, sent, address_of(tables, "h1"))
        told = self._windows(tables, name, "h1-eth0")
        at = told["frame"].searchsorted(sent["frame"]) - 1
        window = told["window_bytes"].to_numpy()[at.clip(0)]
        flight = sent["end"].cummax() - acked.clip(lower=1)
        return sent.assign(flight_bytes=flight, window_bytes=window)
