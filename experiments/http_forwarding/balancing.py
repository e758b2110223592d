"""A load balancer: turns, sessions that stick to a server, and a server that fails."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, at_least, claim, pick, same

from .exchanges import (
    PROXY,
    RST_ACK,
    at,
    behind,
    codes,
    cookies,
    opened,
    requests,
    responses,
    shown,
    text,
)
from .servers import APP, TURNS

_ALICE = (200, "alice")


class Balancing(Experiment):
    """A load balancer: turns, sessions that stick to a server, and a server that fails."""

    @claim(
        "A load balancer spreads requests over servers in turn, even those of one connection; "
        "the client knows one address.",
        source="RFC 9110 §3.7",
    )
    def servers_take_turns(self, tables: Tables) -> Verdict:
        """Four requests on one connection."""
        got = responses(tables, "turns", "h3", PROXY)
        connections = opened(tables, "turns", "h3", PROXY, TURNS)
        return all_of(
            same(len(connections), 1, "connections of the client"),
            same(codes(got), [200] * 4, "client got"),
            same(behind(tables, "turns"), ["h4", "h5", "h4", "h5"], "servers"),
        ).because("messages", shown(tables, "turns"))

    @claim(
        "Where servers take turns, sessions are lost: the other server does not know them, "
        "although the client sends its cookie.",
        source="RFC 6265 §3; RFC 9110 §15.5.2",
    )
    def turns_lose_sessions(self, tables: Tables) -> Verdict:
        """A login, and the page that needs it."""
        opening = responses(tables, "turns-login", "h3", PROXY)
        got = responses(tables, "turns-account", "h3", PROXY)
        given = [cookie for row in opening for cookie in cookies(row)]
        sent = requests(tables, "turns-account", "h3", PROXY)
        brought = [http.header(row, "Cookie") for row in sent]
        asked = {*behind(tables, "turns-login"), *behind(tables, "turns-account")}
        return all_of(
            same(codes(opening), [303], "login"),
            same(brought == given, True, "cookie sent again"),
            same(asked, {"h4", "h5"}, "servers"),
            same(codes(got), [401], "account"),
        ).because("messages", shown(tables, "turns-login", "turns-account"))

    @claim(
        "Sticky sessions: a cookie of the balancer's own leads all requests of a client to the "
        "same server, which does not see it; other clients go to another one.",
        source="RFC 6265 §3; RFC 9110 §3.7",
    )
    def cookies_stick_to_servers(self, tables: Tables) -> Verdict:
        """Two clients that have logged in."""
        steps = {"sticky-account": ("h4", "one", 3), "sticky-account-other": ("h5", "two", 1)}
        parts = []
        for step, (server, name, times) in steps.items():
            login = step.replace("account", "login") if times > 1 else "sticky-other"
            got = responses(tables, step, "h3", PROXY)
            sent = [http.header(row, "Cookie") for row in requests(tables, step, "h3", PROXY)]
            passed = [http.header(row, "Cookie") for row in requests(tables, step, server, PROXY)]
            given = [c for row in responses(tables, login, "h3", PROXY) for c in cookies(row)]
            parts += [
                same(f"SERVER={name}" in given, True, f"SERVER={name} at login"),
                same([f"SERVER={name}" in c for c in sent], [True] * times, "which is sent"),
                same(any("SERVER" in c for c in passed), False, "and passed on"),
                same(behind(tables, step), [server] * times, "server"),
                same([(*codes([row]), text(row)) for row in got], [_ALICE] * times, "client got"),
            ]
        return all_of(*parts).because("messages", shown(tables, *steps))

    @claim(
        "If a server fails, the balancer leads its clients to another one. They get an answer, "
        "but the sessions that the server kept are gone; clients of the other notice nothing.",
        source="RFC 9110 §3.7, §15.5.2",
    )
    def failures_move_clients(self, tables: Tables) -> Verdict:
        """The first server has ended."""
        got = responses(tables, "failed", "h3", PROXY)
        other = responses(tables, "failed-other", "h3", PROXY)
        refused = pick(tables, "failed", PROXY, ip_src=at(tables, "h4"), tcp_flags=RST_ACK)
        refused = refused[refused["tcp_sport"] == APP]
        tried = opened(tables, "failed", "h4", PROXY, APP)
        moved = [c for row in got for c in cookies(row) if c.startswith("SERVER")]
        return all_of(
            at_least(len(tried), 1, unit="connections tried to the first server"),
            at_least(len(refused), 1, unit="of them refused"),
            same(behind(tables, "failed"), ["h5"], "server"),
            same(codes(got), [401], "client got"),
            same(moved, ["SERVER=two"], "new cookie"),
            same([(*codes([row]), text(row)) for row in other], [_ALICE], "the other client got"),
        ).because("messages", shown(tables, "failed", "failed-other"))
