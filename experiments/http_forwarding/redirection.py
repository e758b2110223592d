"""Forwarding inside a server, and redirection by the client."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, claim, same

from .exchanges import CLIENT, Rows, codes, requests, responses, shown, targets, text
from .servers import BOARD, NEW, TEXT


class Redirection(Experiment):
    """Forwarding inside a server, and redirection by the client."""

    @claim(
        "Forwarding happens inside the server: the client sends one request, keeps its URL, and "
        "cannot see that another resource answered.",
        source="RFC 9110 §3.1",
    )
    def forwarding_is_inside(self, tables: Tables) -> Verdict:
        """A URL that leads inside to a page without a URL of its own."""
        asked, got = _talk(tables, "forwarded")
        names = ("Location", "Content-Location")
        places = [http.header(row, name) for row in got for name in names]
        direct = codes(_talk(tables, "inside")[1])
        return all_of(
            same(targets(asked), ["/today"], "requests"),
            same(codes(got), [200], "status"),
            same([text(row) for row in got], ["a page for Monday"], "text"),
            same([place for place in places if place], [], "other places named"),
            same(direct, [404], "status of the page itself"),
        ).because("messages", shown(tables, "forwarded", "inside", capture=CLIENT))

    @claim(
        "Redirection is a second request of the client: 302 says where in Location.",
        source="RFC 9110 §10.2.2, §15.4.3",
    )
    def redirection_is_a_second_request(self, tables: Tables) -> Verdict:
        """A URL that has another for now."""
        asked, got = _talk(tables, "redirected")
        places = [http.header(row, "Location") for row in got]
        return all_of(
            same(targets(asked), ["/found", NEW], "requests"),
            same(codes(got), [302, 200], "status"),
            same(places, [NEW, ""], "Location"),
        ).because("messages", shown(tables, "redirected", capture=CLIENT))

    @claim(
        "301 is remembered: a client that keeps responses goes to the new URL by itself the next "
        "time; after 302 it asks the old one again.",
        source="RFC 9110 §15.1, §15.4.2–3; RFC 9111 §4.2.2",
    )
    def permanent_redirects_are_remembered(self, tables: Tables) -> Verdict:
        """Two visits of each."""
        steps = ("moved-first", "moved-again", "found-first", "found-again")
        asked = {step: targets(_talk(tables, step)[0]) for step in steps}
        wanted = {
            "moved-first": ["/moved", NEW],
            "moved-again": [NEW],
            "found-first": ["/found", NEW],
            "found-again": ["/found", NEW],
        }
        return same(asked, wanted, "requests").because(
            "messages", shown(tables, *steps, capture=CLIENT)
        )

    @claim(
        "After 303 a POST becomes a GET; after 301 and 302 clients do the same, which the standard "
        "allows.",
        source="RFC 9110 §15.4.2–4",
    )
    def posts_become_gets(self, tables: Tables) -> Verdict:
        """The second request's method, and its body."""
        return _moved(tables, (301, 302, 303), [("POST", TEXT), ("GET", "")])

    @claim("307 and 308 keep the method and the body.", source="RFC 9110 §15.4.8–9")
    def methods_are_kept(self, tables: Tables) -> Verdict:
        """The same for the newer codes."""
        return _moved(tables, (307, 308), [("POST", TEXT)] * 2)


def _talk(tables: Tables, step: str) -> tuple[Rows, Rows]:
    """Requests to the site and its responses, at the client."""
    got = responses(tables, step, "h4", CLIENT)
    return requests(tables, step, "h4", CLIENT), got


def _moved(tables: Tables, moves: tuple[int, ...], wanted: list[tuple[str, str]]) -> Verdict:
    """First status, and method and body of both requests, for each code."""
    parts = []
    for code in moves:
        asked, got = _talk(tables, f"move-{code}")
        said = [(str(row["method"]), text(row)) for row in asked]
        parts += [
            same(codes(got)[:1], [code], "status"),
            same(targets(asked), [f"/move/{code}", BOARD], "requests"),
            same(said, wanted, f"method and body with {code}"),
        ]
    steps = [f"move-{code}" for code in moves]
    return all_of(*parts).because("messages", shown(tables, *steps, capture=CLIENT))
