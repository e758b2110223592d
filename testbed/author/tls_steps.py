"""TLS in experiments made of steps: its messages as tables, and what claims ask of them.

steps.measure(data, http.COLUMNS, {"tls": tls_steps.read, "http": tls_steps.read_http})
tls_steps.alert(tables, "expired")                # ("client", "certificate_expired")
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from testbed.author.steps import pick
from testbed.core.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

CLIENT = "h1-eth0"
"""Where packets are captured, unless said otherwise."""

GROUPS = "X25519:P-256"
"""What clients should offer to agree on keys (curl: ``--curves``, OpenSSL: ``-groups``).

OpenSSL 3.5 would also offer ML-KEM, whose public value of 1184 bytes makes ClientHello longer than
a certificate."""

NGINX_GROUPS = f"ssl_ecdh_curve {GROUPS};"
"""The same for nginx, where the client is a browser: Chromium offers ML-KEM on any system, and an
nginx with OpenSSL 3.5 would take it: its public value has 1120 bytes instead of 32."""

DATA = "application data"
"""The `protocol_name` of records that carry it."""


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """TLS messages as `analysis.dissect.tls_messages.read` gives them, with the packet's `info`."""
    from analysis.dissect import tls_messages

    found = tls_messages.read(packets)
    texts = _by_frame(found, found["text"])
    return found.assign(info=[f"TLS {texts[frame]}" for frame in found["frame"]])


def _by_frame(found: pd.DataFrame, texts: Iterable[str]) -> dict[int, str]:
    """Frame → the texts of its messages; the same ones in a row are counted."""
    together: dict[int, list[str]] = {}
    for frame, text in zip(found["frame"], texts, strict=True):
        together.setdefault(frame, []).append(text)
    return {frame: _counted(said) for frame, said in together.items()}


def _counted(texts: list[str]) -> str:
    runs = [(text, len(list(same))) for text, same in groupby(texts)]
    return ", ".join(f"{count} × {text}" if count > 1 else text for text, count in runs)


def read_http(packets: pd.DataFrame) -> pd.DataFrame:
    """HTTP messages, of TLS what is inside, and the packet's `info`."""
    from analysis.dissect import http

    found = http.read(packets)
    around = read(packets).query("protocol_name != @DATA")
    lead = _by_frame(around, around["text"])
    words = _by_frame(found, map(_words, found.to_dict("records")))
    frames = found["frame"]
    texts = [f"TLS {lead[f]}, {words[f]}" if f in lead else words[f] for f in frames]
    return found.assign(info=texts)


def _words(row: dict[Any, Any]) -> str:
    inside = "in TLS: " if 80 not in (row["tcp_sport"], row["tcp_dport"]) else ""
    if row["kind"] == "request":
        return f"{inside}{row['method']} {row['target']}"
    return f"{inside}{row['status']} {row['reason']}, {row['body_bytes']} bytes of body"


def said(tables: Tables, step: str, *, capture: str = CLIENT, **equals: Any) -> pd.DataFrame:
    """A step's TLS messages in their order, from the table ``tls``; `equals` as for `pick`.

    None also where nothing was captured, as where a client found no session to resume.
    """
    return pick(tables, step, capture, table="tls", silent=True, **equals)


def message(tables: Tables, step: str, name: str) -> dict[Any, Any]:
    """A handshake message of a step; empty if there is none."""
    rows = said(tables, step, message=name)
    return rows.to_dict("records")[0] if len(rows) else {}


def alert(tables: Tables, step: str) -> tuple[str, str]:
    """Who sent the step's first fatal alert, and its description; empty: nobody did."""
    rows = said(tables, step, protocol_name="alert", alert="fatal")
    return ("", "") if rows.empty else (str(rows["side"].iloc[0]), str(rows["message"].iloc[0]))
