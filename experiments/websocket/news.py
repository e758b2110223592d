"""Updates from the server: who speaks first, how late they come, and what they cost."""

from __future__ import annotations

from typing import Any

import pandas as pd

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    inconclusive,
    near,
    pick,
    same,
)

from .framing import TOLERANCE_MS
from .talk import CLIENT, SERVER, exchange, said, some_frames

UPDATES = 7
"""Updates that the client waits for in each way."""

WAYS = ("push", "events", "long", "short")
HEADERS_BYTES = 14 + 20 + 32
"""Of Ethernet, IPv4, and TCP with timestamps."""


class News(Experiment):
    """Updates from the server: who speaks first, how late they come, and what they cost."""

    @claim(
        "The server sends when it has something to say: after the handshake all messages are its "
        "own, and nobody asked for them.",
        source="RFC 6455 §1.1–1.2",
    )
    def server_speaks_first(self, tables: Tables) -> Verdict:
        """Frames up to the close, and requests."""
        rows = some_frames(tables, "push")
        talk = rows[rows["type"] != "close"]
        served = int((talk["side"] == "server").sum())
        return all_of(
            near(len(said(tables, "push", "request")), 1, abs=0, unit="request"),
            near(len(talk) - served, 0, abs=0, unit="frames of the client"),
            at_least(served, UPDATES, unit="frames of the server"),
        ).because("frames", rows)

    @claim(
        "An update takes one path delay to a client that waits for it: with WebSocket, with "
        "server-sent events and with long polling.",
        source="RFC 6455 §1.1, RFC 6202 §2.1",
        bears_stall_s=0.0002,
    )
    def waiting_clients_hear_at_once(self, tables: Tables) -> Verdict:
        """The latest and the earliest update of each way."""
        delay_ms = self._p().delay_ms
        verdicts, shown = [], []
        for way in ("push", "events", "long"):
            rows = _arrivals(tables, way)
            shown.append(rows)
            for value in (rows["latency_ms"].min(), rows["latency_ms"].max()):
                verdicts.append(near(value, delay_ms, abs=TOLERANCE_MS, unit="ms", what=way))
        return all_of(*verdicts).because("updates", _packets(pd.concat(shown)))

    @claim(
        "With short polling an update also waits for the next request, for up to one polling "
        "interval.",
        source="RFC 6202 §1, §2.1",
        bears_stall_s=0.0002,
    )
    def short_polling_waits(self, tables: Tables) -> Verdict:
        """Each update against the first request that reached the server after it."""
        rows = _arrivals(tables, "short")
        requests = pick(tables, "short", SERVER, table="http", kind="request")
        seen_s = requests["time_ns"].to_numpy() / 1e9
        p = self._p()
        verdicts = []
        for number, latency_ms in zip(rows["number"], rows["latency_ms"], strict=True):
            later = seen_s[seen_s >= number * p.update_s]
            if not len(later):
                raise MissingDataError("no request after an update")
            expected = 1000 * (later.min() - number * p.update_s) + p.delay_ms
            verdicts.append(near(latency_ms, expected, abs=TOLERANCE_MS, unit="ms"))
        slowest = rows["latency_ms"].max()
        limit_ms = 1000 * p.poll_s + p.delay_ms + TOLERANCE_MS
        return all_of(*verdicts, at_most(slowest, limit_ms, unit="ms")).because(
            "updates", _packets(rows)
        )

    @claim(
        "WebSocket needs one handshake for all messages, and so do server-sent events; polling "
        "needs a request for each.",
        source="RFC 6455 §1.1–1.2, RFC 6202 §2.2",
    )
    def one_handshake_for_all(self, tables: Tables) -> Verdict:
        """Requests by way, and updates that came."""
        if self._p().poll_s > self._p().update_s:
            return inconclusive("polls slower than updates", "a poll for each update")
        counts = {way: len(said(tables, way, "request")) for way in WAYS}
        came = {way: len(_arrivals(tables, way)) for way in WAYS}
        return all_of(
            same([counts["push"], counts["events"]], [1, 1], "push, events"),
            *(at_least(counts[way], came[way], unit="requests", what=way) for way in WAYS[2:]),
        ).because("requests and responses", exchange(tables, "push", "long"))

    @claim(
        "On the wire, a pushed update costs its text, 2 bytes of framing, and the headers of one "
        "segment and its ACK.",
        source="RFC 6455 §1.5, §5.2; RFC 9293 §3.1",
    )
    def updates_cost_two_bytes_more(self, tables: Tables) -> Verdict:
        """All packets from the first update to the last, against the formula."""
        rows = some_frames(tables, "push", side="server", type="text").head(UPDATES)
        text_bytes = len(str(_arrivals(tables, "push")["number"].iloc[0]))
        seen = _between(tables, "push", rows["frame"])
        expected = (len(rows) - 1) * (2 * HEADERS_BYTES + 2 + text_bytes)
        data = pick(tables, "push", CLIENT, frame=set(rows["frame"]))["tcp_payload_bytes"]
        return all_of(
            same({int(size) for size in data}, {2 + text_bytes}, "bytes of TCP data"),
            near(_wire_bytes(seen), expected, abs=0, unit="bytes on the wire"),
        ).because("packets", seen)

    @claim(
        "At the same rate a pushed update costs fewer bytes than an event of an endless response, "
        "and far fewer (a third or less) than a polled one.",
        source="RFC 6455 §1.1, RFC 6202 §2.2",
    )
    def pushing_is_cheapest(self, tables: Tables) -> Verdict:
        """Bytes on the wire from the first update to the last, per update."""
        if self._p().poll_s > self._p().update_s:
            return inconclusive("polls slower than updates", "the same rate")
        costs = {way: per_update_bytes(tables, way) for way in WAYS}
        shown = pd.DataFrame(
            [{"way": way, "bytes_per_update": cost} for way, cost in costs.items()]
        )
        polled = min(costs["long"], costs["short"])
        return all_of(
            at_most(costs["push"], costs["events"] - 1, unit="bytes", what="push under events"),
            at_most(costs["push"], polled / 3, unit="bytes", what="push, a third of polling"),
        ).because("cost of an update", shown)

    def _p(self) -> Any:
        return self.params


def per_update_bytes(tables: Tables, way: str) -> float:
    """Bytes on the wire from a step's first update to its last, per update.

    Raises:
        MissingDataError: there are fewer than two.
    """
    rows = _arrivals(tables, way)
    return _wire_bytes(_between(tables, way, rows["frame"])) / (len(rows) - 1)


def _arrivals(tables: Tables, way: str) -> pd.DataFrame:
    """The updates of a way, at least two."""
    found = pick(tables, way, CLIENT, table="updates").head(UPDATES)
    if len(found) < 2:
        raise MissingDataError(f"fewer than two updates in step '{way}'")
    return found


def _between(tables: Tables, way: str, of_updates: Any) -> pd.DataFrame:
    """The packets of a step behind that of the first update, up to and with that of the last."""
    packets = pick(tables, way, CLIENT)
    packets = packets[packets["tcp_sport"].notna()]
    inside = (packets["frame"] > min(of_updates)) & (packets["frame"] <= max(of_updates))
    found: pd.DataFrame = packets[inside]
    return found


def _wire_bytes(packets: pd.DataFrame) -> int:
    return int(packets["wire_bytes"].sum())


def _packets(rows: pd.DataFrame) -> pd.DataFrame:
    shown: pd.DataFrame = rows[["scenario", "capture", "frame"]]
    return shown
