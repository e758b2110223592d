"""What students do not see of the hardening lab: which attacks must fail, and what must work."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

from labs.harden.hidden_visits import (
    AGAIN,
    HARMLESS_LINK,
    LINKS,
    LONG,
    MARKUP,
    QUOTED,
    TEXTS,
    WORDS,
    HiddenVisits,
)
from labs.harden.lab import APP_PORT, SURPRISE, THINGS, gated
from testbed import Tables, Verdict, all_of, claim, holds, share_of, shown

if TYPE_CHECKING:
    import pandas as pd

    from testbed import ScenarioData

HARMLESS = ("a href", "a href http:", "a href https:", "input value")
"""Where a visitor's text may be in a page, but for text."""

LEAKS = ("Traceback", 'File "', "sqlite3", "SELECT ", "syntax error", "no such column")
"""What is of use to attackers alone."""


class Hidden(HiddenVisits):
    """The lab as the grader has it."""

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """And what visitors with slow lines got: `name`, `answer`."""
        slow = data.events("slow").reindex(columns=["name", "answer"])
        return {**super().measure(data), "slow": slow}

    # ---- hidden checks

    @claim(
        "What honest visitors write and look for works, whatever is in it.", source="the handout"
    )
    def honest(self, tables: Tables) -> Verdict:
        """Quotes, markup, words of SQL, long texts, two tabs, two devices."""
        return share_of(
            [
                *(self._statements_work(tables)),
                *(self._texts_work(tables)),
                self.shows(tables, "eve-after", LONG.strip(), "a long message"),
                *(self._forms_work(tables)),
                *(self._logins_work(tables)),
            ]
        )

    def _statements_work(self, tables: Tables) -> list[Verdict]:
        prices = ("jacks: 5", "set: 12", "Tent: 20", "Ladder: 30")
        titles = ("set: 12", "Ladder: 30", "jacks: 5", "Tent: 20")
        return [
            self.shows(tables, "quote", "Five o'clock tea set: 12"),
            self.shows(tables, "words", "Selection of union jacks: 5"),
            self._sorted(tables, "by-price", prices),
            self._sorted(tables, "by-title", titles),
            self.shows(tables, "third", "Five o'clock tea set: 12"),
        ]

    def _sorted(self, tables: Tables, name: str, order: Sequence[str]) -> Verdict:
        text = self.got(tables, name)["text"]
        at = [text.find(item) for item in order]
        right = at == sorted(at)
        found = "in this order" if right else "in another order"
        found = found if min(at) >= 0 else "items are missing"
        return holds(
            min(at) >= 0 and right,
            observed=f"{name}: {found}",
            expected=f"{name}: {', '.join(order)}",
        )

    def _texts_work(self, tables: Tables) -> list[Verdict]:
        markup, link = self.marked(MARKUP), self.marked(HARMLESS_LINK)
        kept = markup in self.got(tables, "markup")["values"]
        return [
            self.shows(tables, "eve-after", f"eve: {markup}", "a message with angle brackets"),
            self.shows(tables, "eve-after", f"eve: {QUOTED}", "a message with quotes"),
            self.has_link(tables, "eve-after", link, "a message's http link"),
            self.shows(tables, "markup", f"Results for {markup}", "the word that was looked for"),
            holds(
                kept,
                observed=f"markup: the search's field {'has' if kept else 'does not have'} it",
                expected="markup: the search's field has what was looked for",
            ),
        ]

    def _forms_work(self, tables: Tables) -> list[Verdict]:
        return [self.shows(tables, "eve-after", f"paid {name} 5") for name in ("carol", "dave")]

    def _logins_work(self, tables: Tables) -> list[Verdict]:
        right = [
            self.shows(tables, "dora", "You are dora."),
            self.shows(tables, "first", "You are alice."),
            self.shows(tables, "second", "You are alice."),
        ]
        return [*right, *gated(right, [self.lacks(tables, "as-wrong", "You are")])]

    def _still_works(self, tables: Tables) -> list[Verdict]:
        """Between and after the attacks, all that an honest member does."""
        visits = [str(number) for number in range(1, AGAIN + 1)]
        pages = [*visits, "last"]
        return [
            *(self.shows(tables, f"search-{n}", "Five o'clock tea set: 12") for n in pages),
            *(self.shows(tables, f"item-{n}", "Five o'clock tea set: 12") for n in pages),
            *(self.shows(tables, f"again-{n}", "You are alice.") for n in visits),
            *(self.shows(tables, f"again-{n}", f"alice: Visit {n} was fine.") for n in visits),
            *(self.shows(tables, f"again-{n}", f"paid frank {10 + int(n)}") for n in visits),
        ]

    @claim(
        "Nothing that a visitor sends becomes part of a statement.",
        source="OWASP Top 10:2021, A03; CWE-89",
    )
    def statements(self, tables: Tables) -> Verdict:
        """Logins, other tables, hidden rows, a question by the order of rows, a message."""
        works, secrets = self._statements_work(tables), tuple(self.passwords.values())
        bypasses = [self.lacks(tables, f"as-nobody-{n}", "You are") for n in (1, 2, 3)]
        alike = self._titles(tables, "guess-right") == self._titles(tables, "guess-wrong")
        blind = holds(
            alike,
            observed=f"order: {'the same' if alike else 'depends on a password'}",
            expected="order: the same, whatever a password begins with",
        )
        texts, still = self._texts_work(tables), self._still_works(tables)

        def no_password(name: str) -> Verdict:
            return self.lacks(tables, name, *secrets, called="a password")

        found = [no_password("union"), self.lacks(tables, "hidden", SURPRISE)]
        opened = [no_password("item-union"), self.lacks(tables, "item-hidden", SURPRISE)]
        return share_of(
            [
                *gated([*self._logins_work(tables), *still], bypasses),
                *gated([*works[:2], *still], found),
                *gated([*works[4:], *still], opened),
                *gated([*works[2:4], *still], [blind]),
                *gated([*texts[1:2], *still], [no_password("stolen")]),
            ]
        )

    def _titles(self, tables: Tables, name: str) -> list[str]:
        """The things on a page, in its order; a refusal has none, whatever it says."""
        text = self.got(tables, name)["text"]
        return sorted((title for title, _ in THINGS if title in text), key=text.find)

    @claim(
        "Nothing that a visitor sends becomes a script in a page.",
        source="OWASP Top 10:2021, A03; CWE-79",
    )
    def scripts(self, tables: Tables) -> Verdict:
        """Where in the parsed page each text is."""
        works, still = self._texts_work(tables), self._still_works(tables)
        reflected = [self._inert(tables, name, name, word) for name, word in WORDS.items()]
        links = [self._inert(tables, "links", name, link) for name, link in LINKS.items()]
        texts = [self._inert(tables, "texts", name, text) for name, text in TEXTS.items()]
        return share_of(
            [
                *gated([*works[3:], *still], reflected),
                *gated([*works[2:3], *still], links),
                *gated([*works[:1], *still], texts),
            ]
        )

    def _inert(self, tables: Tables, page: str, called: str, sent: str) -> Verdict:
        row, marks = self.got(tables, page), re.findall(rf"{self.mark}\d+", self.marked(sent))
        active = [at for mark, at in row["places"] if mark in marks and at not in HARMLESS]
        seen = "in a page that cannot be parsed" if row["unreadable"] else "text, or left out"
        return holds(
            not active and not row["unreadable"],
            observed=f"{called}: {', '.join(active) or seen}",
            expected=f"{called}: text, or left out",
        )

    @claim(
        "A request that changes something counts only if it comes from the site's own form.",
        source="OWASP Top 10:2021, A01; CWE-352",
    )
    def forgery(self, tables: Tables) -> Verdict:
        """Without a token, by GET, with somebody else's."""
        honest = [*self._forms_work(tables), self.shows(tables, "alice-after", "You are alice.")]
        honest += self._still_works(tables)
        paid = [self.lacks(tables, "alice-after", f"paid mallory{n} ") for n in (1, 2, 3, 4)]
        written = self.lacks(tables, "alice-after", "a forged message")
        return share_of(gated(honest, [*paid, written]))

    @claim(
        "A session is new at each login, cannot be guessed, ends at the logout, and its cookie is "
        "out of reach for scripts and foreign pages.",
        source="RFC 6265bis §4.1.2, §5.6.7; CWE-384, CWE-613",
    )
    def sessions(self, tables: Tables) -> Verdict:
        """Planted, guessed and old ids; the attributes of the cookie."""
        honest = [*self._logins_work(tables)[1:3], *self._still_works(tables)]
        cookie = _cookie(self.got(tables, "login-first")["cookies"])
        site = str(cookie.get("samesite", "")).lower()
        attributes = [
            holds(
                bool(cookie.get("httponly")),
                observed=f"cookie: {'with' if cookie.get('httponly') else 'without'} HttpOnly",
                expected="cookie: with HttpOnly",
            ),
            holds(
                site in ("lax", "strict"),
                observed=f"cookie: SameSite={shown(site) or 'missing'}",
                expected="cookie: SameSite=Lax or Strict",
            ),
        ]
        planted = [self.lacks(tables, name, "You are") for name in ("fixed", "not-renewed")]
        others = [self.lacks(tables, name, "You are alice") for name in ("guessed", "kept")]
        return share_of(gated(honest, [all_of(*planted), *others, *attributes]))

    @claim(
        "Bad input is refused, and the response tells nothing about the inside.",
        source="RFC 9110 §15.5, §17.12; CWE-209",
    )
    def errors(self, tables: Tables) -> Verdict:
        """Four bad requests, and the header Server."""
        cases = []
        for name in ("bad-number", "bad-order", "no-fields", "bad-amount"):
            row = self.got(tables, name)
            leaks = [word for word in LEAKS if word in row["said"]]
            least = 200 if name == "bad-order" else 400  # another order is fine
            cases.append(
                holds(
                    least <= row["status"] < 500 and not leaks and not row["unreadable"],
                    observed=f"{name}: {row['status'] or 'no answer'}"
                    + (f", with {shown(leaks[0])}" if leaks else ""),
                    expected=f"{name}: 4xx, without the program's or the database's words",
                )
            )
        server = str(self.got(tables, "front")["headers"].get("server", ""))
        cases.append(
            holds(
                not any(c.isdigit() for c in server),
                observed=f"Server: {shown(server)}",
                expected="Server: no version",
            )
        )
        honest = [*self._statements_work(tables)[2:], *self._forms_work(tables)]
        return share_of(gated([*honest, *self._still_works(tables)], cases))

    @claim(
        "A policy lets only the site's own scripts run, and no other site shows it in a frame.",
        source="Content Security Policy Level 3, §6.1.11, §6.4.2; RFC 7034",
    )
    def policy(self, tables: Tables) -> Verdict:
        """The policy of three pages, as a browser reads it; the site's script."""
        front, script = self.got(tables, "front"), self.got(tables, "script")
        sources = _sources(front)
        runs = front["scripts"] == ["/site.js"] and "'self'" in (sources or ["'self'"])
        own = holds(
            runs and script["status"] == 200 and "focus" in script["body"],
            observed=f"scripts of the page: {', '.join(map(shown, front['scripts'])) or 'none'}; "
            f"/site.js: {script['status']}",
            expected="scripts of the page: /site.js, which the policy allows",
        )
        pages = {name: self.got(tables, name) for name in ("front", "found", "item")}
        cases = [
            all_of(*(_only_own_scripts(name, row) for name, row in pages.items())),
            all_of(*(_unframed(name, row) for name, row in pages.items())),
        ]
        works = [self.shows(tables, name, "Search") for name in pages]
        return share_of(gated([own, *works], cases))

    @claim(
        "Many unfinished requests do not keep others out, and the application is reached through "
        "the server only.",
        source="CWE-400; RFC 9110 §17.5",
    )
    def server(self, tables: Tables) -> Verdict:
        """300 connections from one host, twice; visitors with slow lines; the other port."""
        slow = {row["name"]: row["answer"] for row in tables.of("slow").to_dict("records")}
        wanted = {"slow-header": "HTTP/1.1 200", "slow-body": "HTTP/1.1 4"}
        honest = [
            holds(
                slow[name].startswith(start),
                observed=f"{name}: {shown(slow[name]) or 'no answer'}",
                expected=f"{name}: {start}",
            )
            for name, start in wanted.items()
        ]
        direct = self.got(tables, "direct")["status"]
        closed = holds(
            direct == 0,
            observed=f"port {APP_PORT}: {direct or 'closed'}",
            expected=f"port {APP_PORT}: closed to others",
        )
        served = [self.shows(tables, name, "Search") for name in ("many-headers", "many-bodies")]
        return share_of(gated([*honest, self.shows(tables, "front", "Search")], [*served, closed]))


def _cookie(lines: Sequence[str]) -> Mapping[str, Any]:
    """The attributes of the session's cookie; empty if none was set."""
    for line in lines:
        with contextlib.suppress(CookieError):
            parsed = SimpleCookie(line)
            if "session" in parsed:
                return parsed["session"]
    return {}


def _only_own_scripts(name: str, row: Mapping[str, Any]) -> Verdict:
    sources = _sources(row)
    return holds(
        sources == ["'self'"],
        observed=f"{name}: sources of scripts: {shown(' '.join(sources or [])) or 'all'}",
        expected=f"{name}: sources of scripts: 'self' alone",
    )


def _unframed(name: str, row: Mapping[str, Any]) -> Verdict:
    ancestors = _rules(row).get("frame-ancestors")
    old = str(row["headers"].get("x-frame-options", "")).strip().lower()
    if ancestors is None:
        closed = old in ("deny", "sameorigin")
    else:
        closed = ancestors in (["'none'"], ["'self'"])
    return holds(
        closed,
        observed=f"{name}: framed by {shown(' '.join(ancestors or []) or old) or 'all'}",
        expected=f"{name}: framed by 'none' or 'self'",
    )


def _sources(row: Mapping[str, Any]) -> list[str] | None:
    """Where a page's scripts may come from; None: everywhere."""
    rules = _rules(row)
    return rules.get("script-src", rules.get("default-src"))


def _rules(row: Mapping[str, Any]) -> dict[str, list[str]]:
    return _policy(str(row["headers"].get("content-security-policy", "")))


def _policy(header: str) -> dict[str, list[str]]:
    """Directive → its sources; of a repeated directive the first one counts."""
    rules: dict[str, list[str]] = {}
    for part in header.split(";"):
        name, *sources = part.split() or [""]
        rules.setdefault(name.lower(), sources)
    return rules
