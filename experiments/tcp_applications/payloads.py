"""What clients and servers say to each other: the payloads of a capture, read by protocol."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis.dissect import dns

LINES = {21: "FTP", 25: "SMTP", 80: "HTTP", 110: "POP3"}
"""Ports of the protocols whose messages are lines of text."""

TELNET, DNS, TFTP, SNMP = 23, 53, 69, 161

_WORD = re.compile(r"(\d{3}|[A-Z]{3,7}|[+-](?:OK|ERR)|HTTP/1\.[01])(?=[ \r\n-])")
_LONGEST = 60
"""Characters of a text that a ladder shows."""

_SAID = ("frame", "service", "by", "kind", "number", "size_bytes", "text", "info")


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """The messages of one capture, one row for each packet that carries one.

    Args:
        packets: with ``frame``, ports and ``payload``; further columns are carried along.

    Returns:
        the columns of `packets` but the payload, and: ``service``; ``by`` (``client`` or
        ``server``); ``kind``: a line's first word, a PDU, an opcode, or ``data``; ``number``: the
        request-id of SNMP, the block of TFTP; ``size_bytes`` of the data; ``text``: all of it,
        without Telnet's commands, or SNMP's community; ``info``: in a few words.
    """
    rows = list(_messages(packets[packets["payload"].notna()]))
    found = pd.DataFrame(rows, columns=list(_SAID))
    return packets.drop(columns="payload").merge(found, on="frame", validate="one_to_one")


def _messages(packets: pd.DataFrame) -> Iterator[dict[str, Any]]:
    transfers: set[int] = set()  # clients' ports of TFTP: its server answers from a new port
    questions = dns.read(packets)
    names = dict(zip(questions["frame"], questions["question"], strict=True))
    columns = ["frame", "tcp_sport", "tcp_dport", "udp_sport", "udp_dport", "payload"]
    for frame, sport, dport, usport, udport, data in packets[columns].itertuples(index=False):
        row = None
        if not pd.isna(sport):
            row = _over_tcp(int(sport), int(dport), data)
        elif not pd.isna(usport):
            ends = int(usport), int(udport)
            if TFTP in ends:
                transfers.add(ends[0])
            if transfers & set(ends):
                row = _tftp(data, "client" if ends[0] in transfers else "server")
            elif SNMP in ends:
                row = _snmp(data, "client" if ends[1] == SNMP else "server")
        if row is None and frame in names:
            client = (dport if pd.isna(udport) else udport) == DNS
            row = {"service": "DNS", "by": "client" if client else "server", "text": names[frame]}
            row["info"] = f"DNS {'asks for' if client else 'answers about'} {names[frame]}"
        if row:
            empty = {"kind": "data", "number": -1, "size_bytes": len(data), "text": ""}
            yield {"frame": frame, **empty, **row}


# ---- lines of text


def _over_tcp(sport: int, dport: int, data: bytes) -> dict[str, Any] | None:
    port, by = (dport, "client") if dport in (*LINES, TELNET) else (sport, "server")
    if port == TELNET:
        return _telnet(data, by)
    if port not in LINES or not data:
        return None
    text = data.decode("latin-1")
    word = _WORD.match(text)
    shown = _short(text.split("\r\n", 1)[0] if word else f"{len(data)} bytes of data")
    more = "" if text.count("\r\n") < 2 or not word else ", …"
    return {
        "service": LINES[port],
        "by": by,
        "kind": word[1] if word else "data",
        "text": text,
        "info": f"{LINES[port]} {shown}{more}",
    }


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


# ---- Telnet (RFC 854)

_IAC, _SB, _SE = 255, 250, 240
_COMMANDS = {251: "WILL", 252: "WONT", 253: "DO", 254: "DONT"}
_OPTIONS = {
    0: "BINARY",
    1: "ECHO",
    3: "SGA",
    5: "STATUS",
    24: "TERMINAL-TYPE",
    31: "NAWS",
    32: "TERMINAL-SPEED",
    33: "FLOW-CONTROL",
    34: "LINEMODE",
    35: "X-DISPLAY",
    36: "ENVIRON",
    37: "AUTHENTICATION",
    38: "ENCRYPT",
    39: "NEW-ENVIRON",
}


def _telnet(data: bytes, by: str) -> dict[str, Any] | None:
    """Splits commands from text (RFC 854), with the options' names (RFC 855)."""
    said: list[str] = []
    text, place = bytearray(), 0
    while place < len(data):
        if data[place] != _IAC or place + 1 >= len(data):
            text.append(data[place])
            place += 1
            continue
        command = data[place + 1]
        option = _OPTIONS.get(data[place + 2], "option") if place + 2 < len(data) else "?"
        if command in _COMMANDS:
            said.append(f"{_COMMANDS[command]} {option}")
            place += 3
        elif command == _SB:
            said.append(f"SB {option}")
            end = data.find(bytes([_IAC, _SE]), place)
            place = end + 2 if end >= 0 else len(data)
        else:
            place += 2
    if not said and not text:
        return None
    shown = [", ".join(said)] * bool(said) + [repr(text.decode("latin-1"))] * bool(text)
    return {
        "service": "Telnet",
        "by": by,
        "kind": ", ".join(said) or "data",
        "size_bytes": len(text),
        "text": text.decode("latin-1"),
        "info": f"Telnet {_short(' '.join(shown))}",
    }


# ---- SNMP (RFC 3416 §3, in BER)

_PDUS = {0xA0: "GetRequest", 0xA1: "GetNextRequest", 0xA2: "Response"}


def _snmp(data: bytes, by: str) -> dict[str, Any] | None:
    try:
        _, message, _ = _element(data)
        _, _, rest = _element(message)  # version
        _, community, rest = _element(rest)
        kind, pdu, _ = _element(rest)
        _, number, _ = _element(pdu)
    except (IndexError, struct.error):
        return None
    name = _PDUS.get(kind, "PDU")
    word = community.decode("latin-1")
    return {
        "service": "SNMP",
        "by": by,
        "kind": name,
        "number": int.from_bytes(number, "big", signed=True),
        "text": word,
        "info": f"SNMP {name}, community {_short(word)}",
    }


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag, contents and what follows, of the first element in BER (X.690 §8.1)."""
    size, begin = data[1], 2
    if size & 0x80:
        begin += size & 0x7F
        size = int.from_bytes(data[2:begin], "big")
    if begin + size > len(data):
        raise IndexError("cut off")
    return data[0], data[begin : begin + size], data[begin + size :]


# ---- TFTP (RFC 1350 §5, RFC 2347)

_OPCODES = {1: "RRQ", 2: "WRQ", 3: "DATA", 4: "ACK", 5: "ERROR", 6: "OACK"}


def _tftp(data: bytes, by: str) -> dict[str, Any] | None:
    if len(data) < 4:
        return None
    code, block = struct.unpack_from("!HH", data)
    kind = _OPCODES.get(code, "?")
    numbered = kind in ("DATA", "ACK")
    words = data[2:].split(b"\0")[0].decode("latin-1") if kind in ("RRQ", "WRQ") else ""
    size = len(data) - 4 if kind == "DATA" else 0
    about = f" block {block}" if numbered else f" {_short(words)}" * bool(words)
    return {
        "service": "TFTP",
        "by": by,
        "kind": kind,
        "number": block if numbered else -1,
        "size_bytes": size,
        "text": words,
        "info": f"TFTP {kind}{about}{f', {size} bytes' if kind == 'DATA' else ''}",
    }
