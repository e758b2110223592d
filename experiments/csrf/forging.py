"""What foreign pages can make a browser do."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, at_least, claim, same

from .outcomes import paid, refused, shown, to_bank, user_after
from .pages import AMOUNTS, EVIL


class Forging(Experiment):
    """What foreign pages can make a browser do."""

    @claim(
        "The browser adds a site's cookie to each request for it, whoever caused the request: a "
        "form on a foreign page pays from the victim's account.",
        source="RFC 6265 §8.2; CWE-352",
        bears_stall_s=0.03,
    )
    def forms_are_sent_with_the_cookie(self, tables: Tables) -> Verdict:
        """The request, with its Origin and cookie, and the bank's answer."""
        sent = to_bank(tables, "none", "form", "POST", AMOUNTS["form"])
        origins = sorted({http.header(row, "Origin") for row in sent})
        return all_of(
            same(origins, [f"https://{EVIL}"], "Origin"),
            same([bool(http.header(row, "Cookie")) for row in sent], [True], "with the cookie"),
            same(paid(tables, "none", "form"), True, "alice pays"),
        ).because("messages", shown(tables, "none", "form"))

    @claim(
        "If a GET changes something, a picture is enough: the victim need not click at all.",
        source="RFC 9110 §9.2.1; CWE-352",
        bears_stall_s=0.03,
    )
    def pictures_pay(self, tables: Tables) -> Verdict:
        """The request for a picture, and the link that the page follows."""
        sent = to_bank(tables, "none", "page", "GET", AMOUNTS["picture"])
        return all_of(
            same(len(sent), 1, "requests for the picture"),
            same(paid(tables, "none", "picture"), True, "alice pays by a picture"),
            same(paid(tables, "none", "link"), True, "alice pays by a link"),
        ).because("messages", shown(tables, "none", "page"))

    @claim(
        "⚠ CORS is no defence: a simple request is sent and does its work; the foreign script only "
        "cannot read the response.",
        source="Fetch standard, §3.3 (CORS protocol)",
        bears_stall_s=0.03,
    )
    def cors_hides_answers_alone(self, tables: Tables) -> Verdict:
        """The script's POST, and the console's words about its answer."""
        sent = to_bank(tables, "none", "page", "POST", AMOUNTS["script"])
        return all_of(
            same(len(sent), 1, "requests of the script"),
            same(paid(tables, "none", "script"), True, "alice pays"),
            at_least(len(refused(tables, "none-page", "CORS policy")), 1, unit="refusals"),
        ).because("messages", shown(tables, "none", "page"))

    @claim(
        "Before a request that no form could send, the browser asks the site (preflight); without "
        "its consent the request is not sent at all.",
        source="Fetch standard, §3.3.2 (CORS-preflight request)",
        bears_stall_s=0.03,
    )
    def preflight_asks_first(self, tables: Tables) -> Verdict:
        """A script's PUT."""
        asked = to_bank(tables, "none", "page", "OPTIONS")
        wanted = [http.header(row, "Access-Control-Request-Method") for row in asked]
        return all_of(
            same(wanted, ["PUT"], "asked for"),
            same(len(to_bank(tables, "none", "page", "PUT")), 0, "PUT requests"),
        ).because("messages", shown(tables, "none", "page"))

    @claim(
        "Clickjacking: the victim's own click pays, in the bank's own form, which the foreign page "
        "shows invisibly above its own button.",
        source="RFC 7034 §1; CWE-1021",
        bears_stall_s=0.03,
    )
    def clicks_are_stolen(self, tables: Tables) -> Verdict:
        """The frame, and the form that the click sends."""
        sent = to_bank(tables, "none", "frame", "POST", AMOUNTS["frame"])
        return all_of(
            same(
                [http.header(row, "Origin") for row in sent], ["https://bank.example.org"], "Origin"
            ),
            same(paid(tables, "none", "frame"), True, "alice pays"),
        ).because("messages", shown(tables, "none", "frame"))

    @claim(
        "Login CSRF: a foreign page logs the victim in, as the attacker; what the victim enters "
        "from now on is in the attacker's account.",
        source="Barth, Jackson, Mitchell: Robust Defenses for Cross-Site Request Forgery (2008)",
        bears_stall_s=0.03,
    )
    def logins_are_forged(self, tables: Tables) -> Verdict:
        """Who the bank says the victim is, when its address is typed in."""
        return same(user_after(tables, "none"), "mallory", "the bank's page says").because(
            "messages", shown(tables, "none", "login", "after")
        )
