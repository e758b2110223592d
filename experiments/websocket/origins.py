"""Who may open a WebSocket: any page, unless the server looks."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, MissingDataError, Tables, Verdict, all_of, claim, same

from .talk import COOKIE, FOREIGN, ORIGIN, USER, asked, exchange, frames, status, texts
from .upgrade import SWITCHED


class Origins(Experiment):
    """Who may open a WebSocket: any page, unless the server looks."""

    @claim(
        "No same-origin rule protects a WebSocket: a page of another site opens it with the user's "
        "cookie, and a server that does not look gives it the user's data.",
        source="RFC 6455 §1.6, §10.2",
    )
    def foreign_pages_get_in(self, tables: Tables) -> Verdict:
        """A handshake as a browser sends it for a page of another site."""
        request = asked(tables, "open")
        if http.header(request, "Origin") != FOREIGN or http.header(request, "Cookie") != COOKIE:
            raise MissingDataError("the client did not send a foreign origin and the cookie")
        given = texts(frames(tables, "open", side="server"))
        return all_of(
            same(status(tables, "open"), SWITCHED, "status"),
            same(given, [f"logged in as {USER}"], "the server says"),
        ).because("handshake", exchange(tables, "open"))

    @claim(
        "A server keeps foreign pages out by checking Origin in the handshake: 403 for another "
        "site, 101 for its own.",
        source="RFC 6455 §4.2.2 (4), §10.2",
    )
    def checking_origin_keeps_them_out(self, tables: Tables) -> Verdict:
        """The same server with a list of origins."""
        steps = ("foreign", "own")
        origins = [http.header(asked(tables, step), "Origin") for step in steps]
        if origins != [FOREIGN, ORIGIN]:
            raise MissingDataError("the client did not send both origins")
        codes = {step: status(tables, step) for step in steps}
        given = [texts(frames(tables, step, side="server")) for step in steps]
        return all_of(
            same(codes, {"foreign": 403, "own": SWITCHED}, "status"),
            same(given, [[], [f"logged in as {USER}"]], "the server says"),
        ).because("handshakes", exchange(tables, *steps))
