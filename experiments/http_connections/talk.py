"""Packets and messages of the steps, and what claims ask of them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.dissect import http
from testbed import MissingDataError, Tables, address, pick

CLIENT, SERVER = "h1-eth0", "h2-eth0"
"""Where packets are captured."""

FIN, SYN, RST, ACK = 1, 2, 4, 16
CONTROL_BYTES = 2 * (14 + 20 + 20 + 20) + 2 * (14 + 20 + 20 + 12)
"""What a connection's SYN, SYN and ACK, and two FINs weigh: Ethernet, IP, TCP, its options."""

_KEPT_BYTES = 1 << 12


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages as `analysis.dissect.http.read` gives them, and `info`."""
    found = http.read(packets, most_body_bytes=_KEPT_BYTES)
    found["info"] = [_words(row) for row in found.to_dict("records")]
    found["info"] = found.groupby("frame")["info"].transform(_joined)
    waiting = found[found["head_frame"] < found["frame"]]  # the body comes in a later packet
    heads = waiting[["head_frame", "info"]].rename(columns={"head_frame": "frame"})
    heads = packets.drop(columns="payload").merge(heads, on="frame").assign(kind="head")
    heads["info"] += " (headers)"
    heads = heads[~heads["frame"].isin(found["frame"])]
    return pd.concat([found, heads]).sort_values("frame", kind="stable")


def _joined(words: pd.Series[str]) -> str:
    """What a packet with several messages says."""
    if len(words) <= 2:
        return "; ".join(words)
    return f"{words.iloc[0]}; … ({len(words) - 2} more); {words.iloc[-1]}"


def _words(row: dict[Any, Any]) -> str:
    if row["kind"] == "request":
        size = f", {row['body_bytes']} bytes of body" if row["body_bytes"] else ""
        return f"{row['method']} {str(row['target'])[:40]}{size}"
    return f"{row['status']} {row['reason']}, {row['body_bytes']} bytes of body"


def said(tables: Tables, step: str, kind: str, capture: str = CLIENT) -> pd.DataFrame:
    """Requests or responses of a step, in order; responses, and requests at the server, may lack.

    Raises:
        MissingDataError: no client asked anything.
    """
    found = pick(tables, step, capture, table="http", kind=kind)
    if found.empty and kind == "request" and capture == CLIENT:
        raise MissingDataError(f"step '{step}': no request was captured")
    return found


def both(tables: Tables, *steps: str, capture: str = CLIENT) -> pd.DataFrame:
    """Requests and responses of steps, as evidence."""
    return pd.concat(pick(tables, step, capture, table="http") for step in steps)


def statuses(tables: Tables, step: str, *, asked_in: str = "") -> list[int]:
    """A step's status codes, in order.

    Args:
        tables: of the run.
        step: in which the responses come.
        asked_in: another step, in which they were asked for.

    Raises:
        MissingDataError: nobody asked anything.
    """
    said(tables, asked_in or step, "request")
    return [int(code) for code in said(tables, step, "response")["status"]]


def text(row: dict[Any, Any]) -> str:
    """The body."""
    return bytes(row["body"]).decode("latin-1")


def segments(tables: Tables, step: str, capture: str = CLIENT) -> pd.DataFrame:
    """A step's TCP segments, with `by`: the node that sent each, ``h1`` or another."""
    found = pick(tables, step, capture, ip_proto=6)
    found["by"] = (found["ip_src"] == address(tables, "h1-eth0")).map(
        {True: "client", False: "server"}
    )
    return found


def flagged(found: pd.DataFrame, bit: int, by: str = "") -> pd.DataFrame:
    """Those with a flag."""
    found = found[(found["tcp_flags"].fillna(0).astype(int) & bit) > 0]
    return found[found["by"] == by] if by else found


def openings(tables: Tables, step: str) -> pd.DataFrame:
    """The SYNs of clients."""
    return flagged(segments(tables, step), SYN, "client")


def seconds(tables: Tables, step: str) -> float | None:
    """From the first SYN to the last byte of a response, at the client."""
    found = segments(tables, step)
    data = found[(found["by"] == "server") & (found["tcp_payload_bytes"] > 0)]
    begun = flagged(found, SYN, "client")
    if data.empty or begun.empty:
        return None
    return float(data["time_s"].max() - begun["time_s"].min())


def setting(tables: Tables, name: str) -> float:
    """A number of the run, from its parameters."""
    return float(tables.of("setting")[name].iloc[0])


def round_trips(tables: Tables, step: str) -> float | None:
    """How long a step's page took, in round trips.

    Raises:
        MissingDataError: the path has no delay, so that there is no such unit.
    """
    rtt_s, took_s = setting(tables, "rtt_s"), seconds(tables, step)
    if rtt_s <= 0:
        raise MissingDataError("the path has no delay")
    return None if took_s is None else took_s / rtt_s
