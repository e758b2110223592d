"""What a visitor's script does in another visitor's browser."""

from __future__ import annotations

from analysis.dissect import http
from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    claim,
    pick,
    same,
)

from .attacks import DEED
from .outcomes import LOOT, VICTIM, arrived, asked, deeds, session, shown, works


class Stealing(Experiment):
    """What a visitor's script does in another visitor's browser."""

    @claim(
        "Stored: what one visitor writes on the board runs as a script in another visitor's "
        "browser, and sends that visitor's cookie to a foreign host.",
        source="CWE-79; OWASP Cross Site Scripting Prevention Cheat Sheet",
    )
    def stored_scripts_run(self, tables: Tables) -> Verdict:
        """The request that arrives at the attacker's host."""
        return all_of(
            same(works(tables, "none", "stored"), True, "the attacker has the cookie"),
            at_least(len(arrived(tables, "none", "stored")), 1, unit="requests at its host"),
        ).because("the victim's messages", shown(tables, "none"))

    @claim(
        "Reflected: if a page repeats a part of its address, a link to it brings the script along.",
        source="CWE-79",
    )
    def reflected_scripts_run(self, tables: Tables) -> Verdict:
        """A search for a script."""
        sent = [row for row in asked(tables, "none") if "onerror" in str(row["target"])]
        return all_of(
            same(works(tables, "none", "reflected"), True, "the attacker has the cookie"),
            at_least(len(sent), 1, unit="requests to the board with the script in the address"),
        ).because("the victim's messages", shown(tables, "none", most=40))

    @claim(
        "DOM-based: the page's own script puts text into the page. The server never sees the part "
        "behind #, so it can neither check nor log it.",
        source="CWE-79; RFC 9110 §7.1",
    )
    def fragments_never_reach_the_server(self, tables: Tables) -> Verdict:
        """What the board was asked for, and what arrived at the attacker's host."""
        targets = [str(row["target"]) for row in asked(tables, "none")]
        hello = [target for target in targets if target.startswith("/none/hello")]
        return all_of(
            same(works(tables, "none", "dom"), True, "the attacker has the cookie"),
            same(hello, ["/none/hello", "/none/hello.js"], "the board was asked for"),
        ).because("the victim's messages", shown(tables, "none", most=40))

    @claim(
        "A script on the page acts in the visitor's name; it need not know the cookie, which the "
        "browser sends by itself.",
        source="RFC 6265 §5.4; OWASP XSS Prevention Cheat Sheet",
    )
    def scripts_act_for_their_visitor(self, tables: Tables) -> Verdict:
        """A message that alice did not write, and the server's answer."""
        own = deeds(tables, "none")
        frames = [row["frame"] for row in own]
        answers = pick(tables, "none", VICTIM, table="http", kind="response")
        codes = answers[answers["request_frame"].isin(frames)]["status"]
        return all_of(
            at_least(len(own), 1, unit=f"messages '{DEED}' of alice's"),
            same(sorted({int(code) for code in codes}), [303], "status"),
        ).because("the victim's messages", shown(tables, "none"))

    @claim(
        "To the server, whoever has the cookie is the visitor: the attacker reads the board as "
        "alice.",
        source="RFC 6265 §8.4",
    )
    def stolen_cookies_open_the_board(self, tables: Tables) -> Verdict:
        """The attacker's own request with the cookie that its log has."""
        answers = pick(tables, "theft", LOOT, table="http", kind="response")
        if answers.empty:
            raise MissingDataError("the attacker's request has no response")
        said = http.text(answers.iloc[-1].to_dict())
        return all_of(
            same("You are alice." in said, True, "the board says 'You are alice.'"),
            same(len(session(tables)), 32, "characters of the session's id"),
        ).because("the attacker's request", pick(tables, "theft", LOOT, table="http"))
