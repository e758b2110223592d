"""What claims ask of a visit: its requests, its times, its packets."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pandas as pd

from analysis.browser import requests as browser_requests
from testbed import MissingDataError, Tables, address, first, last, pick

CACHES, PAGES = "caches", "pages"
"""The scenarios."""

CLIENT, RESOLVER = "h1-eth0", "v1-eth0"

SYN, SYN_ACK = 2, 18


def visit(tables: Tables, name: str, scenario: str = CACHES) -> pd.Series[Any]:
    """A visit's times.

    Raises:
        MissingDataError: there was no such visit.
    """
    return tables.row("visits", scenario=scenario, visit=name)


def undisturbed(tables: Tables, *names: str, scenario: str = PAGES) -> None:
    """Refuses visits in which the browser paused for reasons of its own.

    Raises:
        MissingDataError: nothing was under way for too long before the page had loaded.
    """
    for name in names:
        paused_ns = visit(tables, name, scenario)["paused_ns"]
        if paused_ns > browser_requests.PAUSE_NS:
            raise MissingDataError(
                f"in visit '{name}' the browser paused for {paused_ns / 1e6:.0f} ms by itself"
            )


def ms(row: pd.Series[Any], column: str) -> float | None:
    """A time of a row, in ms; None: it did not happen."""
    value = row[f"{column}_ns"]
    return None if pd.isna(value) else float(value) / 1e6


def requests(tables: Tables, name: str, scenario: str = CACHES, **equals: Any) -> pd.DataFrame:
    """A visit's requests, in the order in which the browser wanted them; may be empty.

    Raises:
        MissingDataError: there was no such visit.
    """
    visit(tables, name, scenario)
    return tables.rows("requests", scenario=scenario, visit=name, **equals)


def document(tables: Tables, name: str, scenario: str = CACHES) -> pd.Series[Any]:
    """The request for the page itself, behind all redirections."""
    return last(requests(tables, name, scenario, type="Document"), f"page in visit '{name}'")


def sent(found: pd.DataFrame) -> pd.DataFrame:
    """Those requests that went to a server."""
    return found[found["served_from"] == "network"]


def file(tables: Tables, name: str, path: str, scenario: str = PAGES) -> pd.Series[Any]:
    """The request for one file of a visit."""
    found = requests(tables, name, scenario)
    return first(found[found["url"].str.endswith(path)], f"request for {path} in visit '{name}'")


def packets(tables: Tables, name: str, scenario: str = CACHES, **equals: Any) -> pd.DataFrame:
    """A visit's packets at the client; may be empty."""
    return pick(tables, name, CLIENT, scenario=scenario, **equals)


def of_connection(found: pd.DataFrame, port: int) -> pd.DataFrame:
    """Packets of the client's connection from a port."""
    return found[(found["tcp_sport"] == port) | (found["tcp_dport"] == port)]


def port(row: pd.Series[Any]) -> int:
    """The client's port of a request's connection; 0: it used none."""
    return 0 if pd.isna(row["local_port"]) else int(row["local_port"])


def opened(tables: Tables, name: str, scenario: str = CACHES) -> pd.DataFrame:
    """The SYNs that the client sent in a visit."""
    return packets(tables, name, scenario, tcp_flags=SYN)


def handshake_ms(tables: Tables, name: str, port: int) -> float | None:
    """From the SYN to the SYN+ACK of a connection, by the packets."""
    found = of_connection(packets(tables, name), port)
    syn, ack = (found[found["tcp_flags"] == flags]["time_s"] for flags in (SYN, SYN_ACK))
    return None if syn.empty or ack.empty else float(ack.iloc[0] - syn.iloc[0]) * 1e3


def turns_s(tables: Tables, name: str, port: int) -> list[float]:
    """When each side of a connection began to speak, in turn, the client first."""
    found = of_connection(packets(tables, name), port)
    found = found[found["tcp_payload_bytes"] > 0]
    sides = zip(found["tcp_sport"] == port, found["time_s"], strict=True)
    return [float(next(rows)[1]) for _, rows in groupby(sides, key=lambda pair: bool(pair[0]))]


def turn_ms(turns: list[float], number: int) -> float | None:
    """From one side's turn to the other's answer."""
    return (turns[number + 1] - turns[number]) * 1e3 if len(turns) > number + 1 else None


def look_up_ms(tables: Tables, name: str) -> float | None:
    """From the client's question for an address to the answer, by the packets."""
    asked, told = (_dns(tables, name, response=told) for told in (False, True))
    if asked.empty or told.empty:
        return None
    return float(told["time_s"].iloc[0] - asked["time_s"].iloc[0]) * 1e3


def asked_names(tables: Tables, name: str) -> int:
    """Number of questions for an address that the client sent."""
    return len(_dns(tables, name, response=False))


def asked_servers(tables: Tables, name: str) -> pd.DataFrame:
    """The resolver's questions for an address in a visit."""
    own = address(tables, RESOLVER, scenario=CACHES)
    found = pick(tables, name, RESOLVER, scenario=CACHES, table="dns", response=False, type="A")
    return found[found["ip_src"] == own]


def node_at(tables: Tables, ip: str) -> str:
    """The node that has an address."""
    found = tables.of("addresses", scenario=CACHES)
    return str(
        first(found[found["ipv4"].astype("string").str.split("/").str[0] == ip], f"node {ip}")[
            "node"
        ]
    )


def _dns(tables: Tables, name: str, **equals: Any) -> pd.DataFrame:
    return pick(tables, name, CLIENT, scenario=CACHES, table="dns", type="A", **equals)


def known(value: float | None, what: str) -> float:
    """A time that was measured.

    Raises:
        MissingDataError: it was not.
    """
    if value is None:
        raise MissingDataError(f"no {what}")
    return value
