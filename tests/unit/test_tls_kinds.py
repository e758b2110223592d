"""Kinds of TLS that no experiment shows, opened, against tshark (tests/captures/make_tls_kinds.py):
block ciphers with the MAC inside and around, renegotiation, new keys, retries, PSK, early data."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from analysis import packets, tls
from analysis.dissect import http, tls_messages
from analysis.streams import Conversation, Stream
from analysis.tls import key_log
from tests.captures.make_tls_kinds import KINDS

CAPTURES = Path(__file__).parents[1] / "captures"
NAMES = [n for name, kind in KINDS.items() for n in [name, *[f"{name}-again"] * bool(kind.again)]]
EARLY = b"GET /early HTTP/1.0\r\n\r\n"
REFUSED = "early-retried-again"
"""Its server refuses early data. tshark shows them as said; we do not, since nobody read them."""


@pytest.fixture(scope="module")
def opened() -> pd.DataFrame:
    table = packets.read(CAPTURES / "tls_kinds.pcapng", [*http.COLUMNS, "time_ns"])
    tls.set_keys(table, [key_log.parse(table.attrs["key_logs"][0], "capture")])
    return table


@pytest.fixture(scope="module")
def said(opened: pd.DataFrame) -> dict[str, Conversation]:
    return dict(zip(NAMES, tls.conversations(opened), strict=True))


@pytest.fixture(scope="module")
def tshark() -> pd.DataFrame:
    table = pd.read_csv(CAPTURES / "tls_kinds.tsv", sep="\t", dtype=str).fillna("")
    return table.set_index(table["frame.number"].astype(int))


def octets(stream: Stream) -> bytes:
    return b"".join(run.data for run in stream.runs)


@pytest.mark.parametrize(("number", "name"), list(enumerate(NAMES)))
def test_both_sides_say_what_tshark_decrypts(
    number: int, name: str, said: dict[str, Conversation]
) -> None:
    client, server = octets(said[name].client), octets(said[name].server)
    if name == REFUSED:
        assert EARLY not in client
        client = EARLY + client
    wanted = json.loads((CAPTURES / "tls_kinds.json").read_text())[number]
    assert [hashlib.sha256(side).hexdigest() for side in (client, server)] == wanted
    assert f"GET /{name} HTTP/1.0".encode() in client
    assert server or not KINDS[name.removesuffix("-again")].answers


def test_every_message_is_opened_and_the_same(opened: pd.DataFrame, tshark: pd.DataFrame) -> None:
    got = tls_messages.read(opened)
    assert got["opened"].all()
    for protocol, names, field in (
        ("handshake", tls_messages.HANDSHAKES, "tls.handshake.type"),
        ("alert", tls_messages.ALERTS, "tls.alert_message.desc"),
    ):
        types = {name: number for number, name in names.items()} | {"HelloRetryRequest": 2}
        rows = got[got["protocol_name"] == protocol]
        found = {
            int(frame): Counter(types[name] for name in group["message"])
            for frame, group in rows.groupby("frame")
        }
        wanted = {
            frame: Counter(int(word) for word in text.split(","))
            for frame, text in tshark[field].items()
            if text
        }
        assert found == wanted


def test_renegotiation_brings_new_keys(opened: pd.DataFrame) -> None:
    got = tls_messages.read(opened)
    again = got[got["connection"] == NAMES.index("renegotiated-cbc")]
    hellos = again[again["message"] == "ClientHello"]
    assert hellos["encrypted"].tolist() == [False, True, True]


def test_without_the_second_secret_a_renegotiated_session_stays_closed(
    opened: pd.DataFrame,
) -> None:
    log = tls.keys_of(opened) or key_log.KeyLog()
    number = NAMES.index("renegotiated")
    got = tls_messages.read(opened)
    hello = got[(got["connection"] == number) & (got["message"] == "ClientHello")]
    first = bytes(hello["data"].iloc[0])[2:34]
    table = opened.copy()
    tls.set_keys(table, [key_log.KeyLog({k: v for k, v in log.secrets.items() if k[1] == first})])
    got = tls_messages.read(table)
    own = got[got["connection"] == number]
    assert (own["message"] == "ClientHello").sum() == 2
    data = own[own["protocol_name"] == "application data"]
    assert len(data) and not data["opened"].any()
