"""Flow tables over time, controllers' events and rates, from a run's files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

_STAMP = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}): ")
_EVENT = re.compile(
    r"^ event=(?P<event>ADDED|DELETED|MODIFIED)(?: reason=(?P<reason>\w+))? table=(?P<table>\d+)"
    r"(?: idle_timeout=(?P<idle>\d+))?(?: hard_timeout=(?P<hard>\d+))? cookie=\S+"
    r"(?: (?P<match>\S+))? actions=(?P<actions>.*)$"
)

CHANGE = ("time_s", "switch", "event", "reason", "table", "match", "actions")
FLOW = ("table", "priority", "match", "actions", "packets", "bytes", "duration_s")

_FLOW = re.compile(
    r"duration=(?P<duration>[\d.]+)s, table=(?P<table>\d+), n_packets=(?P<packets>\d+), "
    r"n_bytes=(?P<bytes>\d+),.*? priority=(?P<priority>\d+)(?:,(?P<match>\S+))? "
    r"actions=(?P<actions>.*)$"
)

_MET = re.compile(r"^ ?(?P<table>\d+)\. (?P<match>.+?)(?:, priority \d+)?(?:, cookie 0x\w+)?$")
_PRIORITY = re.compile(r"\bpriority (\d+)")


def changes(log: str, switch: str, t0_ns: int) -> pd.DataFrame:
    """Changes of one switch's flow tables, from what ``ovs-ofctl monitor`` printed.

    Args:
        log: its output.
        switch: the switch's name.
        t0_ns: time zero, in ns since 1970.

    Returns:
        One row a change: ``time_s`` (to the ms; null for what was there at the start),
        ``switch``, ``event`` (ADDED, DELETED, MODIFIED), ``reason`` (of a DELETED: ``idle``,
        ``hard``, ``delete``), ``table``, ``match``, ``actions``.
    """
    rows, time_s = [], None
    for line in log.splitlines():
        if stamp := _STAMP.match(line):
            time_s = (pd.Timestamp(stamp[1]).value - t0_ns) / 1e9
        elif found := _EVENT.match(line):
            row = found.groupdict(default="")
            about = {"time_s": time_s, "switch": switch, "table": int(row["table"])}
            rows.append(about | {k: row[k] for k in ("event", "reason", "match", "actions")})
    return pd.DataFrame(rows, columns=list(CHANGE)).astype({"time_s": float, "table": int})


def sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Number of flows of each switch after each change: ``time_s``, ``switch``, ``flows``."""
    step = table["event"].map({"ADDED": 1, "DELETED": -1, "MODIFIED": 0})
    found = table[["time_s", "switch"]].assign(flows=step.groupby(table["switch"]).cumsum())
    return found.dropna(subset=["time_s"]).reset_index(drop=True)


def flows(text: str) -> pd.DataFrame:
    """Flows of one switch, from what ``ovs-ofctl dump-flows`` printed.

    Returns:
        One row a flow: ``table``, ``priority``, ``match``, ``actions``, ``packets``, ``bytes``,
        ``duration_s``.
    """
    rows = []
    for line in text.splitlines():
        if found := _FLOW.search(line):
            row = found.groupdict(default="")
            rows.append(
                {
                    "table": int(row["table"]),
                    "priority": int(row["priority"]),
                    "match": row["match"],
                    "actions": row["actions"].strip(),
                    "packets": int(row["packets"]),
                    "bytes": int(row["bytes"]),
                    "duration_s": float(row["duration"]),
                }
            )
    return pd.DataFrame(rows, columns=list(FLOW))


def path(text: str) -> pd.DataFrame:
    """The way of one packet through a switch's tables, from ``ovs-appctl ofproto/trace``.

    Returns:
        One row a table it meets: ``table``, ``match`` (of the flow that caught it; empty: it
        matches all, or none was found), ``priority`` (null: none was found), ``actions``.
    """
    rows: list[dict[str, Any]] = []
    for line in text.partition("Final flow:")[0].splitlines():
        if found := _MET.match(line):
            missed = found["match"] == "No match."
            match = "" if missed or found["match"].startswith("priority") else found["match"]
            number = _PRIORITY.search(line)
            rows.append(
                {
                    "table": int(found["table"]),
                    "match": match,
                    "priority": int(number[1]) if number else None,
                    "actions": "",
                }
            )
        elif rows and line.startswith("    "):
            said = [rows[-1]["actions"], line.strip()]
            rows[-1]["actions"] = ", ".join(word for word in said if word)
    frame = pd.DataFrame(rows, columns=["table", "match", "priority", "actions"])
    return frame.astype({"priority": "Int64"})


def controller_events(path: Path, t0_ns: int) -> pd.DataFrame:
    """The application's own events: ``time_s``, ``event`` and their data."""
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows.append({"time_s": (row.pop("time_ns") - t0_ns) / 1e9, **row})
    return pd.DataFrame(rows, columns=None if rows else ["time_s", "event"])


def describe(messages: pd.DataFrame) -> pd.Series[str]:
    """What each message says, in a few words, for ladders."""
    return pd.Series([_words(m) for m in messages.itertuples()], messages.index, dtype="string")


def _words(message: Any) -> str:
    name = str(message.type).replace("_", "-").lower()
    if message.type == "FLOW_MOD":
        return f"{name} {str(message.command).lower()}"
    if pd.isna(message.eth_dst):
        return name
    if not pd.isna(message.icmp_type):
        kind = {0: "echo reply", 8: "echo request"}.get(message.icmp_type, "ICMP")
        return f"{name}: {kind} {message.icmp_seq}"
    return f"{name}: to {'all' if message.eth_dst == 'ff:ff:ff:ff:ff:ff' else message.eth_dst}"


def idle_times(table: pd.DataFrame, frames: pd.DataFrame, end_s: float) -> pd.DataFrame:
    """How long flows of a pair of MAC addresses lay idle before they ended.

    Args:
        table: of `changes`, of one switch.
        frames: those of one host: ``time_s``, ``eth_src``, ``eth_dst``.
        end_s: when recording ended: a flow still there has been idle at least until then.

    Returns:
        One row a flow of that host: ``match``, ``last_s`` (its last frame), ``ended_s``,
        ``idle_s``, ``ended`` (False: it was still there).
    """
    rows = []
    added = table[table["event"] == "ADDED"]
    installed: list[Any] = list(added.itertuples())
    for flow in installed:
        pair = re.search(r"dl_src=([0-9a-f:]{17}),dl_dst=([0-9a-f:]{17})", flow.match)
        if pair is None:
            continue
        same = (table["match"] == flow.match) & (table["time_s"] > flow.time_s)
        ends = table[same & (table["reason"] == "idle")]["time_s"]
        ended_s = float(ends.iloc[0]) if len(ends) else end_s
        mine = (frames["eth_src"] == pair[1]) & (frames["eth_dst"] == pair[2])
        times = frames[mine & (frames["time_s"] < ended_s)]["time_s"]
        if len(times):
            last_s = float(times.max())
            rows.append((flow.match, last_s, ended_s, ended_s - last_s, bool(len(ends))))
    return pd.DataFrame(rows, columns=["match", "last_s", "ended_s", "idle_s", "ended"])
