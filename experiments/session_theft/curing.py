"""What each defence of sessions stops, and what it leaves."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, at_least, claim, same

from .attacks import GUESSES, SITE, VICTIM, step, victim_step
from .outcomes import (
    CLIENT,
    answers,
    cookies,
    from_victim,
    last_answer,
    last_sent,
    number_in,
    overheard,
    requests,
    shown,
    tries,
    working,
    works,
)

LONG_ID = 32
"""Hexadecimal digits of 128 bits."""


class Curing(Experiment):
    """What each defence of sessions stops, and what it leaves."""

    @claim(
        "HTTPS: all packets still pass through the attacker, and none shows an id. It does not "
        "help against ids that are planted or guessed.",
        source="RFC 6265 §8.3; RFC 8446 §5.2, appendix E.2",
    )
    def https_hides_the_cookie(self, tables: Tables) -> Verdict:
        """The login over TLS, as it passes through h3."""
        login = victim_step("login", "https")
        passed = from_victim(tables, login)
        return all_of(
            at_least(len(passed), 5, unit="h1's segments at h3"),
            same(sorted(set(passed["tcp_dport"].astype(int))), [443], "to port"),
            same(len(overheard(tables, login)), 0, "with an id"),
            same(
                working(tables, "https")[:3],
                ["plain-link", "fixation", "guessed"],
                "attacks that work",
            ),
        ).because("h1's packets at h3", passed)

    @claim(
        "A site that redirects to HTTPS comes too late: one old http:// link, and the browser "
        "sends the cookie in plain text before it is redirected.",
        source="RFC 6265 §4.1.2.5, §8.3; RFC 6797 §2.3.1",
    )
    def plain_requests_leak(self, tables: Tables) -> Verdict:
        """The request without TLS, the redirection, and what the attacker does with the id."""
        link = victim_step("link", "https")
        statuses = [status for status, _ in answers(tables, link, CLIENT)]
        return all_of(
            same(statuses, [308, 200], "h1 gets"),
            same(len(overheard(tables, link)), 1, "requests with an id at h3"),
            same(works(tables, "https", "plain-link"), True, "the attacker is alice"),
        ).because("the victim's visit", shown(tables, link, capture=CLIENT))

    @claim(
        "Secure: the browser sends such a cookie over TLS alone. The same link shows the attacker "
        "a request without it, and the visitor is redirected and known again.",
        source="RFC 6265 §4.1.2.5, §5.4",
    )
    def secure_cookies_stay_in_tls(self, tables: Tables) -> Verdict:
        """Both requests of the visit."""
        link = victim_step("link", "secure")
        sent = [bool(http.header(row, "Cookie")) for row in requests(tables, link, CLIENT)]
        return all_of(
            at_least(len(from_victim(tables, link)), 1, unit="h1's segments at h3"),
            same(sent, [False, True], "cookie in the requests"),
            same(last_answer(tables, link, CLIENT), (200, VICTIM[0]), "h1 gets"),
            same(len(overheard(tables, link)), 0, "requests with an id at h3"),
            same(works(tables, "secure", "plain-link"), False, "the attacker is alice"),
        ).because("the victim's visit", shown(tables, link, capture=CLIENT))

    @claim(
        "A new id at each login stops fixation: the planted id stays nobody's. It stops nothing "
        "else.",
        source="OWASP Session Management Cheat Sheet, renew the session ID; CWE-384",
    )
    def rotation_stops_fixation_alone(self, tables: Tables) -> Verdict:
        """The ids before and after the login."""
        trap = victim_step("trap", "rotation")
        given = [number_in(one) for one in cookies(tables, trap)]
        return all_of(
            same(len(set(given)), 2, "different ids that the victim gets"),
            same(working(tables, "rotation"), ["sniffed", "guessed"], "attacks that work"),
        ).because("link, login and theft", shown(tables, trap, step("fixation", "rotation")))

    @claim(
        "Random ids of 128 bits cannot be guessed. Whoever reads or plants one has no need to.",
        source="OWASP Session Management Cheat Sheet, session ID entropy; NIST SP 800-63B §7.1",
    )
    def long_ids_stop_guessing_alone(self, tables: Tables) -> Verdict:
        """As many tries as found the short one."""
        login = victim_step("login", "random-ids")
        length = {len(number_in(one)) for one in cookies(tables, login)}
        tried = len(answers(tables, step("guessed", "random-ids"))) - 2
        return all_of(
            same(length, {LONG_ID}, "digits of the id"),
            at_least(tried, GUESSES, unit="ids tried"),
            same(tries(tables, "random-ids"), 0, "the one that is alice's"),
            same(working(tables, "random-ids"), ["sniffed", "fixation"], "attacks that work"),
        ).because("guesses", shown(tables, step("guessed", "random-ids")))

    @claim(
        "Binding a session to the User-Agent stops only careless thieves: the header is in the "
        "request that they read, and millions send the same. The price: after an update of the "
        "browser its owner is logged out.",
        source="OWASP Session Management Cheat Sheet, binding the session ID",
    )
    def agents_are_copied(self, tables: Tables) -> Verdict:
        """The stolen id with curl's own header, and with the victim's."""
        careless, update = step("as-curl", "agent"), victim_step("update", "agent")
        wanted = ["sniffed", "fixation", "guessed"]
        return all_of(
            same(last_answer(tables, careless)[0], 401, "with curl's own header"),
            same(working(tables, "agent"), wanted, "attacks that work with alice's"),
            same(last_answer(tables, update, CLIENT)[0], 401, "alice after an update"),
        ).because("thefts", shown(tables, careless, step("sniffed", "agent"), update))

    @claim(
        "Binding to the address stops thieves elsewhere. One on the path takes the address, too: "
        "the answers pass through it. The price: a member who moves is logged out.",
        source="OWASP Session Management Cheat Sheet, binding the session ID; RFC 6269 §13",
    )
    def addresses_are_taken(self, tables: Tables) -> Verdict:
        """The stolen id from h3's address and from h1's; alice from another one."""
        moves = {d: last_answer(tables, victim_step("move", d), CLIENT)[0] for d in _MOVES}
        taken = step("own-address", "address")
        return all_of(
            same(working(tables, "address"), ["own-address"], "attacks that work"),
            same(moves, {"none": 200, "address": 401}, "alice at another address"),
            same(http.header(requests(tables, taken)[-1], "Host"), SITE, "asked"),
        ).because("thefts", shown(tables, step("sniffed", "address"), taken))

    @claim(
        "All together stop all of these attacks, and alice is still served.",
        source="OWASP Session Management Cheat Sheet",
    )
    def all_together_stop_all(self, tables: Tables) -> Verdict:
        """The attacks on sessions and tokens, and the victim's own visits."""
        visits = [victim_step(what, "all") for what in ("login", "link")]
        served = [last_answer(tables, name, CLIENT) for name in visits]
        cookie = last_sent(tables, visits[0], "Cookie").removeprefix("session=")
        passed = sum(len(from_victim(tables, name)) for name in visits)
        return all_of(
            at_least(passed, 1, unit="h1's segments at h3"),
            same(working(tables, "all"), [], "attacks that work"),
            same(served, [(200, VICTIM[0])] * 2, "alice gets"),
            same(len(cookie), LONG_ID, "digits of the id"),
        ).because("the victim's visits", shown(tables, *visits, capture=CLIENT))


_MOVES = ("none", "address")
