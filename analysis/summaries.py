"""Messages of some protocols with a column `info`: each in a few words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis import messages
from analysis.dissect import dhcp as dhcp_messages
from analysis.dissect import dns as dns_messages
from analysis.dissect import websocket as websocket_frames

_FOR_PROGRAMS = {"SOA", "DS", "DNSKEY", "NSEC", "RRSIG", "OPT"}
_LONGEST = 40
"""Characters of a record's data that are shown."""

_LONGEST_FRAME = 60


def dhcp(packets: pd.DataFrame) -> pd.DataFrame:
    """DHCP messages as `analysis.dissect.dhcp.read` gives them, and `info`."""
    found = dhcp_messages.read(packets)
    found["info"] = [_dhcp(row) for row in found.to_dict("records")]
    return found


def _dhcp(row: dict[Any, Any]) -> str:
    parts = [f"DHCP {row['type']}"]
    for text, name in (
        ("gives", "your_ip"),
        ("wants", "requested_ip"),
        ("has", "client_ip"),
        ("server", "server_id"),
        ("relay", "relay_ip"),
    ):
        if not pd.isna(row[name]):
            parts.append(f"{text} {row[name]}")
    return ", ".join(parts)


def dns(packets: pd.DataFrame) -> pd.DataFrame:
    """DNS messages as `analysis.dissect.dns.read` gives them, and `info`."""
    found = dns_messages.read(packets)
    told: dict[Any, list[dict[Any, Any]]] = {}  # not a DataFrame of each: floods have thousands
    for record in dns_messages.records(packets).to_dict("records"):
        told.setdefault(record["frame"], []).append(record)
    found["info"] = [
        _dns(row, _records(told.get(row["frame"], []))) for row in found.to_dict("records")
    ]
    return found


def _dns(row: dict[Any, Any], told: str) -> str:
    asked = f"{row['type']} {row['question']}"
    if not row["response"]:
        return f"DNS {asked}?" + " (recursion desired)" * bool(row["recursion_desired"])
    notes = [
        n
        for n, flag in (("authoritative", "authoritative"), ("truncated", "truncated"))
        if row[flag]
    ]
    rcode = "" if row["rcode"] == "NOERROR" else f"{row['rcode']} "
    return f"DNS {rcode}{told or 'no records'}" + f" ({', '.join(notes)})" * bool(notes)


def _records(records: list[dict[Any, Any]]) -> str:
    """The answers; without any, whom to ask instead."""
    for section, before in (("answer", ""), ("authority", "ask ")):
        found = [r for r in records if r["section"] == section and r["type"] != "RRSIG"]
        if found:
            texts = [_record(r) for r in found[:3]]
            return before + ", ".join(texts) + ", …" * (len(found) > 3)
    return ""


def _record(row: dict[Any, Any]) -> str:
    """Type and data; of what only programs read, whose it is."""
    if row["type"] in _FOR_PROGRAMS:
        return f"{row['type']} of {row['name'] or '.'}"
    data = str(row["data"])
    return f"{row['type']} {data if len(data) <= _LONGEST else data[:_LONGEST] + '…'}"


def websocket(packets: pd.DataFrame) -> pd.DataFrame:
    """WebSocket frames as `analysis.dissect.websocket.read` gives them, and `info`: of all frames
    that the same packet completes."""
    found = websocket_frames.read(packets)
    rows = found.astype(object).where(found.notna(), None).to_dict("records")
    words = [messages.websocket_words(row)[:_LONGEST_FRAME] for row in rows]
    told = pd.Series(words, found.index, dtype=object)
    found["info"] = told.groupby(found["frame"]).transform(" · ".join)
    return found
