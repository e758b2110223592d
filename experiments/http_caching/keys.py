"""What a stored response answers: methods, and the request's parts that make up the key."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, claim, same

from .exchanges import (
    from_origin,
    origin_codes,
    outcomes,
    requests,
    response,
    shown,
    text,
    to_origin,
)

_EVIL, _OWN = "evil.example.net", "www.example.org"


class Keys(Experiment):
    """What a stored response answers."""

    @claim(
        "A response to POST is not kept, unless it states its freshness and the URI that it "
        "represents: then it answers the next GET.",
        source="RFC 9110 §9.3.3",
    )
    def posts_are_kept_if_they_say_so(self, tables: Tables) -> Verdict:
        """With and without Cache-Control and Content-Location."""
        told = response(tables, "telling-post")
        names = ("Cache-Control", "Content-Location")
        silent, stated = (
            [http.header(row, name) for name in names]
            for row in (response(tables, "silent-post"), told)
        )
        asked = {step: len(to_origin(tables, step)) for step in ("silent-get", "telling-get")}
        return all_of(
            same([name for name in silent if name], [], "the first POST states"),
            same(stated, ["max-age=60", "/board"], "the second"),
            same(asked, {"silent-get": 1, "telling-get": 0}, "requests to the origin by GET"),
            same(text(response(tables, "telling-get")), text(told), "text of the GET"),
            same("four" in text(told), True, "the POST's own text"),
        ).because("messages", shown(tables, *_POSTS))

    @claim(
        "POST and PUT always go through to the origin, and end what the cache has stored under "
        "their URI.",
        source="RFC 9111 §4, §4.4; RFC 9110 §9.3.4",
    )
    def unsafe_methods_invalidate(self, tables: Tables) -> Verdict:
        """A board that is read, changed and read again; and a POST after one that was kept."""
        changes = ("board-post", "board-put", "telling-again")
        methods = {step: [row["method"] for row in to_origin(tables, step)] for step in changes}
        after = ("board-again", "board-after-post", "board-after-put")
        asked = {step: len(to_origin(tables, step)) for step in after}
        got = {step: body for step, (_, body) in outcomes(tables, *after).items()}
        return all_of(
            same(
                methods,
                {"board-post": ["POST"], "board-put": ["PUT"], "telling-again": ["POST"]},
                "at the origin",
            ),
            same(
                asked,
                {"board-again": 0, "board-after-post": 1, "board-after-put": 1},
                "requests to the origin by GET",
            ),
            same(
                got,
                {"board-again": "", "board-after-post": "one", "board-after-put": "two"},
                "clients read",
            ),
        ).because("messages", shown(tables, "board-first", *after, *changes))

    @claim(
        "A header that changes the response, but is not part of the cache's key, poisons the "
        "cache: what an attacker sent, others get.",
        source="RFC 9111 §7.1",
    )
    def unkeyed_headers_poison(self, tables: Tables) -> Verdict:
        """One request of the attacker, and one without the header."""
        return all_of(
            _sent(tables, "attack", "victim"),
            same(_hosts(tables, "attack", "victim"), [_EVIL, _EVIL], "the page's script is at"),
            same(origin_codes(tables, "victim"), {"victim": []}, "origin's responses"),
        ).because("messages", shown(tables, "attack", "victim"))

    @claim(
        "The cure: the header becomes part of the key, or the cache does not pass it on.",
        source="RFC 9111 §7.1",
    )
    def keys_or_cleaning_cure(self, tables: Tables) -> Verdict:
        """Both, each against the same attack."""
        keyed, clean = (("attack-keyed", "victim-keyed"), ("attack-clean", "victim-clean"))
        return all_of(
            _sent(tables, *keyed),
            _sent(tables, *clean),
            same(_hosts(tables, *keyed), [_EVIL, _OWN], "in the key: attacker, victim"),
            same(_hosts(tables, *clean), [_OWN, _OWN], "not passed on: attacker, victim"),
            same(
                len(from_origin(tables, "victim-clean")), 0, "responses of the origin to the last"
            ),
        ).because("messages", shown(tables, *keyed, *clean))


_POSTS = ("silent-post", "silent-get", "telling-post", "telling-get")


def _sent(tables: Tables, attack: str, victim: str) -> Verdict:
    """The attacker sent the header, and the victim did not."""
    sent = [
        http.header(row, "X-Forwarded-Host")
        for step in (attack, victim)
        for row in requests(tables, step)
    ]
    return same(sent, [_EVIL, ""], "X-Forwarded-Host of attacker and victim")


def _hosts(tables: Tables, *steps: str) -> list[str]:
    """Where the script of the page is that clients got."""
    pages = [text(response(tables, step)) for step in steps]
    return [page.partition("//")[2].partition("/")[0] for page in pages]
