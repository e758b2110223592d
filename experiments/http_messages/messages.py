"""Messages of the steps, and what claims ask of them."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any, cast

import pandas as pd

from analysis.dissect import http
from testbed import MissingDataError, Tables

CLIENT, PATH = "h1-eth0", "r1-eth1"
"""Where packets are captured: at the client, and on the path."""


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages as `analysis.dissect.http.read` gives them, and `info`."""
    found = http.read(packets)
    found["info"] = [_words(row) for row in found.to_dict("records")]
    waiting = found[found["head_frame"] < found["frame"]]  # the body comes in a later packet
    heads = waiting[["head_frame", "info"]].rename(columns={"head_frame": "frame"})
    heads = packets.drop(columns="payload").merge(heads, on="frame").assign(kind="head")
    heads["info"] += " (headers)"
    return pd.concat([found, heads]).sort_values("frame").drop_duplicates("frame", keep="last")


def _words(row: dict[Any, Any]) -> str:
    if row["kind"] == "request":
        return f"{row['method']} {str(row['target'])[:40]}"
    return f"{row['status']} {row['reason']}, {row['body_bytes']} bytes of body"


class StepMessages(Tables):
    """The tables of the run, with its messages by step, capture and kind at hand."""

    @cached_property
    def messages(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """Step, capture and kind → the messages."""
        found = self.of("http")[list(_SHOWN)]
        return {
            (str(step), str(capture), str(kind)): rows.reset_index(drop=True)
            for (step, capture, kind), rows in found.groupby(["step", "capture", "kind"])
        }

    @cached_property
    def known_steps(self) -> frozenset[str]:
        """Steps that began."""
        return frozenset(self.of("steps")["step"])


_SHOWN = (
    *("scenario", "capture", "step", "frame", "time_ns", "time_s", "ip_src", "ip_dst"),
    *("kind", "method", "target", "status", "reason", "version", "headers", "body", "body_bytes"),
    "info",
)


def said(tables: Tables, step: str, kind: str, capture: str = CLIENT) -> pd.DataFrame:
    """The requests or responses of a step; may be empty.

    Raises:
        MissingDataError: the step never began.
    """
    known = cast("StepMessages", tables)
    if step not in known.known_steps:
        raise MissingDataError(f"step '{step}' never began")
    empty = pd.DataFrame(columns=list(_SHOWN))
    return known.messages.get((step, capture, kind), empty)


def asked(tables: Tables, step: str) -> dict[Any, Any]:
    """The step's last request, as a row; without one, an empty one."""
    return _last(said(tables, step, "request"))


def answer(tables: Tables, step: str) -> dict[Any, Any]:
    """The step's last response, as a row; without one, an empty one."""
    return _last(said(tables, step, "response"))


def _last(rows: pd.DataFrame) -> dict[Any, Any]:
    if rows.empty:
        return {
            "status": 0,
            "headers": (),
            "body": b"",
            "body_bytes": 0,
            "method": "",
            "target": "",
        }
    return rows.to_dict("records")[-1]


def statuses(tables: Tables, step: str) -> list[int]:
    """All of a step's status codes, in order."""
    return [int(code) for code in said(tables, step, "response")["status"]]


def text(row: dict[Any, Any]) -> str:
    """The body."""
    return bytes(row["body"]).decode("latin-1")


def notes(tables: Tables, step: str) -> dict[str, str]:
    """Number → text of all notes, as the application listed them in a step; empty without JSON."""
    try:
        found = json.loads(text(answer(tables, step)))
    except ValueError:
        return {}
    return {number: str(note["text"]) for number, note in found.items()}


def both(tables: Tables, *steps: str) -> pd.DataFrame:
    """Requests and responses of steps, as evidence."""
    parts = [said(tables, step, kind) for step in steps for kind in ("request", "response")]
    return pd.concat(parts).sort_values("frame")
