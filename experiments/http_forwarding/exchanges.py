"""What clients, proxies and servers said in a step, and what claims ask of it."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from analysis.dissect import http
from testbed import MissingDataError, Tables, address, pick

CLIENT, PROXY, SERVER = "h1-eth0", "h3-eth0", "h4-eth0"
"""Where packets are captured: at a client, at the proxies, and at the site."""

FIN, SYN, RST, SYN_ACK, RST_ACK = 0x01, 0x02, 0x04, 0x12, 0x14

_SHOWN = ("X-Forwarded-For", "Via", "Location", "Set-Cookie", "Cookie")
_SECRET = re.compile(r"(=\w{4})\w{8,}")
"""An id of a session, of which ladders show the beginning."""

Rows = list[dict[Any, Any]]


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages as `analysis.dissect.http.read` gives them, and `info`."""
    found = http.read(packets, ports=(80, 82, 83, 443, 3128, 8000, 8080))
    found["info"] = [_words(row) for row in found.to_dict("records")]
    return found.drop_duplicates("frame", keep="last")


def _words(row: dict[Any, Any]) -> str:
    values = {name: http.header(row, name) for name in _SHOWN}
    more = [f"{name}: {_short(value)}" for name, value in values.items() if value]
    words = f" ({'; '.join(more)})" * bool(more)
    if row["kind"] == "request":
        return f"{row['method']} {row['target']}{words}"
    return f"{row['status']} {row['reason']}{words}"


def _short(value: str) -> str:
    return _SECRET.sub(r"\1…", value.partition("; HttpOnly")[0])


def cookies(row: dict[Any, Any]) -> list[str]:
    """``name=value`` of each cookie that a response sets."""
    return [value.split(";")[0] for value in http.header_values(row, "Set-Cookie")]


def text(row: dict[Any, Any]) -> str:
    """The first line of the body."""
    return bytes(row["body"]).decode("latin-1").strip().partition("\n")[0]


def at(tables: Tables, node: str) -> str:
    """A host's address."""
    return address(tables, f"{node}-eth0")


def requests(tables: Tables, step: str, to: str, capture: str) -> Rows:
    """Requests to a host, in order."""
    found = pick(tables, step, capture, table="http", kind="request", ip_dst=at(tables, to))
    rows: Rows = found.to_dict("records")
    return rows


def responses(tables: Tables, step: str, source: str, capture: str) -> Rows:
    """Responses of a host, in order.

    Raises:
        MissingDataError: nobody asked it anything.
    """
    asked = pick(tables, step, capture, ip_dst=at(tables, source), table="http", kind="request")
    if asked.empty:
        raise MissingDataError(f"step '{step}': no request to {source} was captured at {capture}")
    found = pick(tables, step, capture, table="http", kind="response", ip_src=at(tables, source))
    rows: Rows = found.to_dict("records")
    return rows


def codes(rows: Rows) -> list[int]:
    """Their status codes."""
    return [int(row["status"]) for row in rows]


def targets(rows: Rows) -> list[str]:
    """What they ask for."""
    return [str(row["target"]) for row in rows]


def behind(tables: Tables, step: str) -> list[str]:
    """The servers that the proxy asked, in order."""
    names = {at(tables, node): node for node in ("h4", "h5")}
    found = pick(tables, step, PROXY, table="http", kind="request", ip_src=at(tables, "h3"))
    return [names[str(ip)] for ip in found["ip_dst"] if str(ip) in names]


def opened(tables: Tables, step: str, to: str, capture: str, port: int = 0) -> pd.DataFrame:
    """SYNs to a host; may be empty."""
    found = pick(tables, step, capture, ip_dst=at(tables, to), tcp_flags=SYN)
    return found[found["tcp_dport"] == port] if port else found


def shown(tables: Tables, *steps: str, capture: str = PROXY) -> pd.DataFrame:
    """The messages of steps, as evidence."""
    return pd.concat(pick(tables, step, capture, table="http") for step in steps)
