"""What a browser did, as tables: visits, their requests with phases, pictures, console.

    requests = data.browser()["requests"]

Reads what `testbed.daemons.browser` leaves in a scenario's folder. Times are in ns of the run's
clock since `run` began, as in ``time_s`` of packets; they are multiples of 1 µs, the resolution of
Chromium's clock. A request's packets have its ``local_port`` and the server's ``port``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.browser import net_log, requests
from testbed.core.errors import ParseError

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "browser"

VISITS = {
    "visit": "string",
    "node": "string",
    "url": "string",
    "title": "string",
    "began_ns": "Int64",
    "first_paint_ns": "Int64",
    "first_content_ns": "Int64",
    "largest_content_ns": "Int64",
    "interactive_ns": "Int64",
    "content_loaded_ns": "Int64",
    "loaded_ns": "Int64",
    "paused_ns": "Int64",
}
"""One row per visit: when it began, and how much later, in ns, something happened: the first paint,
the first content, the largest content painted; the document parsed (interactive); scripts run that
had to wait for it (content loaded); everything loaded. ``paused_ns``: of
`analysis.browser.requests.longest_pause_ns`."""

REQUESTS = {
    "visit": "string",
    "node": "string",
    "request": "string",
    "url": "string",
    "host": "string",
    "method": "string",
    "type": "string",
    "initiator": "string",
    "priority": "string",
    "status": "Int64",
    "protocol": "string",
    "served_from": "string",
    "connection": "Int64",
    "reused": "boolean",
    "address": "string",
    "port": "Int64",
    "local_port": "Int64",
    "wire_bytes": "Int64",
    "body_bytes": "Int64",
    "early": "boolean",
    "error": "string",
    "began_ns": "Int64",
    "ended_ns": "Int64",
    **{f"{phase}_ns": "Int64" for phase in requests.PHASES},
}
"""One row per request; see `analysis.browser.requests.Request`. Phases follow each other from
``began_ns`` to ``ended_ns``."""

FRAMES = {
    "visit": "string",
    "node": "string",
    "time_ns": "Int64",
    "file": "string",
    "picture": "object",
}
"""One row per picture of the filmstrip: ``file`` is its place below the scenario's folder,
``picture`` its contents (PNG); None if it is gone."""

CONSOLE = {
    "visit": "string",
    "node": "string",
    "time_ns": "Int64",
    "level": "string",
    "text": "string",
}
"""One row per line of the page's console: by its scripts, by the browser, uncaught exceptions."""

_ATTEMPT = "+"
"""Between a visit's name and the number of its attempt, from the second one on."""

COLUMNS = {"visits": VISITS, "requests": REQUESTS, "frames": FRAMES, "console": CONSOLE}


def read(scenario: Path, clock: Mapping[str, int]) -> dict[str, pd.DataFrame]:
    """The tables of a scenario's browsers.

    Args:
        scenario: its folder.
        clock: ``monotonic_ns`` and ``realtime_ns`` when `run` began.

    Raises:
        ParseError: a file is missing or damaged.
    """
    import pandas as pd

    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    for node in sorted(path for path in (scenario / FOLDER).glob("*") if path.is_dir()):
        ports = net_log.local_ports(node / "net-log.json")
        for visit in sorted(path.parent for path in node.glob("*/events.jsonl")):
            for name, row in _rows(visit, ports, clock["monotonic_ns"], clock["realtime_ns"]):
                rows[name].append({"visit": visit.name, "node": node.name, **row})
    try:
        return {
            name: pd.DataFrame(rows[name], columns=list(columns)).astype(columns)
            for name, columns in COLUMNS.items()
        }
    except (OverflowError, TypeError, ValueError) as error:  # a number of more than 64 bits
        where = str(scenario / FOLDER)
        raise ParseError(where, "events", f"not as DevTools tells them: {error!r}") from None


def attempt_name(name: str, attempt: int) -> str:
    """The name of a visit that is made again: the first attempt has the visit's own."""
    return name if attempt == 1 else f"{name}{_ATTEMPT}{attempt}"


def last_attempts(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables in which of each visit that was made again the last attempt has the visit's name.

    Args:
        tables: those of `read`, and others with a column ``visit`` or ``step``. The rows of earlier
            attempts are left out.
    """
    last: dict[str, str] = {}
    for name in sorted(tables["visits"]["visit"], key=_attempt):
        last[name.partition(_ATTEMPT)[0]] = name
    gone = set(tables["visits"]["visit"]) - set(last.values())
    names = {attempt: name for name, attempt in last.items()}
    return {name: _renamed(table, gone, names) for name, table in tables.items()}


def _attempt(name: str) -> int:
    return int(name.partition(_ATTEMPT)[2] or 1)


def _renamed(table: pd.DataFrame, gone: set[str], names: Mapping[str, str]) -> pd.DataFrame:
    column = next((c for c in ("visit", "step") if c in table), None)
    if column is None or not gone:
        return table
    kept = table[~table[column].isin(gone)].reset_index(drop=True)
    return kept.assign(**{column: kept[column].replace(dict(names))})


def _rows(
    visit: Path, ports: dict[int, int], zero_ns: int, epoch_ns: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    events = requests.read(visit / "events.jsonl")
    try:
        found = requests.of_events(events)
        yield "visits", _visit(visit, found, zero_ns)
        for request in found:
            yield "requests", _request(request, ports, zero_ns)
        for event in events:
            yield from _seen(event, visit.parents[2], visit, epoch_ns)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ParseError(str(visit), "events", f"not as DevTools tells them: {error!r}") from None


def _visit(
    visit: Path, found: Sequence[requests.Request], zero_ns: int
) -> dict[str, int | str | None]:
    path = visit / "state.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ParseError(str(path), "file", "is missing; is this a complete run?") from None
    except (ValueError, RecursionError) as error:
        raise ParseError(str(path), "file", str(error)) from None
    entries: list[dict[str, Any]] = state["entries"]
    times = {entry["name"]: entry["startTime"] for entry in entries}
    navigation = next((e for e in entries if e["entryType"] == "navigation"), {})
    largest = [e for e in entries if e["entryType"] == "largest-contentful-paint"]

    def after(ms: float | None) -> int | None:
        return None if not ms else round(ms * 1e3) * 1000

    began_ns = found[0].began_ns if found else None
    loaded_ns = after(navigation.get("loadEventEnd"))
    ended_ns = None if began_ns is None or loaded_ns is None else began_ns + loaded_ns
    return {
        "url": found[0].url if found else state["url"],
        "title": state["title"],
        "began_ns": None if began_ns is None else began_ns - zero_ns,
        "first_paint_ns": after(times.get("first-paint")),
        "first_content_ns": after(times.get("first-contentful-paint")),
        "largest_content_ns": after(largest[-1]["startTime"] if largest else None),
        "interactive_ns": after(navigation.get("domInteractive")),
        "content_loaded_ns": after(navigation.get("domContentLoadedEventEnd")),
        "loaded_ns": loaded_ns,
        "paused_ns": requests.longest_pause_ns(found, ended_ns),
    }


def _request(request: requests.Request, ports: dict[int, int], zero_ns: int) -> dict[str, Any]:
    same = {name: getattr(request, name) for name in REQUESTS if hasattr(request, name)}
    ended_ns = None if request.ended_ns is None else request.ended_ns - zero_ns
    return {
        **same,
        **{f"{phase}_ns": ns for phase, ns in request.phases_ns.items()},
        "began_ns": request.began_ns - zero_ns,
        "ended_ns": ended_ns,
        "local_port": ports.get(request.connection),
    }


def _seen(
    event: requests.Event, scenario: Path, visit: Path, epoch_ns: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    method, told = event["method"], event["params"]
    if method == "Page.screencastFrame" and "file" in told:
        moment_ns = round(told["metadata"]["timestamp"] * 1e6) * 1000 - epoch_ns
        path = visit / "film" / Path(told["file"]).name
        picture = path.read_bytes() if path.is_file() else None
        file = str(path.relative_to(scenario))
        yield "frames", {"time_ns": moment_ns, "file": file, "picture": picture}
        return
    if method == "Runtime.consoleAPICalled":
        words = [str(a.get("value", a.get("description", ""))) for a in told["args"]]
        line, level, text = told, told["type"], " ".join(words)
    elif method == "Runtime.exceptionThrown":
        thrown = told["exceptionDetails"]
        text = thrown.get("exception", {}).get("description") or thrown["text"]
        line, level = told, "error"
    elif method == "Log.entryAdded":
        line = told["entry"]
        level, text = line["level"], " ".join((line["text"], line.get("url", ""))).strip()
    elif method == "Page.javascriptDialogOpening":
        yield "console", {"time_ns": None, "level": told["type"], "text": told["message"]}
        return
    else:
        return
    moment_ns = round(line["timestamp"] * 1e3) * 1000 - epoch_ns
    yield "console", {"time_ns": moment_ns, "level": level, "text": text}
