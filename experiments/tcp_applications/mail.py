"""SMTP and POP3: a letter's way; and the passwords that all of these protocols show."""

from __future__ import annotations

import base64
import re

import pandas as pd

from testbed import Experiment, Tables, Verdict, all_of, claim, near, same
from testbed.daemons.accounts import PASSWORD, USER

from .files import openings, said

PATH = "r1-eth1"

_STEPS = {
    "FTP": "ftp-passive",
    "Telnet": "telnet",
    "SMTP": "smtp",
    "POP3": "pop3",
    "HTTP": "http-login",
    "SNMP": "snmp",
}
"""Protocols with a secret, and the step in which it is said."""


class Mail(Experiment):
    """SMTP and POP3: a letter's way; and the passwords that all of these protocols show."""

    @claim(
        "SMTP is a dialogue: the server greets, each command gets a reply of three digits, and a "
        "connection carries several letters.",
        source="RFC 5321 §3.1, §3.3, §4.2; RFC 4954",
    )
    def smtp_is_a_dialogue(self, tables: Tables) -> Verdict:
        """Two letters by one connection."""
        talk = said(tables, "smtp", service="SMTP")
        spoken = talk[talk["kind"] != "data"]
        commands = [str(kind) for kind in spoken.loc[spoken["by"] == "client", "kind"]]
        replies = [str(kind) for kind in spoken.loc[spoken["by"] == "server", "kind"]]
        one = ["MAIL", "RCPT", "DATA"]
        took = ["250", "250", "354", "250"]
        return all_of(
            near(len(openings(tables, "smtp")), 1, abs=0, unit="connection"),
            same(commands, ["EHLO", "AUTH", *one, *one, "QUIT"], "commands"),
            same(replies, ["220", "250", "334", "235", *took, *took, "221"], "replies"),
        ).because("the dialogue", spoken)

    @claim(
        "POP3 fetches what SMTP delivered: the same lines, ended by a line with a dot; a dot at "
        "the beginning of a line is doubled on the wire.",
        source="RFC 1939 §3, §5, §7; RFC 5321 §4.5.2",
    )
    def pop3_fetches_the_letters(self, tables: Tables) -> Verdict:
        """The bodies of both letters, on their two ways."""
        sent = _letters(said(tables, "smtp", by="client"), "SMTP")
        talk = said(tables, "pop3", service="POP3")
        got = _letters(talk[talk["by"] == "server"], "POP3")
        dots = [text.count("\r\n..the line") for text in (*sent, *got)]
        commands = list(talk.loc[talk["by"] == "client", "kind"])
        return all_of(
            near(len(sent), 2, abs=0, unit="letters sent"),
            same([_body(t) for t in got], [_body(t) for t in sent], "bodies"),
            same(set(dots), {1}, "lines with a doubled dot in each"),
            same(commands[:3], ["CAPA", "USER", "PASS"], "first commands"),
        ).because("the reader's dialogue", talk)

    @claim(
        "Anyone on the path can read the passwords of FTP, Telnet, SMTP, POP3, HTTP and SNMP: "
        "none of them encrypts, and Base64 is not encryption.",
        source="RFC 2577 §6, RFC 4954 §4, RFC 1939 §13, RFC 7617 §4, RFC 3410 §6.3; RFC 4648 §12",
    )
    def passwords_are_in_the_clear(self, tables: Tables) -> Verdict:
        """The secret in the clients' messages at r1, as sent or in Base64."""
        found: dict[str, str] = {}
        seen: list[pd.DataFrame] = []
        for service, step in _STEPS.items():
            talk = said(tables, step, PATH, by="client", service=service)
            kept = [form for text in talk["text"] if (form := _secret(str(text)))]
            found[service] = kept[0] if kept else "no"
            seen.append(talk[talk["text"].map(lambda text: bool(_secret(str(text))))])
        wanted = {**dict.fromkeys(_STEPS, "as it is"), "SMTP": "in Base64", "HTTP": "in Base64"}
        verdict = same(found, wanted, "password read")
        return verdict.because("where it is said", pd.concat(seen))


def _secret(text: str) -> str:
    """In which form a message contains the password; empty if it does not."""
    if PASSWORD in text:
        return "as it is"
    for word in text.split():
        try:
            clear = base64.b64decode(word, validate=True)
        except ValueError:
            continue
        if PASSWORD.encode() in clear and USER.encode() in clear:
            return "in Base64"
    return ""


_LETTER = {
    "SMTP": re.compile(r"(?:^|\n)DATA\r\n(.*?\r\n)\.\r\n", re.S),
    "POP3": re.compile(r"\+OK \d+ octets\r\n(.*?\r\n)\.\r\n", re.S),
}
"""A letter in what one side says: from the line before it to the dot on a line of its own."""


def _letters(talk: pd.DataFrame, protocol: str) -> list[str]:
    return _LETTER[protocol].findall("".join(talk["text"]))


def _body(text: str) -> str:
    """A letter's lines behind its headers, with single dots."""
    body = text.partition("\r\n\r\n")[2]
    return body.replace("\r\n..", "\r\n.")
