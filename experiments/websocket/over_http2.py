"""WebSocket over HTTP/2: a stream for each, and no upgrade of the connection."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.dissect import http2
from testbed import Experiment, MissingDataError, Tables, Verdict, all_of, claim, near, pick, same

from .talk import CLIENT

TEXT = "hello"
STREAMS = 2
_ALLOWED = "ENABLE_CONNECT_PROTOCOL=1"
_MASK_BYTES, _FRAME_BYTES = 4, 2


class OverHttp2(Experiment):
    """WebSocket over HTTP/2: a stream for each, and no upgrade of the connection."""

    @claim(
        "HTTP/2 has no Upgrade: if the server's settings allow it, an extended CONNECT makes one "
        "stream a WebSocket, without key and accept, and several share a TCP connection.",
        source="RFC 8441 §3–5, RFC 9113 §8.6",
    )
    def over_http2_a_stream_is_enough(self, tables: Tables) -> Verdict:
        """Settings, headers and data of two streams."""
        rows = pick(tables, "http2", CLIENT, table="http2")
        if rows.empty:
            raise MissingDataError("no HTTP/2 in step 'http2'")
        client = rows["from_client"].astype(bool)
        allowed = [str(text) for text in rows[~client]["settings"].dropna()]
        asked = [dict(h) for h in rows[client & (rows["method"] == "CONNECT")]["headers"]]
        keys = [name for head in asked for name in head if name == "sec-websocket-key"]
        codes = [int(code) for code in rows[~client]["status"].dropna()]
        sent, given = _data_bytes(rows[client]), _data_bytes(rows[~client])
        frame_bytes = _FRAME_BYTES + len(TEXT)
        return all_of(
            same(any(_ALLOWED in text for text in allowed), True, "settings allow it"),
            same([h.get(":protocol") for h in asked], ["websocket"] * STREAMS, "protocol"),
            near(len(keys), 0, abs=0, unit="keys"),
            same(codes, [200] * STREAMS, "status"),
            same(sent, [frame_bytes + _MASK_BYTES] * STREAMS, "bytes with a mask"),
            same(given, [frame_bytes] * STREAMS, "bytes without"),
            near(rows["connection"].nunique(), 1, abs=0, unit="TCP connection"),
        ).because("frames", rows[["scenario", "capture", "frame"]])


def _data_bytes(rows: pd.DataFrame) -> list[int]:
    return [int(size) for size in rows["data_bytes"].dropna() if size]


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP/2 frames as `analysis.dissect.http2.read` gives them, and `info` of each packet."""
    found = http2.read(packets)
    words = pd.Series([_words(row) for row in found.to_dict("records")], found.index, dtype=object)
    found["info"] = words.groupby(found["frame"]).transform(" · ".join)
    return found


def _words(row: dict[Any, Any]) -> str:
    stream = f" {int(row['stream'])}" if not pd.isna(row["stream"]) and row["stream"] else ""
    code = "" if pd.isna(row["status"]) else f" {int(row['status'])}"
    method = "" if pd.isna(row["method"]) else f" {row['method']}"
    return f"{row['type']}{stream}{method}{code}"
