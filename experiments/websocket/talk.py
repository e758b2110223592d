"""What travels in each step, and what claims ask of it."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from analysis.dissect import http
from testbed import MissingDataError, Tables, pick

CLIENT, SERVER = "h1-eth0", "h2-eth0"
"""Where packets are captured: at the client, and at the server behind the proxies."""

KNOWS, KNOWS_NOT, SECURE, OVER_HTTP2 = 80, 81, 443, 82
"""Ports of the proxies on r1."""

PLAIN, GUARDED, APPLICATION = 80, 8080, 8000
"""Ports of the servers on h2."""

ORIGIN, FOREIGN = "http://www.example.org", "http://evil.example"
COOKIE, USER = "session=c0ffee", "alice"

_NUMBER = re.compile(rb"(?<!\d)\d{8,12}(?!\d)")
_SMALL_BYTES = 126

_NEAR_S = 60.0
"""A number in a packet is an update's only if the update is that near."""


def read_http(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages as `analysis.dissect.http.read` gives them, and `info`."""
    found = http.read(packets)
    found["info"] = [_words(row) for row in found.to_dict("records")]
    return found.drop_duplicates("frame", keep="last")


def _words(row: dict[Any, Any]) -> str:
    if row["kind"] == "request":
        return f"{row['method']} {str(row['target']).split('?', maxsplit=1)[0]}"
    return f"{row['status']} {row['reason']}"


def said(tables: Tables, step: str, kind: str, capture: str = CLIENT) -> list[dict[Any, Any]]:
    """The requests or responses of a step; responses may be none.

    Raises:
        MissingDataError: there is no request.
    """
    found = pick(tables, step, capture, table="http")
    if not (found["kind"] == "request").any():
        raise MissingDataError(f"no request in step '{step}' at {capture}")
    return found[found["kind"] == kind].to_dict("records")


def asked(tables: Tables, step: str, capture: str = CLIENT) -> dict[Any, Any]:
    """The step's first request.

    Raises:
        MissingDataError: there is none.
    """
    return said(tables, step, "request", capture)[0]


def status(tables: Tables, step: str, capture: str = CLIENT) -> int:
    """Of the step's first response; 0 without one."""
    found = said(tables, step, "response", capture)
    return int(found[0]["status"]) if found else 0


def frames(tables: Tables, step: str, capture: str = CLIENT, **equals: Any) -> pd.DataFrame:
    """The WebSocket frames of a step that have the given values; may be empty."""
    return pick(tables, step, capture, table="frames", **equals)


def some_frames(tables: Tables, step: str, capture: str = CLIENT, **equals: Any) -> pd.DataFrame:
    """The same, but at least one.

    Raises:
        MissingDataError: there is none.
    """
    found = frames(tables, step, capture, **equals)
    if found.empty:
        words = " ".join(str(value) for value in equals.values())
        raise MissingDataError(f"no {words} frame in step '{step}' at {capture}")
    return found


def handshake_and_small_frames(tables: Tables, step: str) -> set[int]:
    """The packets of a step that a picture has room for."""
    small = frames(tables, step)
    small = small[small["payload_bytes"] <= _SMALL_BYTES]
    messages_of_http = pick(tables, step, CLIENT, table="http")
    return {*messages_of_http["frame"], *small["frame"]}


def texts(rows: pd.DataFrame) -> list[str]:
    """The text of each message in frames of one side, its parts joined."""
    of_text = rows[rows["message_type"] == "text"]
    return [str("".join(part)) for _, part in of_text.groupby("message")["text"]]


def exchange(tables: Tables, *steps: str, capture: str = CLIENT) -> pd.DataFrame:
    """Requests and responses of steps, as evidence."""
    return pd.concat(pick(tables, step, capture, table="http") for step in steps)


def arrivals(packets: pd.DataFrame, update_s: float) -> pd.DataFrame:
    """When each update came first, by step.

    Args:
        packets: of the run, with ``payload``.
        update_s: an update happens whenever the clock is at a multiple, which is its number.

    Returns:
        ``step``, ``capture``, ``frame``, ``number``, ``latency_ms`` since the update happened.
    """
    rows = []
    served = packets[packets["tcp_sport"].notna() & (packets["capture"] == CLIENT)]
    served = served[served["ip_dst"] == _client(packets)]
    for row in served.to_dict("records"):
        for octets in _NUMBER.findall(row["payload"] or b""):
            late_s = row["time_ns"] / 1e9 - int(octets) * update_s
            if 0 <= late_s < _NEAR_S:
                about = {name: row[name] for name in ("step", "capture", "frame")}
                rows.append({**about, "number": int(octets), "latency_ms": 1000 * late_s})
    columns = ["step", "capture", "frame", "number", "latency_ms"]
    return pd.DataFrame(rows, columns=columns).drop_duplicates(["step", "number"])


def _client(packets: pd.DataFrame) -> str:
    """The address of the side that opens connections."""
    opening = packets[(packets["capture"] == CLIENT) & (packets["tcp_flags"] == 2)]
    return "" if opening.empty else str(opening["ip_src"].iloc[0])
