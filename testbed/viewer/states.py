"""What a run recorded of its nodes: routes, neighbours, sockets, daemons' states, logs, windows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from testbed.core.claims import MissingDataError
from testbed.core.errors import TestbedError
from testbed.core.ordering import natural
from testbed.results.data import ScenarioData

if TYPE_CHECKING:
    from testbed.viewer.graph import Graph

MOST_CHANGES = 20_000
"""Changes of one kind that a page shows."""

MOST_TEXT_CHARS = 20_000
"""Characters of a log or of a daemon's state; of a longer one the end is shown."""

MOST_TEXTS_CHARS = 4_000_000
"""Characters of all of a scenario's logs and states."""

MOST_POINTS = 4_000
"""Points of a curve."""

KINDS = ("routes", "neighbours", "links")

_OWN = frozenset({"time_ns", "time_s", "event", "monotonic_ns"})


def events(data: ScenarioData) -> list[dict[str, Any]]:
    """The run's own events: ``time_ns`` since time zero, ``event``, and a text of their data."""
    return [
        {
            "time_ns": int(row["time_ns"]) - data.t0_ns,
            "event": row["event"],
            "text": _text(row),
            **({"node": row["node"]} if isinstance(row.get("node"), str) else {}),
        }
        for row in _records(data.events())
    ]


def _text(row: dict[str, Any]) -> str:
    """``step=echo`` and the like; the name alone of events that have one word."""
    found = {name: value for name, value in row.items() if name not in _OWN}
    if len(found) == 1 and isinstance(value := next(iter(found.values())), str):
        return value
    words = (
        f"{name} {value if isinstance(value, str) else json.dumps(value, default=str)}"
        for name, value in found.items()
    )
    return ", ".join(words)[:400]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows without the values they do not have."""
    return [
        {str(name): value for name, value in row.items() if not _is_missing(value)}
        for row in frame.astype(object).to_dict("records")
    ]


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def changes(data: ScenarioData, notes: list[str]) -> dict[str, list[dict[str, Any]]]:
    """What `net.watch` recorded, by kind; times since time zero.

    Routes that go with an interface are among the changes, though the kernel does not mention them.
    """
    from analysis import routes

    tables = {}
    for kind in KINDS:
        with suppress(MissingDataError):
            tables[kind] = data.notices(kind)
    if {"routes", "links"} <= set(tables):
        tables["routes"] = routes.with_silent_losses(tables["routes"], tables["links"])
    found = {}
    for kind, rows in tables.items():
        if len(rows) > MOST_CHANGES:
            notes.append(f"{data.name}: the first {MOST_CHANGES} of {len(rows)} {kind}")
        times = (rows["time_s"] * 1e9).round().astype("int64")
        shown = rows.assign(time_ns=times).sort_values("time_ns", kind="stable")
        found[kind] = _records(shown.drop(columns="time_s").head(MOST_CHANGES))
    return found


def saved(data: ScenarioData, graph: Graph, notes: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Texts: ``states`` of daemons, with their moment, and ``logs``, each with its node."""
    moments = {row["text"]: row["time_ns"] for row in events(data) if row["event"] == "state"}
    left = MOST_TEXTS_CHARS
    found: dict[str, list[dict[str, Any]]] = {"states": [], "logs": []}
    for path in sorted(data.path.glob("states/*/*.txt"), key=lambda path: natural(str(path))):
        label, (node, _, rest) = path.parent.name, path.stem.partition(".")
        text = _tail(path)
        left -= len(text)
        if left > 0:
            of = {"node": node, "daemon": rest.rpartition(".")[0], "label": label}
            found["states"].append(of | {"time_ns": moments.get(label), "text": text})
    for path in sorted(data.path.glob("logs/*.log"), key=lambda path: natural(path.stem)):
        text = _tail(path)
        left -= len(text)
        if text and left > 0 and not path.stem.startswith("tcpdump-"):
            found["logs"].append({"node": _node(path.stem, graph), "log": path.stem, "text": text})
    if left <= 0:
        notes.append(f"{data.name}: not all logs and states are on this page; see {data.path.name}")
    return found


def _node(stem: str, graph: Graph) -> str | None:
    """The node that a log's name begins or ends with."""
    words = stem.replace("_", "-").split("-")
    return next((word for word in words if word in graph.kinds), None)


def _tail(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace")
    return text if len(text) <= MOST_TEXT_CHARS else f"…\n{text[-MOST_TEXT_CHARS:]}"


def sockets(data: ScenarioData) -> list[dict[str, Any]]:
    """Tables of sockets that the run recorded: ``time_ns``, ``node``, ``sockets``."""
    return [
        {"time_ns": row["time_ns"] - data.t0_ns, "node": row["node"], "sockets": row["sockets"]}
        for row in _records(data.events("sockets"))
        if {"node", "sockets"} <= set(row)
    ]


def queues(data: ScenarioData) -> dict[str, list[dict[str, Any]]]:
    """Interface → its queue disciplines with what they sent and dropped until the run's end."""
    path = data.path / "network_after.json"
    if not path.is_file():
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(path.read_text(encoding="utf-8")).get("qdiscs", ()):
        kept = ("place", "kind", "sent_bytes", "sent_pkts", "dropped_pkts")
        found.setdefault(row["interface"], []).append({name: row.get(name) for name in kept})
    return found


def windows(data: ScenarioData) -> Iterator[dict[str, Any]]:
    """Congestion windows of TCP senders: ends, and curves over time in s."""
    try:
        probes = data.trace("tcp_probe")
    except (MissingDataError, TestbedError, OSError):
        return
    ends = [name for name in ("saddr", "sport", "daddr", "dport") if name in probes]
    for of, rows in probes.groupby(ends, sort=False):
        shown = rows.iloc[:: max(1, len(rows) // MOST_POINTS)]
        yield {
            "ends": [str(one) for one in of],
            "time_s": [round(float(one), 6) for one in shown["time_s"]],
            "cwnd": _whole(shown["snd_cwnd"]),
            "ssthresh": [one if one < 0x7FFFFFFF else None for one in _whole(shown["ssthresh"])],
        }


def _whole(values: Iterable[Any]) -> list[int]:
    return [int(value) for value in values]
