"""What the claims look at: segments, calls, and states of a step."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis import packets
from testbed import Experiment, Tables, address, pick

CLIENT_SIDE, SERVER_SIDE = "h1-eth0", "h2-eth0"
NODES = {CLIENT_SIDE: "h1", SERVER_SIDE: "h2"}
NUMBERS = 1 << 32


class Observations(Experiment):
    """What the claims look at."""

    def _segments(
        self,
        tables: Tables,
        step: str,
        capture: str = CLIENT_SIDE,
        *,
        by: str = "",
        has: str = "",
        without: str = "",
    ) -> pd.DataFrame:
        """A step's segments at a capture; may be empty.

        Args:
            tables: of the run.
            step: its name.
            capture: where.
            by: the interface of the end that sent them; empty: either.
            has, without: flags.
        """
        ends: dict[str, Any] = {"ip_src": address(tables, by)} if by else {}
        found = pick(tables, step, capture, ip_proto=6, **ends)
        return found[packets.has_flags(found, has, without)].reset_index(drop=True)

    def _results(self, tables: Tables, step: str, call: str, socket: str = "") -> list[str]:
        """What a kind of call returned in a step, in order; none if it came to none."""
        found = tables.of("calls", step=step)
        found = found[found["call"] == call]
        if socket:
            found = found[found["socket"] == socket]
        return [str(result) for result in found["result"]]

    def _took_s(self, tables: Tables, step: str, call: str) -> float:
        """How long the first call of a kind took."""
        return float(tables.row("calls", step=step, call=call)["took_s"])

    def _changes(self, tables: Tables, step: str, node: str, port: int = 0) -> pd.DataFrame:
        """An end's changes of state in a step, without those of its listener."""
        found = tables.of("states", step=step)
        found = found[(found["node"] == node) & (found["peer_port"] > 0)]
        return found[found["port"] == port] if port else found

    def _way(self, tables: Tables, step: str, node: str, port: int = 0) -> list[str]:
        """The states that an end came to in a step, in order."""
        return [str(state) for state in self._changes(tables, step, node, port)["after"]]


def flags_of(segments: pd.DataFrame) -> list[str]:
    """The flags of each segment by name."""
    return [packets.flag_names(int(flags)) for flags in segments["tcp_flags"]]


def seq(segments: pd.DataFrame, row: int = 0) -> int:
    """A segment's sequence number; -1 without it, which equals none."""
    return int(segments["tcp_seq"].iloc[row]) if -len(segments) <= row < len(segments) else -1


def ack(segments: pd.DataFrame, row: int = 0) -> int:
    """A segment's acknowledgement number; -1 without it."""
    return int(segments["tcp_ack"].iloc[row]) if -len(segments) <= row < len(segments) else -1


def after(number: int, count: int = 1) -> int:
    """A sequence number that many later, modulo 2^32."""
    return (number + count) % NUMBERS


def gaps_s(segments: pd.DataFrame) -> list[float]:
    """Seconds between segments."""
    return [float(gap) for gap in segments["time_s"].diff().dropna()]
