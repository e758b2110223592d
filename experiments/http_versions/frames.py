"""HTTP/2's frames: framing, multiplexing, the header table, flow control, push, hints."""

from __future__ import annotations

from itertools import pairwise
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
    between,
    claim,
    near,
    pick,
    same,
)

from .pages import CLIENT, LARGE, RTTS_MS, SMALL, connections, segments

HEAD_BYTES, PREFACE_BYTES = 9, 24
ENTRY_BYTES = 32
"""What RFC 7541 §4.1 adds for each entry of the table."""

WINDOW_BITS = 12
"""The client's window for a stream is 2¹² − 1 bytes."""

WINDOW_BYTES = (1 << WINDOW_BITS) - 1


def frames(tables: Tables, step: str, **equals: Any) -> pd.DataFrame:
    """A step's frames of HTTP/2; may be empty."""
    return pick(tables, step, CLIENT, table="frames", **equals)


def _ends(found: pd.DataFrame) -> pd.Series[bool]:
    return found["flags"].str.split(",").map(lambda names: "END_STREAM" in names)


class Frames(Experiment):
    """What HTTP/2 sends."""

    @claim(
        "HTTP/2 is made of frames: nine bytes say length, type, flags and stream, and the payload "
        "follows; behind the client's preface there is nothing else.",
        source="RFC 9113 §3.4, §4.1",
    )
    def everything_is_in_frames(self, tables: Tables) -> Verdict:
        """The bytes of all frames against the bytes that each side sent over TCP."""
        step = "mix"
        found, sent = frames(tables, step), segments(tables, step)
        judged = []
        for client, port, what in ((True, "tcp_dport", "client"), (False, "tcp_sport", "server")):
            own = found[found["from_client"] == client]
            stream_bytes = int(sent.loc[sent[port] < 1024, "tcp_payload_bytes"].sum())
            framed = own[own["type"] != "PREFACE"]
            total = int((framed["payload_bytes"] + HEAD_BYTES).sum())
            total += PREFACE_BYTES * (len(own) - len(framed))
            judged.append(near(total, stream_bytes, abs=0, unit="bytes", what=what))
            first = ["PREFACE", "SETTINGS"] if client else ["SETTINGS"]
            judged.append(same(own["type"].head(len(first)).tolist(), first, f"{what} begins with"))
        return all_of(*judged).because("frames", found)

    @claim(
        "Many requests share one connection at the same time, and the frames of their responses "
        "mix.",
        source="RFC 9113 §5",
    )
    def streams_share_a_connection(self, tables: Tables) -> Verdict:
        """All requests leave before the first response ends; neighbouring DATA frames are often
        of different streams."""
        step = "mix"
        found = frames(tables, step)
        asked = found[found["from_client"] & found["method"].notna()]
        came = found[~found["from_client"] & (found["type"] == "DATA")]
        done = came[_ends(came)] if len(came) else came
        if done.empty:
            return all_of(near(len(asked), LARGE.files, abs=0, unit="requests"))
        early = int((asked["frame"] < done["frame"].iloc[0]).sum())
        turns = sum(one != two for one, two in pairwise(came["stream"].tolist()))
        return all_of(
            near(connections(segments(tables, step)), 1, abs=0, unit="connections"),
            same({int(stream) % 2 for stream in asked["stream"]}, {1}, "stream modulo 2"),
            near(asked["stream"].nunique(), LARGE.files, abs=0, unit="streams"),
            near(early, LARGE.files, abs=0, unit="requests before the first response ends"),
            at_least(turns, 2 * LARGE.files, unit="changes between streams"),
        ).because("requests and data", pd.concat([asked, came]).sort_values("frame"))

    @claim(
        "Headers are compressed with a table: a field that was sent before costs one byte.",
        source="RFC 7541 §2.3, §6.1",
    )
    def repeated_headers_cost_a_byte(self, tables: Tables) -> Verdict:
        """Twelve requests that differ in their path alone: its length, plus a byte per field."""
        asked = frames(tables, "table", from_client=True)
        asked = asked[asked["method"].notna()]
        if len(asked) < SMALL.files:
            raise MissingDataError(f"{len(asked)} of {SMALL.files} requests were captured")
        judged: list[Verdict] = []
        for row in asked.iloc[1:].to_dict("records"):
            fields, path = len(row["headers"]), len(str(row["target"]))
            judged.append(
                between(
                    int(row["block_bytes"]),
                    fields,
                    fields - 1 + 2 + path,
                    unit="bytes",
                    what=f"request {len(judged) + 2}",
                )
            )
        return all_of(*judged).because("requests", asked)

    @claim(
        "The table grows with new fields: each adds its name, its value and 32 bytes.",
        source="RFC 7541 §2.3.2, §4.1",
    )
    def table_grows(self, tables: Tables) -> Verdict:
        """The client's table behind the first request and behind the last."""
        asked = frames(tables, "table", from_client=True)
        asked = asked[asked["method"].notna()]
        if asked.empty:
            raise MissingDataError("no request was captured")
        first, last = asked.iloc[0], asked.iloc[-1]
        sizes = {name: ENTRY_BYTES + len(name) + len(value) for name, value in first["headers"]}
        kept = ("user-agent", ":authority")
        return all_of(
            at_least(int(first["table_bytes"]), sum(sizes[name] for name in kept), unit="bytes"),
            at_most(int(first["table_bytes"]), sum(sizes.values()), unit="bytes"),
            at_least(int(last["table_bytes"]), int(first["table_bytes"]), unit="bytes at the end"),
        ).because("requests", asked)

    @claim(
        "Flow control: the server sends no more on a stream than the client's window allows, and "
        "waits a round trip for each increment.",
        source="RFC 9113 §5.2, §6.9.1",
    )
    def window_bounds_a_stream(self, tables: Tables) -> Verdict:
        """Bytes that came against those that the server knew to be allowed: what the client had
        said a round trip before."""
        found = frames(tables, "window")
        data = found[~found["from_client"] & (found["type"] == "DATA")]
        if data.empty:
            raise MissingDataError("the server sent no data")
        initial = found.loc[found["from_client"] & found["settings"].notna(), "settings"]
        more = found[found["from_client"] & (found["stream"] == data["stream"].iloc[0])]
        more = more[more["increment"].notna()]
        came, full, worst = 0, 0, -_initial_window(initial)
        for row in data.to_dict("records"):
            known = more["time_s"] <= row["time_s"] - RTTS_MS[0] / 1e3
            allowed = _initial_window(initial) + int(more.loc[known, "increment"].sum())
            came += int(row["payload_bytes"])
            worst = max(worst, came - allowed)
            full += came == allowed
        took_ms = 1e3 * float(data["time_s"].max() - data["time_s"].min())
        waits = LARGE.size_bytes // WINDOW_BYTES
        return all_of(
            at_most(worst, 0, unit="bytes beyond the window"),
            at_least(full, waits, unit="times that the window is used up"),
            at_least(took_ms, (waits - 1) * RTTS_MS[0], unit="ms from first to last data"),
        ).because("frames", found)

    @claim(
        "The server may push: it promises a request and answers it on a stream with an even "
        "number, unasked, unless the client forbids it.",
        source="RFC 9113 §8.4, §5.1.1, §6.5.2",
    )
    def server_pushes(self, tables: Tables) -> Verdict:
        """With a client that accepts pushes, and with one that sets ENABLE_PUSH to 0."""
        found, refused = frames(tables, "push"), frames(tables, "push-refused")
        promised = found[found["promised"].notna()]
        streams = set(promised["promised"])
        answers = found[found["stream"].isin(streams) & found["status"].notna()]
        asked = found[found["from_client"] & found["method"].notna()]
        settings = ",".join(refused.loc[refused["from_client"], "settings"].dropna())
        return all_of(
            near(len(promised), 1, abs=0, unit="promises"),
            same(promised["target"].tolist(), [f"/{SMALL.name}1.txt"], "promised"),
            same([int(n) % 2 for n in streams], [0], "stream modulo 2"),
            same(answers["status"].tolist(), [200], "status of what was pushed"),
            same(asked["target"].tolist(), ["/pushing.html"], "asked for"),
            same("ENABLE_PUSH=0" in settings, True, "ENABLE_PUSH=0 in the other client's settings"),
            near(int(refused["promised"].notna().sum()), 0, abs=0, unit="promises then"),
        ).because("frames", found)

    @claim(
        "Browsers have withdrawn push, and so has curl: it forbids it from the start.",
        source="RFC 9113 §8.4",
    )
    def clients_forbid_push(self, tables: Tables) -> Verdict:
        """The settings of curl's first connection."""
        found = frames(tables, "curl", from_client=True)
        settings = found["settings"].dropna()
        if settings.empty:
            raise MissingDataError("the client sent no settings of HTTP/2")
        return same(settings.iloc[0].split(",").count("ENABLE_PUSH=0"), 1, "ENABLE_PUSH=0").because(
            "frames", found
        )

    @claim(
        "103 Early Hints names resources before the response: an interim response on the same "
        "stream.",
        source="RFC 8297 §2; RFC 9113 §8.1",
    )
    def hints_come_early(self, tables: Tables) -> Verdict:
        """Responses to a client that forbids push."""
        found = frames(tables, "push-refused", from_client=False)
        answers = found[found["status"].notna()]
        hints = answers[answers["status"] == 103]
        links = [value for fields in hints["headers"] for name, value in fields if name == "link"]
        return all_of(
            same(answers["status"].tolist(), [103, 200], "statuses in order"),
            near(answers["stream"].nunique(), 1, abs=0, unit="streams"),
            same([f"/{SMALL.name}1.txt" in link for link in links], [True], "link to the file"),
        ).because("frames", found)


def _initial_window(settings: pd.Series[str]) -> int:
    """The client's INITIAL_WINDOW_SIZE; without one, the standard's (§6.5.2)."""
    for text in settings:
        for pair in text.split(","):
            name, _, value = pair.partition("=")
            if name == "INITIAL_WINDOW_SIZE":
                return int(value)
    return 65_535
