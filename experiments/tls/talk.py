"""The steps' messages, and what claims ask of them."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import tls
from analysis.dissect import http, tls_messages
from testbed import MissingDataError, Tables, pick

CLIENT, PATH = "h1-eth0", "r1-eth1"
"""Where packets are captured: at the client, and on the path."""

Flight = tuple[str, tuple[str, ...]]
"""Who speaks, and the messages that come before the other side speaks."""

CHANGE = "change cipher spec"
DATA = "application data"


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """TLS messages as `analysis.dissect.tls_messages.read` gives them, with the packet's `info`."""
    found = tls_messages.read(packets)
    texts = found.groupby("frame")["text"].agg(_together)
    return found.assign(info="TLS " + found["frame"].map(texts))


def _together(texts: pd.Series[str]) -> str:
    """Texts of one packet; the same ones in a row are counted."""
    runs = [(text, len(list(same))) for text, same in groupby(texts.tolist())]
    return ", ".join(f"{count} × {text}" if count > 1 else text for text, count in runs)


def read_http(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages, of TLS what is inside, and `info`."""
    found = http.read(packets)
    around = read(packets).query("protocol_name != @DATA")
    texts = ("TLS " + around.groupby("frame")["text"].agg(_together) + ", ").to_dict()
    words = [texts.get(row["frame"], "") + _words(row) for row in found.to_dict("records")]
    found["info"] = words
    return found.drop_duplicates("frame", keep="last")


def _words(row: dict[Any, Any]) -> str:
    inside = "in TLS: " if 80 not in (row["tcp_sport"], row["tcp_dport"]) else ""
    if row["kind"] == "request":
        return f"{inside}{row['method']} {row['target']}"
    return f"{inside}{row['status']} {row['reason']}, {row['body_bytes']} bytes of body"


def read_without_keys(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages that everybody on the path can read."""
    return _with(packets, [], read_http)


def read_with_private_key(packets: pd.DataFrame, key: Path) -> pd.DataFrame:
    """TLS messages that somebody can read who later gets the server's private key."""
    logs = [tls.private_key.secrets(packets, key.read_bytes())] if key.is_file() else []
    return _with(packets, logs, read)


def _with(packets: pd.DataFrame, logs: list[tls.key_log.KeyLog], reader: Any) -> pd.DataFrame:
    own = packets.copy(deep=False)
    tls.set_keys(own, logs)
    found: pd.DataFrame = reader(own)
    found["info"] = pd.NA  # the ladders show what the endpoints know
    return found


_SERVED = re.compile(r'^(\S+) (\S) "([-1])" GET (\S+) HTTP', re.MULTILINE)


def served(log: str) -> pd.DataFrame:
    """What nginx says of the requests it answered: version, resumed, early data, target."""
    return pd.DataFrame(_SERVED.findall(log), columns=["version", "reused", "early", "target"])


# ---- what claims ask


def said(tables: Tables, step: str, *, capture: str = CLIENT, **equals: Any) -> pd.DataFrame:
    """A step's TLS messages in their order; none also where a client found no session to resume."""
    return pick(tables, step, capture, table="tls", silent=True, **equals)


def flights(tables: Tables, step: str) -> list[Flight]:
    """A step's messages up to the first application data, grouped by who speaks."""
    rows = said(tables, step)
    is_data = rows["protocol_name"] == DATA
    until = int(is_data.to_numpy().argmax()) if is_data.any() else len(rows)
    names = rows["message"].where(rows["message"] != "", rows["text"])
    pairs = list(zip(rows["side"][:until], names[:until], strict=True))
    return [
        (str(side), tuple(name for _, name in group))
        for side, group in groupby(pairs, key=lambda pair: pair[0])
    ]


def without_change(seen: list[Flight]) -> list[Flight]:
    """Flights without changes of ciphers, which TLS 1.3 sends for old middleboxes only."""
    kept = [(side, tuple(n for n in names if n != CHANGE)) for side, names in seen]
    return [flight for flight in kept if flight[1]]


def round_trips(tables: Tables, step: str) -> int | None:
    """How often the client waits for the server before it sends data; None: it never does."""
    rows = said(tables, step)
    data = rows[(rows["protocol_name"] == DATA) & (rows["side"] == "client")]
    if data.empty:
        return None
    before = rows.loc[: data.index[0], "side"].tolist()
    return [side for side, _ in groupby(before)].count("server")


def alert(tables: Tables, step: str) -> tuple[str, str]:
    """Who sent the step's first fatal alert, and its description; empty: nobody did."""
    rows = said(tables, step, protocol_name="alert", alert="fatal")
    return ("", "") if rows.empty else (str(rows["side"].iloc[0]), str(rows["message"].iloc[0]))


def only(rows: pd.DataFrame, what: str) -> dict[Any, Any]:
    """The first of some rows.

    Raises:
        MissingDataError: there is none.
    """
    if rows.empty:
        raise MissingDataError(f"the capture shows no {what}")
    return rows.to_dict("records")[0]


def message(tables: Tables, step: str, name: str) -> dict[Any, Any]:
    """A handshake message of a step; empty if there is none."""
    rows = said(tables, step, message=name)
    return rows.to_dict("records")[0] if len(rows) else {}


def targets(tables: Tables, step: str, table: str = "http", capture: str = PATH) -> list[str]:
    """What a step's requests ask for."""
    found = pick(tables, step, capture, table=table, silent=True, kind="request")
    return found["target"].tolist()


def octets(tables: Tables, step: str) -> bytes:
    """All payloads of a step that pass the path."""
    return b"".join(x for x in pick(tables, step, PATH)["payload"] if isinstance(x, bytes))


def overhead(tables: Tables, step: str) -> int:
    """Bytes of a step's TLS records, without the application's data in them."""
    rows = said(tables, step)
    each = rows.drop_duplicates(["connection", "side", "record"])
    data = int(rows.loc[rows["protocol_name"] == DATA, "bytes"].sum())
    return int(each["record_bytes"].sum()) - data
