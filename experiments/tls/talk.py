"""The steps' messages, and what claims ask of them."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import tls
from testbed import ConfigError, MissingDataError, Tables, pick, tls_steps

CLIENT, PATH = tls_steps.CLIENT, "r1-eth1"
"""Where packets are captured: at the client, and on the path."""

Flight = tuple[str, tuple[str, ...]]
"""Who speaks, and the messages that come before the other side speaks."""

CHANGE = "change cipher spec"
DATA = tls_steps.DATA


read, read_http = tls_steps.read, tls_steps.read_http
said, message, alert = tls_steps.said, tls_steps.message, tls_steps.alert


def read_without_keys(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages that everybody on the path can read."""
    return _with(packets, [], read_http)


def read_with_private_key(packets: pd.DataFrame, key: Path) -> pd.DataFrame:
    """TLS messages that somebody can read who later gets the server's private key.

    Raises:
        MissingDataError: the key is missing or damaged.
    """
    try:
        found = tls.private_key.secrets(packets, key.read_bytes(), key.name)
    except (OSError, ConfigError) as error:
        raise MissingDataError(str(error)) from error
    return _with(packets, [found], read)


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


def agreed(tables: Tables, *names: str) -> None:
    """Refuses steps without an agreement: what follows it is not known then.

    Raises:
        MissingDataError: one side refused the other's handshake.
    """
    for step in names:
        rows = said(tables, step)
        data = rows["protocol_name"] == DATA
        before = rows[: int(data.to_numpy().argmax())] if data.any() else rows
        refused = before[before["alert"] == "fatal"].to_dict("records")
        if refused:
            side, alert = refused[0]["side"], refused[0]["message"]
            raise MissingDataError(f"step '{step}': the {side} refused the handshake ({alert})")


def flights(tables: Tables, step: str) -> list[Flight]:
    """A step's messages up to the first application data, grouped by who speaks.

    Raises:
        MissingDataError: the handshake was refused.
    """
    agreed(tables, step)
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
    """How often the client waits for the server before it sends data; None: it never does.

    Raises:
        MissingDataError: the handshake was refused.
    """
    agreed(tables, step)
    rows = said(tables, step)
    data = rows[(rows["protocol_name"] == DATA) & (rows["side"] == "client")]
    if data.empty:
        return None
    before = rows.loc[: data.index[0], "side"].tolist()
    return [side for side, _ in groupby(before)].count("server")


def only(rows: pd.DataFrame, what: str) -> dict[Any, Any]:
    """The first of some rows.

    Raises:
        MissingDataError: there is none.
    """
    if rows.empty:
        raise MissingDataError(f"the capture shows no {what}")
    return rows.to_dict("records")[0]


def targets(tables: Tables, step: str, table: str = "http", capture: str = PATH) -> list[str]:
    """What a step's requests ask for."""
    found = pick(tables, step, capture, table=table, silent=True, kind="request")
    return found["target"].tolist()


def octets(tables: Tables, step: str) -> bytes:
    """All payloads of a step that pass the path."""
    return b"".join(x for x in pick(tables, step, PATH)["payload"] if isinstance(x, bytes))


def overhead(tables: Tables, step: str) -> int:
    """Bytes of a step's TLS records, without the application's data in them.

    Raises:
        MissingDataError: the handshake was refused.
    """
    agreed(tables, step)
    rows = said(tables, step)
    each = rows.drop_duplicates(["connection", "side", "record"])
    data = int(rows.loc[rows["protocol_name"] == DATA, "bytes"].sum())
    return int(each["record_bytes"].sum()) - data
