"""What each defence stops, and what it leaves."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, at_least, claim, same

from .attacks import ATTACKS, BOLD
from .outcomes import arrived, page, refused, session, shown, working, works


class Curing(Experiment):
    """What each defence stops, and what it leaves."""

    @claim(
        "Removing <script> stops only those who write <script>: an event handler of a picture is a "
        "script, too.",
        source="OWASP XSS Filter Evasion Cheat Sheet",
    )
    def blocked_words_are_written_otherwise(self, tables: Tables) -> Verdict:
        """The attacks on the board that removes it."""
        wanted = [name for name in ATTACKS if name != "stored"]
        return same(working(tables, "blocking"), wanted, "attacks that work").because(
            "the victim's messages", shown(tables, "blocking")
        )

    @claim(
        "Encoding on output shows text as text, but each place needs its own: ⚠ a link's address "
        "with javascript: has no special character, and what a script of the page puts in is not "
        "the server's output.",
        source="OWASP XSS Prevention Cheat Sheet; HTML standard, javascript: URLs",
    )
    def encoding_fits_its_place_alone(self, tables: Tables) -> Verdict:
        """Text between elements, a link, and the script that greets."""
        said = http.text(page(tables, "encoding"))
        return all_of(
            same(working(tables, "encoding"), ["link", "dom"], "attacks that work"),
            same("&lt;script&gt;" in said, True, "the page has the script as text"),
            same(BOLD in said, False, "the page has honest elements"),
        ).because("the victim's messages", shown(tables, "encoding"))

    @claim(
        "Sanitising keeps harmless elements and drops all others; links need a check of their own. "
        "It cannot reach text that a script of the page puts in.",
        source="OWASP XSS Prevention Cheat Sheet, HTML sanitization",
    )
    def sanitising_keeps_what_is_harmless(self, tables: Tables) -> Verdict:
        """Bold text, and the attacks."""
        said = http.text(page(tables, "sanitising"))
        return all_of(
            same(working(tables, "sanitising"), ["dom"], "attacks that work"),
            same(BOLD in said, True, "the page has honest elements"),
        ).because("the victim's messages", shown(tables, "sanitising"))

    @claim(
        "HttpOnly: scripts run, and their requests leave, but without the cookie. What they do in "
        "the visitor's name still works.",
        source="RFC 6265 §4.1.2.6, §5.4",
    )
    def http_only_hides_the_cookie_alone(self, tables: Tables) -> Verdict:
        """Requests at the attacker's host, and the message in alice's name."""
        came = [name for name in ATTACKS if name != "deed" and arrived(tables, "http-only", name)]
        return all_of(
            same(working(tables, "http-only"), ["deed"], "attacks that work"),
            same(came, [name for name in ATTACKS if name != "deed"], "that sent a request"),
        ).because("the victim's messages", shown(tables, "http-only", most=40))

    @claim(
        "A Content-Security-Policy of 'self' lets the browser run no script inside the page: no "
        "request leaves, although the server sends the attacker's text as it came.",
        source="W3C Content Security Policy Level 3, §6.1, §4.2.3",
    )
    def policies_stop_scripts_in_the_browser(self, tables: Tables) -> Verdict:
        """The board's page, the browser's console, and the attacker's host."""
        came = [name for name in ATTACKS if name != "deed" and arrived(tables, "policy", name)]
        return all_of(
            same(working(tables, "policy"), [], "attacks that work"),
            same(came, [], "that sent a request"),
            same("<script>" in http.text(page(tables, "policy")), True, "the page has the script"),
            at_least(len(refused(tables, "policy")), 1, unit="refusals in the console"),
        ).because("the victim's messages", shown(tables, "policy"))

    @claim(
        "Defence in depth: with all of them none of the attacks works, and the board still does.",
        source="OWASP XSS Prevention Cheat Sheet",
    )
    def all_together_stop_all(self, tables: Tables) -> Verdict:
        """The attacks, and the greeting to alice."""
        said = http.text(page(tables, "all"))
        session(tables)
        return all_of(
            same(working(tables, "all"), [], "attacks that work"),
            same("You are alice." in said, True, "the board says 'You are alice.'"),
            same("&lt;script&gt;" in said, True, "the page has the script as text"),
            same(works(tables, "none", "stored"), True, "which works without a defence"),
        ).because("the victim's messages", shown(tables, "all"))
