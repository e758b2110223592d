"""What the clients, the cache and the origin said in a step, and what claims ask of it."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pandas as pd

from analysis.dissect import http
from testbed import MissingDataError, Tables, address, pick

CLIENT, CACHE = "h1-eth0", "h3-eth0"
"""Where packets are captured: at one client, and at the cache, which sees both sides."""

_SHOWN = (
    *("If-None-Match", "If-Modified-Since", "Accept-Language", "X-Forwarded-Host", "Prefer"),
    *("Cache-Control", "Content-Location", "Vary", "Age"),
)


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages as `analysis.dissect.http.read` gives them, and `info`."""
    found = http.read(packets, ports=(80, 81, 8000))
    found["info"] = [_words(row) for row in found.to_dict("records")]
    return found.drop_duplicates("frame", keep="last")


def _words(row: dict[Any, Any]) -> str:
    more = [f"{name}: {http.header(row, name)}" for name in _SHOWN if http.header(row, name)]
    words = f" ({'; '.join(more)})" * bool(more)
    if row["kind"] == "request":
        return f"{row['method']} {row['target']}{words}"
    return f"{row['status']} {row['reason']}{words}"


def text(row: dict[Any, Any]) -> str:
    """The body."""
    return bytes(row["body"]).decode("latin-1").strip()


def _said(
    tables: Tables, step: str, kind: str, *, silent: bool = False, **equals: str
) -> list[dict[Any, Any]]:
    found = pick(tables, step, CACHE, table="http", silent=silent, kind=kind, **equals)
    rows: list[dict[Any, Any]] = found.to_dict("records")
    return rows


def requests(tables: Tables, step: str, *, silent: bool = False) -> list[dict[Any, Any]]:
    """What clients asked the cache; `silent`: they need not say anything at all."""
    return _said(tables, step, "request", silent=silent, ip_dst=address(tables, CACHE))


def some_requests(tables: Tables, step: str) -> list[dict[Any, Any]]:
    """What clients asked the cache: at least one request.

    Raises:
        MissingDataError: no client asked anything.
    """
    found = requests(tables, step)
    if not found:
        raise MissingDataError(f"step '{step}': no request of a client was captured")
    return found


def responses(tables: Tables, step: str) -> list[dict[Any, Any]]:
    """What the cache answered.

    Raises:
        MissingDataError: no client asked anything.
    """
    some_requests(tables, step)
    return _said(tables, step, "response", ip_src=address(tables, CACHE))


def response(tables: Tables, step: str) -> dict[Any, Any]:
    """The last of them; without one, an empty row of status 0."""
    return [{"status": 0, "headers": (), "body": b"", "body_bytes": 0}, *responses(tables, step)][
        -1
    ]


def outcomes(tables: Tables, *steps: str) -> dict[str, tuple[int, str]]:
    """Step → status and text of what the client got."""
    found = {step: response(tables, step) for step in steps}
    return {step: (int(row["status"]), text(row)) for step, row in found.items()}


def to_origin(tables: Tables, step: str) -> list[dict[Any, Any]]:
    """What the cache asked the origin."""
    return _said(tables, step, "request", ip_dst=address(tables, "h4-eth0"))


def from_origin(tables: Tables, step: str) -> list[dict[Any, Any]]:
    """What the origin answered."""
    return _said(tables, step, "response", ip_src=address(tables, "h4-eth0"))


def origin_codes(tables: Tables, *steps: str) -> dict[str, list[int]]:
    """Step → statuses of the origin's responses: none if the cache answered alone.

    Raises:
        MissingDataError: no client asked anything in one of the steps.
    """
    for step in steps:
        responses(tables, step)
    return {step: [int(row["status"]) for row in from_origin(tables, step)] for step in steps}


def elapsed_s(tables: Tables, first: str, then: str) -> float:
    """From the origin's last response in one step to the first request in another, in seconds.

    Raises:
        MissingDataError: there is no such response or request.
    """
    begin, end = from_origin(tables, first), requests(tables, then)
    if not begin or not end:
        raise MissingDataError(f"steps '{first}', '{then}': no response or request was captured")
    return float(end[0]["time_s"] - begin[-1]["time_s"])


def date_s(row: dict[Any, Any], name: str) -> float:
    """A header's date, in seconds since 1970.

    Raises:
        MissingDataError: the header is missing or is no date.
    """
    try:
        return parsedate_to_datetime(http.header(row, name)).timestamp()
    except ValueError:
        raise MissingDataError(f"frame {row.get('frame')}: no valid {name} header") from None


def visit(tables: Tables, step: str) -> dict[Any, Any]:
    """What the client with a memory of its own logged about a visit.

    Raises:
        MissingDataError: the visit brought nothing.
    """
    rows = tables.of("visits", step=step).dropna(subset="status").to_dict("records")
    if not rows:
        raise MissingDataError(f"step '{step}': the visit brought no response")
    return rows[-1]


def shown(tables: Tables, *steps: str) -> pd.DataFrame:
    """The messages of steps at the cache, as evidence."""
    return pd.concat(pick(tables, step, CACHE, table="http", silent=True) for step in steps)
