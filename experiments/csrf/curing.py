"""What each defence stops, and what it leaves."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, at_least, claim, same

from .outcomes import (
    refused,
    serves,
    shown,
    to_bank,
    user_after,
    with_cookie,
    working,
)
from .pages import AMOUNTS, VISITS


class Curing(Experiment):
    """What each defence stops, and what it leaves."""

    @claim(
        "SameSite=Lax: a foreign page's request has the cookie only if it is a GET that opens the "
        "bank's page, as a link does. The picture, the script, the form and the frame fail.",
        source="draft-ietf-httpbis-rfc6265bis §5.6.7.1, §8.8",
        bears_stall_s=0.03,
    )
    def lax_leaves_links(self, tables: Tables) -> Verdict:
        """The attacks that work, and the pages that sent a cookie."""
        return all_of(
            same(working(tables, "lax"), ["link", "sibling", "login"], "attacks that work"),
            same(
                with_cookie(tables, "lax"),
                ["page", "sibling", "login"],
                "pages that sent the cookie (after the login, to the page behind it)",
            ),
            serves(tables, "lax"),
        ).because("messages", shown(tables, "lax", "page", "form"))

    @claim(
        "SameSite=Strict: no request that a foreign site causes has the cookie. ⚠ Another host of "
        "the same site is not foreign: its form still pays.",
        source="draft-ietf-httpbis-rfc6265bis §5.2, §8.8.1",
        bears_stall_s=0.03,
    )
    def strict_leaves_neighbours(self, tables: Tables) -> Verdict:
        """guest.example.org against evil.example.net."""
        return all_of(
            same(working(tables, "strict"), ["sibling", "login"], "attacks that work"),
            same(with_cookie(tables, "strict"), ["sibling"], "pages that sent the cookie"),
            serves(tables, "strict"),
        ).because("messages", shown(tables, "strict", "form", "sibling"))

    @claim(
        "A check of Origin stops foreign forms and scripts, also those of the site's other hosts, "
        "and the forged login. A GET has no Origin, and the form in the frame is the bank's own.",
        source="RFC 6454 §7.3; OWASP CSRF Prevention Cheat Sheet",
        bears_stall_s=0.03,
    )
    def origin_leaves_get_and_frames(self, tables: Tables) -> Verdict:
        """The attacks that work."""
        wanted = ["picture", "link", "frame"]
        return all_of(
            same(working(tables, "origin"), wanted, "attacks that work"), serves(tables, "origin")
        ).because("messages", shown(tables, "origin", "page", "form", "frame"))

    @claim(
        "A token in the form stops all requests that a foreign page makes up, as it cannot read "
        "the token. It does not stop a click in the bank's own form, nor a login, which has no "
        "token yet.",
        source="OWASP CSRF Prevention Cheat Sheet, synchronizer token pattern",
        bears_stall_s=0.03,
    )
    def tokens_leave_frames_and_logins(self, tables: Tables) -> Verdict:
        """The attacks that work."""
        return all_of(
            same(working(tables, "token"), ["frame", "login"], "attacks that work"),
            serves(tables, "token"),
        ).because("messages", shown(tables, "token", "page", "form", "frame"))

    @claim(
        "frame-ancestors 'none' keeps the bank out of other pages' frames, and stops nothing else.",
        source="W3C Content Security Policy Level 3, §6.4.2; RFC 7034",
        bears_stall_s=0.03,
    )
    def framing_is_forbidden(self, tables: Tables) -> Verdict:
        """The attacks that work, and the console's words about the frame."""
        wanted = ["picture", "script", "link", "form", "sibling", "login"]
        words = refused(tables, "framing-frame", "frame-ancestors")
        return all_of(
            same(working(tables, "framing"), wanted, "attacks that work"),
            at_least(len(words), 1, unit="refusals in the console"),
            serves(tables, "framing"),
        ).because("messages", shown(tables, "framing", "frame"))

    @claim(
        "Re-authentication: the bank asks for the password with each payment. The requests come "
        "with the cookie, but no foreign page knows the password, and a stolen click types none. "
        "The forged login is left: its password is the attacker's own. The price: alice types hers "
        "each time.",
        source="OWASP CSRF Prevention Cheat Sheet, user interaction-based defense",
        bears_stall_s=0.03,
    )
    def passwords_leave_logins_alone(self, tables: Tables) -> Verdict:
        """The attacks, the click in the bank's own form, and alice's own payment."""
        clicked = to_bank(tables, "password", "frame", "POST", AMOUNTS["frame"])
        return all_of(
            same(working(tables, "password"), ["login"], "attacks that work"),
            same(with_cookie(tables, "password"), list(VISITS), "pages that sent the cookie"),
            same(len(clicked), 1, "payments by the stolen click"),
            serves(tables, "password"),
        ).because("messages", shown(tables, "password", "form", "frame"))

    @claim(
        "All together none of the attacks works, and alice is still alice.",
        source="OWASP CSRF Prevention Cheat Sheet",
        bears_stall_s=0.03,
    )
    def all_together_stop_all(self, tables: Tables) -> Verdict:
        """The attacks, and the bank's page afterwards."""
        return all_of(
            same(working(tables, "all"), [], "attacks that work"),
            same(user_after(tables, "all"), "alice", "the bank's page says"),
            serves(tables, "all"),
        ).because("messages", shown(tables, "all", "form", "sibling", "frame"))
