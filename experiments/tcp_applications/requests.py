"""HTTP: how many requests a connection carries."""

from __future__ import annotations

import pandas as pd

from testbed import Experiment, Tables, Verdict, all_of, at_least, at_most, claim, near, same

from .files import openings, said

PAGES = 3


class Requests(Experiment):
    """HTTP: how many requests a connection carries."""

    @claim(
        "HTTP/1.0 closes the connection after each response: as many connections as requests.",
        source="RFC 1945 §1.3; RFC 9112 §9.3",
    )
    def http10_closes_after_each(self, tables: Tables) -> Verdict:
        """Three pages."""
        seen = _messages(tables, "http-1.0", "client")
        return all_of(
            near(len(seen), PAGES, abs=0, unit="requests"),
            near(len(openings(tables, "http-1.0")), PAGES, abs=0, unit="connections"),
        ).because("requests", seen)

    @claim(
        "HTTP/1.1 keeps the connection, which carries all requests, one at a time.",
        source="RFC 9112 §9.3",
    )
    def http11_carries_one_at_a_time(self, tables: Tables) -> Verdict:
        """Three pages: who speaks when."""
        talk = _messages(tables, "http-1.1")
        return all_of(
            near(len(openings(tables, "http-1.1")), 1, abs=0, unit="connection"),
            same(list(talk["by"]), ["client", "server"] * PAGES, "speakers"),
        ).because("messages", talk)

    @claim(
        "Pipelined requests do not wait for responses; the responses come in the requests' order.",
        source="RFC 9112 §9.3.2",
    )
    def pipelined_requests_do_not_wait(self, tables: Tables) -> Verdict:
        """Two requests in one go."""
        asked = said(tables, "http-pipelined", by="client", service="HTTP")
        answered = said(tables, "http-pipelined", by="server", service="HTTP")
        requests = [line for text in asked["text"] for line in _lines(text, "GET ")]
        pages = [line for text in answered["text"] for line in _lines(text, "<h1>")]
        early = asked["frame"].max() < answered["frame"].min()
        return all_of(
            near(len(openings(tables, "http-pipelined")), 1, abs=0, unit="connection"),
            same([line.split()[1] for line in requests], ["/one.html", "/two.html"], "asked"),
            same(pages, ["<h1>Page one</h1>", "<h1>Page two</h1>"], "answered"),
            same(bool(early), True, "all asked before the first response"),
        ).because("messages", pd.concat([asked, answered]))

    @claim(
        "A client that wants several responses at once opens several connections.",
        source="RFC 9112 §9.4",
    )
    def parallel_requests_take_connections(self, tables: Tables) -> Verdict:
        """Three pages at once: all are asked for before the first response."""
        asked = _messages(tables, "http-parallel", "client")
        answered = _messages(tables, "http-parallel", "server")
        waiting = int((asked["frame"] < answered["frame"].min()).sum())
        return all_of(
            near(len(openings(tables, "http-parallel")), PAGES, abs=0, unit="connections"),
            at_least(waiting, PAGES, unit="requests before the first response"),
            at_most(asked["tcp_sport"].duplicated().sum(), 0, unit="on a used connection"),
        ).because("requests", asked)


def _messages(tables: Tables, step: str, by: str = "") -> pd.DataFrame:
    """Segments in which a request or a response begins."""
    talk = said(tables, step, service="HTTP")
    talk = talk[talk["kind"] != "data"]
    return talk[talk["by"] == by] if by else talk


def _lines(text: str, begin: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(begin)]
