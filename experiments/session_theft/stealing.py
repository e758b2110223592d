"""Ways to another member's session."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, at_least, at_most, between, claim, same

from .attacks import COUNTED_GUESSES, GUESSES, VICTIM, step, victim_step
from .outcomes import (
    CLIENT,
    cookies,
    from_victim,
    last_answer,
    last_sent,
    number_in,
    overheard,
    shown,
    tries,
    works,
)

LOGIN = victim_step("login", "none")


class Stealing(Experiment):
    """Ways to another member's session."""

    @claim(
        "A switch keeps h1's packets from h3, until h3 says by ARP that the router's address and "
        "h1's are its own: then it reads the session's id in each request, and h1 notices nothing.",
        source="RFC 826; RFC 5227 §1; RFC 6265 §8.3",
    )
    def poisoning_shows_the_cookie(self, tables: Tables) -> Verdict:
        """The same login before the lies and after them, at h1 and at h3."""
        calm = victim_step("login", "calm")
        given = [number_in(one) for one in cookies(tables, LOGIN)]
        read = overheard(tables, LOGIN)
        return all_of(
            same(len(from_victim(tables, calm)), 0, "h1's segments at h3 before"),
            at_least(len(from_victim(tables, LOGIN)), 1, unit="of them after"),
            same(sorted(set(read["secret"])), sorted(set(given)), "ids that h3 read"),
            same(last_answer(tables, calm, CLIENT), (200, VICTIM[0]), "h1 gets before"),
            same(last_answer(tables, LOGIN, CLIENT), (200, VICTIM[0]), "h1 gets after"),
        ).because("h1's packets at h3", from_victim(tables, LOGIN))

    @claim(
        "To the site, whoever has the id is the member: the attacker's request from another "
        "address gets alice's account.",
        source="RFC 6265 §8.4; OWASP Session Management Cheat Sheet",
    )
    def ids_are_members(self, tables: Tables) -> Verdict:
        """The cookie that h3 read, and the one that it sent."""
        name = step("sniffed", "none")
        read = list(overheard(tables, LOGIN)["secret"])[-1:]
        sent = last_sent(tables, name, "Cookie").removeprefix("session=")
        return all_of(
            same([sent], read, "id"), same(last_answer(tables, name), (200, VICTIM[0]), "h3 gets")
        ).because("the attacker's request", shown(tables, name))

    @claim(
        "HttpOnly hides a cookie from scripts, and from nobody on the way: the same theft works.",
        source="RFC 6265 §4.1.2.6, §8.3",
    )
    def http_only_hides_nothing_on_the_way(self, tables: Tables) -> Verdict:
        """A cookie with the attribute."""
        login = victim_step("login", "http-only")
        marked = ["HttpOnly" in one for one in cookies(tables, login)]
        return all_of(
            same(marked, [True], "the cookie is HttpOnly"),
            same(works(tables, "http-only", "sniffed"), True, "the attacker is alice"),
        ).because("login and theft", shown(tables, login, step("sniffed", "http-only")))

    @claim(
        "Fixation: who logs in by a link with the attacker's id makes the attacker's session a "
        "member's. The attacker need not be on the path.",
        source="RFC 6265 §8.4; CWE-384",
    )
    def planted_ids_are_shared(self, tables: Tables) -> Verdict:
        """The id that the attacker got, the victim logs in with, and the attacker sends."""
        trap, name = victim_step("trap", "none"), step("fixation", "none")
        given = [number_in(one) for one in cookies(tables, trap)]
        sent = last_sent(tables, name, "Cookie").removeprefix("session=")
        return all_of(
            same(given, [sent, sent], "ids that the victim gets"),
            same(works(tables, "none", "fixation"), True, "the attacker is alice"),
        ).because("link, login and theft", shown(tables, trap, name))

    @claim(
        "Ids that are counted give each other away: a member who subtracts from its own is "
        "another member after a few tries.",
        source="CWE-340; OWASP Session Management Cheat Sheet, session ID entropy",
    )
    def counted_ids_are_guessed(self, tables: Tables) -> Verdict:
        """Numbers below the attacker's own."""
        return between(
            tries(tables, "none"), 1, COUNTED_GUESSES, unit="ids tried until one is alice's"
        ).because("guesses", shown(tables, step("guessed", "none"), most=12))

    @claim(
        "Random ids that are short only take longer: of 8 bits there are 256, and all of them "
        "can be tried.",
        source="CWE-334; OWASP Session Management Cheat Sheet, session ID length",
    )
    def short_ids_are_found(self, tables: Tables) -> Verdict:
        """All ids of two hexadecimal digits, from the attacker's own downwards."""
        return all_of(
            between(tries(tables, "short-ids"), COUNTED_GUESSES + 1, GUESSES, unit="ids tried"),
            at_most(tries(tables, "none"), COUNTED_GUESSES, unit="where ids are counted"),
        ).because("guesses", shown(tables, step("guessed", "short-ids")))
