"""FTP and Telnet: files by two connections, and a terminal by one."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from analysis import packets
from testbed import (
    Experiment,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    holds,
    near,
    pick,
    same,
)

CLIENT = "h1-eth0"
FTP, FTP_DATA = 21, 20
FILES = (3000, 500)
"""Sizes of the files that each client of FTP fetches, in bytes."""

_SIX = re.compile(r"(?:PORT |\()(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)")


def said(tables: Tables, step: str, capture: str = CLIENT, **equals: Any) -> pd.DataFrame:
    """The messages of a step."""
    return pick(tables, step, capture, table="said", **equals)


def openings(tables: Tables, step: str) -> pd.DataFrame:
    """The first SYN of each TCP connection of a step, as the client saw it."""
    seen = pick(tables, step, CLIENT, ip_proto=6)
    syns = seen[packets.has_flags(seen, "SYN", without="ACK")]
    return syns.drop_duplicates(["ip_src", "tcp_sport", "tcp_dport", "tcp_seq"])


class Files(Experiment):
    """FTP and Telnet: files by two connections, and a terminal by one."""

    @claim(
        "FTP has one connection for commands and a new one for each file, which ends with the "
        "file.",
        source="RFC 959 §2.3, §3.2, §3.4",
    )
    def ftp_has_two_kinds_of_connections(self, tables: Tables) -> Verdict:
        """Two files, active and passive."""
        verdicts, seen = [], []
        for step in ("ftp-active", "ftp-passive"):
            control, data = _connections(tables, step)
            carried = [_data_bytes(tables, step, syn) for syn in data.to_dict("records")]
            verdicts += [
                near(len(control), 1, abs=0, unit=f"connection for commands ({step})"),
                same(carried, list(FILES), "bytes of data connections"),
            ]
            seen.append(pd.concat([control, data]))
        return all_of(*verdicts).because("connections", pd.concat(seen))

    @claim(
        "In active mode the server opens the data connection, from port 20 to the port that the "
        "client's PORT names.",
        source="RFC 959 §3.2, §4.1.2",
    )
    def active_ftp_is_opened_by_the_server(self, tables: Tables) -> Verdict:
        """The openings against the client's commands."""
        named = _named_ports(said(tables, "ftp-active", by="client", kind="PORT"))
        _, data = _connections(tables, "ftp-active")
        found = _ways(data)
        server = address(tables, "h2-eth0")
        return all_of(
            at_least(len(named), 1, unit="PORT commands"),
            same(found, [(server, FTP_DATA, port) for port in named], "opened (by, from, to)"),
        ).because("openings", data)

    @claim(
        "In passive mode the client opens it, to the port in the server's reply 227.",
        source="RFC 959 §4.1.2 (PASV); RFC 1579",
    )
    def passive_ftp_is_opened_by_the_client(self, tables: Tables) -> Verdict:
        """The openings against the server's replies."""
        named = _named_ports(said(tables, "ftp-passive", by="server", kind="227"))
        _, data = _connections(tables, "ftp-passive")
        found = [(by, to) for by, _, to in _ways(data)]
        client = address(tables, CLIENT)
        return all_of(
            at_least(len(named), 1, unit="replies 227"),
            same(found, [(client, port) for port in named], "opened (by, to)"),
        ).because("openings", data)

    @claim(
        "A firewall that lets in only packets of connections opened from inside stops active FTP, "
        "but not passive FTP.",
        source="RFC 1579; RFC 2663 §4",
    )
    def firewall_stops_active_ftp(self, tables: Tables) -> Verdict:
        """Files that arrived through the firewall."""
        verdicts, seen = [], []
        for step, wanted in (("firewall-active", 0), ("firewall-passive", len(FILES))):
            asked = said(tables, step, by="client", kind="RETR")
            _, data = _connections(tables, step)
            done = said(tables, step, by="server", kind="226")
            failed = said(tables, step, by="server", kind="425")
            verdicts += [
                near(len(asked), len(FILES), abs=0, unit=f"files asked for ({step})"),
                near(len(done), wanted, abs=0, unit="complete (226)"),
                near(len(failed), len(FILES) - wanted, abs=0, unit="not connected (425)"),
            ]
            seen.append(pd.concat([asked, done, failed, data]))
        return all_of(*verdicts).because("questions, results, openings", pd.concat(seen))

    @claim(
        "Telnet begins by agreeing on options: WILL or WONT answers each DO, DO or DONT each WILL; "
        "one option makes the server echo.",
        source="RFC 854, RFC 855, RFC 857",
    )
    def telnet_agrees_on_options(self, tables: Tables) -> Verdict:
        """Every proposal and its answer."""
        talk = said(tables, "telnet", service="Telnet")
        told = {by: _commands(talk[talk["by"] == by]) for by in ("client", "server")}
        open_ones = [
            f"{who} {verb} {option}"
            for who, other in (("client", "server"), ("server", "client"))
            for verb, option in sorted(told[who])
            if verb in _ANSWERS
            and not {(answer, option) for answer in _ANSWERS[verb]} & told[other]
        ]
        return all_of(
            at_least(len(told["client"]), 3, unit="commands of the client"),
            at_most(len(open_ones), 0, unit=f"proposals without answer {open_ones or ''}".strip()),
            holds(
                ("WILL", "ECHO") in told["server"] and ("DO", "ECHO") in told["client"],
                observed=f"server: {_listed(told['server'], 'ECHO')}; "
                f"client: {_listed(told['client'], 'ECHO')}",
                expected="server: WILL ECHO; client: DO ECHO",
            ),
        ).because("the first messages", talk.head(8))

    @claim(
        "Telnet sends each key in a segment of its own, and the screen shows the server's echo; "
        "the password is not echoed.",
        source="RFC 857; RFC 1123 §3",
    )
    def telnet_echoes_each_key(self, tables: Tables) -> Verdict:
        """A command typed key by key, and the password before it."""
        talk = said(tables, "telnet", service="Telnet")
        talk = talk[talk["size_bytes"] > 0].reset_index(drop=True)
        keys = talk[(talk["by"] == "client") & (talk["size_bytes"] == 1)]
        keys = keys[keys["text"] != "\n"]
        echoes = [_next_text(talk, place, "server") for place in keys.index]
        secret = talk[(talk["by"] == "client") & talk["text"].str.startswith("rosebud")]
        replies = "".join(talk.loc[talk["by"] == "server", "text"])
        return all_of(
            same("".join(keys["text"]), "echo hi", "typed"),
            same("".join(echoes), "echo hi", "echoed"),
            near(len(secret), 1, abs=0, unit="password sent"),
            holds(
                "rosebud" not in replies,
                observed=f"password in the echo: {'rosebud' in replies}",
                expected="password in the echo: False",
            ),
        ).because("keys", keys)


def _connections(tables: Tables, step: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Openings of connections for commands, and for data."""
    syns = openings(tables, step)
    control = syns["tcp_dport"] == FTP
    return syns[control], syns[~control]


def _data_bytes(tables: Tables, step: str, syn: dict[object, object]) -> int:
    """Bytes that came to the client over a connection."""
    seen = pick(tables, step, CLIENT, ip_proto=6, ip_src=address(tables, "h2-eth0"))
    ends = {syn["tcp_sport"], syn["tcp_dport"]}
    mine = seen[seen["tcp_sport"].isin(ends) & seen["tcp_dport"].isin(ends)]
    return int(mine["tcp_payload_bytes"].sum())


def _named_ports(messages: pd.DataFrame) -> list[int]:
    """Ports that PORT or 227 name: two numbers of eight bits."""
    found = (_SIX.search(text) for text in messages["text"])
    return [int(match[5]) * 256 + int(match[6]) for match in found if match]


def _ways(syns: pd.DataFrame) -> list[tuple[str, int, int]]:
    """Who opened a connection, from which port, to which."""
    return [
        (str(by), int(sport), int(dport))
        for by, sport, dport in zip(
            syns["ip_src"], syns["tcp_sport"], syns["tcp_dport"], strict=True
        )
    ]


_ANSWERS = {"DO": ("WILL", "WONT"), "WILL": ("DO", "DONT")}


def _commands(talk: pd.DataFrame) -> set[tuple[str, str]]:
    """Commands of one side, as (WILL, ECHO)."""
    words = [w for kind in talk["kind"] if kind != "data" for w in kind.split(", ")]
    pairs = (word.split(" ", 1) for word in words if not word.startswith("SB"))
    return {(verb, option) for verb, option in pairs}


def _listed(commands: set[tuple[str, str]], option: str) -> str:
    return ", ".join(f"{v} {o}" for v, o in sorted(commands) if o == option) or "nothing"


def _next_text(talk: pd.DataFrame, place: int, by: str) -> str:
    """What a side says next."""
    later = talk.loc[place + 1 :]
    return str(next(iter(later.loc[later["by"] == by, "text"]), ""))
