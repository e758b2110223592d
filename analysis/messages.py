"""Messages of the protocols above TCP and UDP, and of routing, in a few words each.

    found = find(packets.read(capture, packets.COLUMNS))

Every dissector that filters know has its words here; without any, its messages are named only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from analysis.dissect import dns, http2_frames
from analysis.filters.names import DISSECTORS, NEEDED
from analysis.printable import printable

MOST_IN_A_PACKET = 3
"""Messages of one packet that are spelt out; the others are counted."""

READ = frozenset({"frame", "time_ns", "time_s", "captured_bytes"}.union(*NEEDED.values()))
"""Columns of packets that `find` can use."""

_MOST_ANSWERS = 4
_LONGEST = 300

_TELLING = ("type", "command", "method", "status", "ciphers")
"""Of a message that is not whole, one of these must be there to say more than that it is one."""

_ALIASES = {"bootp", "openflow_v4"}
_NAMES = {
    "openflow": "OpenFlow",
    "ripng": "RIPng",
    "websocket": "WebSocket",
    "http2": "HTTP/2",
    "http3": "HTTP/3",
}

Row = Mapping[Any, Any]


def find(packets: pd.DataFrame, protocols: frozenset[str] | None = None) -> pd.DataFrame:
    """The messages of all dissectors.

    Args:
        packets: with all columns of `analysis.packets.COLUMNS`, `payload` included; any value may
            be missing.
        protocols: dissectors to ask, by the names of `analysis.filters.names.DISSECTORS`.

    Returns:
        one row per message, by frames: ``frame``, ``name`` (the dissector's), ``protocol`` (as
        people write it), ``text``, ``malformed``, ``error`` (an answer that reports a failure).
    """
    table = packets
    if further := [name for name in packets if name not in READ]:
        table = packets.drop(columns=further)
    if "time_s" not in table:
        first = table["time_ns"].min() if len(table) else 0
        table = table.assign(time_s=(table["time_ns"] - first) / 1e9)
    rows = [
        row
        for name in DISSECTORS
        if name not in _ALIASES and (protocols is None or name in protocols)
        for row in _of(name, table)
    ]
    columns = ["frame", "name", "protocol", "text", "malformed", "error"]
    return pd.DataFrame(rows, columns=columns).sort_values("frame", kind="stable")


def by_frame(found: pd.DataFrame) -> dict[int, tuple[str, str]]:
    """Frame → protocol and text of all its messages."""
    texts: dict[int, tuple[str, list[str]]] = {}
    columns = (found["frame"].tolist(), found["protocol"].tolist(), found["text"].tolist())
    for frame, protocol, text in zip(*columns, strict=True):
        texts.setdefault(frame, (protocol, []))[1].append(text)
    return {frame: (protocol, _together(said)) for frame, (protocol, said) in texts.items()}


def _together(said: list[str]) -> str:
    """The messages of one packet."""
    words = " · ".join(said[:MOST_IN_A_PACKET])
    more = len(said) - MOST_IN_A_PACKET
    return f"{words} · {more} more" if more > 0 else words


def _of(name: str, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Messages of one dissector."""
    found = DISSECTORS[name](table)
    if found.empty:
        return []
    answers = _answers(table) if name == "dns" else {}
    words = _WORDS.get(name)
    plain = found.astype(object).where(found.notna(), None)
    rows = []
    for row in plain.to_dict("records"):
        row["records"] = answers.get(row["frame"], [])
        protocol = str(row.get("protocol") or _NAMES.get(name, name.upper()))
        malformed, cut = bool(row.get("malformed")), bool(row.get("cut"))
        tells = (not malformed and not cut) or any(row.get(key) for key in _TELLING)
        said = words(row) if words and tells else "message"
        text = printable(f"{said}{' [malformed]' if malformed else ' [cut]' if cut else ''}")
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}…"
        about = {"frame": row["frame"], "name": name, "protocol": protocol, "text": text}
        rows.append(about | {"malformed": malformed, "error": _is_error(name, row)})
    return rows


def _answers(table: pd.DataFrame) -> dict[int, list[str]]:
    """Frame → data of a DNS response's answers."""
    records = dns.records(table[list(dns.COLUMNS)])
    records = records[records["section"] == "answer"]
    answers: dict[int, list[str]] = {}
    for frame, data in zip(records["frame"].tolist(), records["data"].tolist(), strict=True):
        answers.setdefault(frame, []).append(data)
    return answers


def _is_error(name: str, row: Row) -> bool:
    if name == "dns":
        return bool(row["response"]) and row["rcode"] not in {"NOERROR", None}
    if name == "http":
        return (row["status"] or 0) >= 400
    if name == "http2":
        return (row["status"] or 0) >= 400 or row["error"] not in {None, "NO_ERROR", "CANCEL"}
    if name == "http3":
        return str(row["status"] or "") >= "400"
    return name == "dhcp" and row["type"] in {"NAK", "DECLINE"}


def _joined(*parts: object) -> str:
    return " ".join(str(part) for part in parts if part not in (None, ""))


def _dns(row: Row) -> str:
    asked = _joined(row["type"], row["question"])
    if not row["response"]:
        return f"query {asked}"
    failed = "" if row["rcode"] == "NOERROR" else row["rcode"]
    data = row["records"]
    more = f" and {len(data) - _MOST_ANSWERS} more" if len(data) > _MOST_ANSWERS else ""
    answers = f"→ {', '.join(data[:_MOST_ANSWERS])}{more}" if data else ""
    nothing = "" if failed or data else "no answer"
    return _joined("response", asked, failed, nothing, answers)


def _dhcp(row: Row) -> str:
    offered = row["your_ip"] or row["requested_ip"] or row["client_ip"]
    lease = f"for {int(row['lease_s'])} s" if row["lease_s"] is not None else ""
    return _joined(row["type"], offered, lease, f"(client {row['client_mac'] or '?'})")


def _http(row: Row) -> str:
    if row["kind"] == "request":
        host = f"({row['host']})" if row["host"] else ""
        return _joined(row["method"], row["target"], host)
    size = f"{int(row['content_bytes'])} bytes" if row["content_bytes"] is not None else ""
    about = ", ".join(filter(None, [row["content_type"], size]))
    status = None if row["status"] is None else int(row["status"])
    return _joined(status, row["reason"], f"({about})" if about else "")


def _http2(row: Row) -> str:
    if row["type"] == http2_frames.REST:
        return str(row["problem"])
    flags = str(row["flags"]).split(",")
    on = f"stream {int(row['stream'])}" if row["stream"] else ""
    said = _http2_block(row) if row["headers"] is not None else _http2_values(row)
    end = "end" if "END_STREAM" in flags else ""
    return ", ".join(filter(None, [_joined(row["type"], on), said, end]))


def _http2_block(row: Row) -> str:
    """The fields of a header block, by the most telling ones."""
    host = f"({row['host']})" if row["host"] else ""
    status = None if row["status"] is None else int(row["status"])
    promised = f"promises stream {int(row['promised'])}" if row["promised"] else ""
    telling = _joined(promised, status, row["method"], row["target"], host)
    count = len(row["headers"])
    telling = telling or f"{count} field{'' if count == 1 else 's'}"
    return ", ".join(filter(None, [telling, _priority(row)]))


def _http2_values(row: Row) -> str:
    """What a frame without fields holds."""
    acknowledged = "acknowledged" if "ACK" in str(row["flags"]) else ""
    data = f"{int(row['data_bytes'])} bytes" if row["data_bytes"] is not None else ""
    settings = str(row["settings"] or "").replace(",", ", ")
    increment = f"+{int(row['increment'])} bytes" if row["increment"] is not None else ""
    last = f"last stream {int(row['last_stream'])}" if row["last_stream"] is not None else ""
    depends = (
        f"depends on {int(row['depends_on'])}, weight {int(row['weight'])}"
        if row["depends_on"] is not None
        else ""
    )
    detail = "" if row["type"] == "PING" else row["detail"]
    return _joined(acknowledged, data, settings, increment, row["error"], last, depends, detail)


def websocket_words(row: Row) -> str:
    """A WebSocket frame in a few words.

    Args:
        row: of `analysis.dissect.websocket.read`, with None for what is missing.
    """
    if row["opcode"] is None:
        return str(row["problem"])
    marks = ["masked"] * row["masked"] + ["compressed"] * row["compressed"]
    goes_on = "" if row["fin"] else "(first part)" if row["opcode"] else "(not the last)"
    kind = _joined(row["type"], goes_on, row["close_code"])
    about = ", ".join([kind, f"{row['payload_bytes']} bytes", *marks])
    return f"{about}: {row['text']}" if row["text"] else about


def _quic(row: Row) -> str:
    number = "" if row["number"] is None else str(int(row["number"]))
    version = f"version {row['version']}" if row["source_id"] is not None else ""
    target = row["target_id"] or "?"
    ids = f"to {target}" if row["source_id"] is None else f"{row['source_id']} → {target}"
    offered = f"offers {row['versions']}".replace(",", ", ") if row["versions"] else ""
    token = f"token {int(row['token_bytes'])} bytes" if row["token_bytes"] else ""
    closed = "" if offered or row["packet"] == "Retry" else "protected"
    inside = row["frames"] if row["opened"] else closed
    said = [
        _joined(row["packet"], number),
        version,
        ids,
        offered,
        token,
        row["server_name"],
        inside,
    ]
    return ", ".join(part for part in said if part)


def _http3(row: Row) -> str:
    on = f"stream {row['stream']}"
    said = _joined(row["status"], row["method"], row["target"])
    said = said or row["settings"] or row["detail"] or ""
    name = row["type"] if row["kind"] in ("request", "control", "push") else row["kind"]
    size = f"{row['payload_bytes']} bytes"
    return ", ".join(filter(None, [f"{name} {on}", said, _priority(row), size]))


def _priority(row: Row) -> str:
    """What the fields of a request or a response say of it (RFC 9218 §5)."""
    said = dict(row["headers"] or ()).get("priority")
    return f"priority {said}" if said else ""


def _tls(row: Row) -> str:
    offered = f"ALPN {row['alpn']}" if row["alpn"] else ""
    return ", ".join(
        filter(None, [f"{row['kind']} hello", row["version"], row["server_name"], offered])
    )


def _rip(row: Row) -> str:
    if row["whole_table"]:
        return f"v{row['version']} {row['command']} for the whole table"
    count = int(row["entry_count"] or 0)
    return f"v{row['version']} {row['command']}, {count} route{'' if count == 1 else 's'}"


def _ospf(row: Row) -> str:
    count = int(row["lsa_count"] or 0)
    about = f"{count} LSA{'' if count == 1 else 's'}" if count else ""
    if row["type"] == "hello":
        about = f"neighbours {row['neighbours'] or 'none'}"
    elif row["type"] == "description" and row["dd_flags"]:
        about = _joined(f"[{row['dd_flags']}]", about)
    router = f"router {row['router_id']}, area {row['area']}"
    return ", ".join(filter(None, [f"v{row['version']} {row['type']}", router, about]))


def _bgp(row: Row) -> str:
    if row["type"] == "OPEN":
        return f"OPEN, AS {row['asn']}, router {row['router_id']}, hold time {row['hold_s']} s"
    if row["type"] == "NOTIFICATION":
        return _joined("NOTIFICATION", row["error"])
    path = row["as_path"]
    by = "" if path is None else f"path {path}" if path else "from inside the AS"
    gone = f"withdraws {_prefixes(row['withdrawn'])}" if row["withdrawn"] else ""
    if row["type"] == "UPDATE" and not (row["prefixes"] or row["withdrawn"]):
        return "UPDATE, end of the table"
    parts = [_prefixes(row["prefixes"] or ""), by if row["prefixes"] else "", gone]
    said = ", ".join(filter(None, parts))
    return _joined(row["type"], said)


def _prefixes(written: str) -> str:
    """A few of the prefixes, and how many more."""
    each = written.split(",") if written else []
    more = f" and {len(each) - _MOST_ANSWERS} more" if len(each) > _MOST_ANSWERS else ""
    return ", ".join(each[:_MOST_ANSWERS]) + more


def _openflow(row: Row) -> str:
    carried = ""
    if row["ip_src"]:
        carried = f"{row['ip_src']} → {row['ip_dst']}"
    elif row["eth_src"]:
        carried = f"{row['eth_src']} → {row['eth_dst']}"
    return _joined(row["type"], row["command"], carried and f"({carried})")


def _igmp(row: Row) -> str:
    more = int(row["records"] or 0) - 1
    others = f"and {more} more" if more > 0 else ""
    group = "" if row["group"] in (None, "0.0.0.0") else row["group"]
    return _joined(row["type"], row["change"], group, others)


_WORDS: dict[str, Callable[[Row], str]] = {
    "dns": _dns,
    "dhcp": _dhcp,
    "http": _http,
    "http2": _http2,
    "websocket": websocket_words,
    "quic": _quic,
    "http3": _http3,
    "tls": _tls,
    "rip": _rip,
    "ripng": _rip,
    "ospf": _ospf,
    "openflow": _openflow,
    "igmp": _igmp,
    "bgp": _bgp,
}
"""Dissector → what one row of its table says."""

PROTOCOLS = frozenset(_WORDS)
"""Dissectors whose messages have words."""
