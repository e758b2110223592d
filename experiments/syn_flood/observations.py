"""What the claims look at: segments, calls and queues of a step."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis import packets
from testbed import Experiment, Tables, Verdict, address, pick, same

SERVER_SIDE, ATTACKER_SIDE, CLIENT_SIDE = "h2-eth0", "h3-eth0", "h1-eth0"
FLOODS, CROWDS = "half-open", "complete"
"""The scenarios: floods of SYNs, and connections whose handshakes are complete."""

TIMER_SLACK = 0.125
"""A kernel's long timers fire up to an eighth late."""


class Observations(Experiment):
    """What the claims look at."""

    def _segments(
        self,
        tables: Tables,
        step: str,
        capture: str = SERVER_SIDE,
        *,
        by: str = "",
        to: str = "",
        has: str = "",
        without: str = "",
        scenario: str = FLOODS,
    ) -> pd.DataFrame:
        """A step's TCP segments at a capture; may be empty.

        Args:
            tables: of the run.
            step: its name.
            capture: where.
            by, to: the interface of the end that sent, or was to get them; empty: any.
            has, without: flags.
            scenario: whose.
        """
        ends = {"ip_src": by, "ip_dst": to}
        wanted: dict[str, Any] = {
            k: address(tables, v, scenario=scenario) for k, v in ends.items() if v
        }
        found = pick(tables, step, capture, scenario=scenario, ip_proto=6, **wanted)
        return found[packets.has_flags(found, has, without)].reset_index(drop=True)

    def _client_address(self, tables: Tables, scenario: str = FLOODS) -> str:
        return address(tables, CLIENT_SIDE, scenario=scenario)

    def _answers(self, tables: Tables, step: str) -> pd.DataFrame:
        """The server's SYN+ACKs."""
        return self._segments(tables, step, by=SERVER_SIDE, has="SYN ACK")

    def _results(self, tables: Tables, step: str, call: str, socket: str = "client") -> list[str]:
        """What a kind of call returned in a step, in order."""
        found = tables.of("calls", scenario=FLOODS, step=step)
        found = found[(found["call"] == call) & (found["socket"] == socket)]
        return [str(result) for result in found["result"]]

    def _queue(self, tables: Tables, step: str) -> pd.DataFrame:
        """A listener's queue over time."""
        return tables.of("queue", scenario=FLOODS, step=step)

    def _served(self, tables: Tables, step: str, expected: bool) -> Verdict:
        """Whether the last client of a step got its connection."""
        got = self._results(tables, step, "connect")[-1:]
        return same(got, ["ok" if expected else "still waiting"], f"client in {step}")


def each(segments: pd.DataFrame) -> pd.DataFrame:
    """The first segment of each handshake."""
    return segments.drop_duplicates(["ip_src", "ip_dst", "tcp_sport", "tcp_dport"])


def lifetime_s(retries: int) -> float:
    """How long a place is held: 1 s, doubled at each repeat, and a last wait."""
    return float(2 ** (retries + 1) - 1)
