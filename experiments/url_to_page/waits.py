"""What each memory saves: the browser's cache, connections, sessions and names; the resolver's."""

from __future__ import annotations

from typing import Any

from testbed import Experiment, Tables, Verdict, all_of, at_least, at_most, claim, first, near, same
from topologies.website import DELAYS_MS

from .journey import TRIPS
from .visits import (
    CACHES,
    asked_names,
    asked_servers,
    document,
    known,
    ms,
    node_at,
    of_connection,
    opened,
    packets,
    port,
    requests,
    sent,
    turns_s,
    undisturbed,
    visit,
)


class Waits(Experiment):
    """What each memory saves."""

    site_rtt_ms: Any
    slack_ms: Any

    @claim(
        "A browser that has seen Strict-Transport-Security goes to HTTPS by itself: no request in "
        "the clear, and a connection and a redirection less.",
        source="RFC 6797 §7.2, §8.3",
        scenarios=[CACHES],
    )
    def hsts_saves_the_redirection(self, tables: Tables) -> Verdict:
        """The first visit goes to port 80, the second does not."""
        to_80 = {n: opened(tables, n).query("tcp_dport == 80") for n in ("typed", "again")}
        who = {n: first(requests(tables, n), "request")["served_from"] for n in ("typed", "again")}
        return all_of(
            same(
                {name: len(syns) for name, syns in to_80.items()},
                {"typed": 1, "again": 0},
                "connections to port 80",
            ),
            same(who, {"typed": "network", "again": "hsts"}, "redirected by"),
        ).because("to port 80", to_80["typed"])

    @claim(
        "The HTTP cache saves bodies: the page is validated (304), and files that are fresh are "
        "not even asked for.",
        source="RFC 9111 §4, §4.3; RFC 9110 §15.4.5",
        scenarios=[CACHES],
    )
    def http_cache_saves_bodies(self, tables: Tables) -> Verdict:
        """The second visit, and the same without the cache."""
        again, without = (sent(requests(tables, n)) for n in ("again", "no-http-cache"))
        every = requests(tables, "typed", status=200)
        return all_of(
            same(again["status"].tolist(), [304], "statuses again"),
            same(sorted(without["url"]), sorted(every["url"]), "asked for without cache"),
            same(set(without["status"]), {200}, "statuses without cache"),
            at_most(
                float(again["wire_bytes"].sum()),
                float(without["wire_bytes"].sum()) / 10,
                unit="bytes again",
            ),
        ).because("requests without cache", without[["url", "status", "wire_bytes"]])

    @claim(
        "An open connection saves the handshakes of TCP and TLS: two round trips.",
        source="RFC 9113 §9.1; RFC 9293 §3.5; RFC 8446 §2",
        scenarios=[CACHES],
        bears_stall_s=0.0005,
    )
    def open_connections_save_handshakes(self, tables: Tables) -> Verdict:
        """The second visit, and the same after the server has closed the connection."""
        with_it, without = (_first_byte_ms(tables, n) for n in ("again", "no-connection"))
        saved_ms = known(without, "page") - known(with_it, "page")
        return all_of(
            at_most(len(opened(tables, "again")), 0, unit="connections again"),
            same(len(opened(tables, "no-connection")), 1, "connections after a pause"),
            near(saved_ms, 2 * self.site_rtt_ms, abs=2 * self.slack_ms, unit="ms", what="saved"),
        ).because("SYN", opened(tables, "no-connection"))

    @claim(
        "A remembered TLS session saves the certificate; in TLS 1.3 it saves no round trip.",
        source="RFC 8446 §2.2, §4.6.1",
        scenarios=[CACHES],
        bears_stall_s=0.0005,
    )
    def sessions_save_certificates(self, tables: Tables) -> Verdict:
        """Handshakes with the session, and after it has expired."""
        names = ("no-connection", "no-session")
        resumed, full = (_handshake_bytes(tables, name) for name in names)
        took = {name: ms(document(tables, name), "tls") for name in names}
        return all_of(
            at_least(full - resumed, _CERTIFICATE_BYTES, unit="bytes saved"),
            *(
                near(took[name], self.site_rtt_ms, abs=self.slack_ms, unit="ms", what=name)
                for name in names
            ),
        ).because("full handshake", opened(tables, "no-session"))

    @claim(
        "A browser remembers names for a while, and asks nobody; then it asks its resolver again.",
        source="RFC 1034 §5.3.1; RFC 1035 §7.4",
        scenarios=[CACHES],
    )
    def browser_remembers_names(self, tables: Tables) -> Verdict:
        """Visits that need a new connection, before and after the browser has forgotten."""
        asked = {n: asked_names(tables, n) for n in ("no-connection", "no-session", "no-name")}
        wanted = {"no-connection": 0, "no-session": 0, "no-name": 1}
        return same(asked, wanted, "questions").because("connection", opened(tables, "no-name"))

    @claim(
        "A resolver that remembers answers at once; when the address has expired it asks the "
        "zone's own server alone, since it still knows who that is.",
        source="RFC 1034 §5.3.3; RFC 1035 §3.2.1",
        scenarios=[CACHES],
        bears_stall_s=0.001,
    )
    def resolver_remembers_addresses_and_servers(self, tables: Tables) -> Verdict:
        """The visit after the browser has forgotten, and the one after the resolver has."""
        way = {
            name: [node_at(tables, str(ip)) for ip in asked_servers(tables, name)["ip_dst"]]
            for name in ("no-name", "no-resolver")
        }
        took_ms = ms(document(tables, "no-resolver"), "dns")
        rtt_ms = 2 * DELAYS_MS["n3"]
        return all_of(
            same(way, {"no-name": [], "no-resolver": ["n3"]}, "asked"),
            near(took_ms, rtt_ms, abs=self.slack_ms, unit="ms", what="the name took"),
        ).because("queries", asked_servers(tables, "no-resolver"))

    @claim(
        "Somebody new gains from the resolver's memory alone: the name is there at once, all else "
        "takes as long as the first time.",
        source="RFC 1034 §5.3.1; RFC 9111 §1",
        scenarios=[CACHES],
        bears_stall_s=0.002,
    )
    def newcomers_share_the_resolver_only(self, tables: Tables) -> Verdict:
        """The last visit, by another profile of the browser, against the first."""
        undisturbed(tables, "typed", "newcomer", scenario=CACHES)
        took = [ms(visit(tables, name), "loaded") for name in ("typed", "newcomer")]
        name_ms = known(ms(first(requests(tables, "typed"), "request"), "dns"), "look-up")
        saved_ms = known(took[0], "first load") - known(took[1], "load by somebody new")
        statuses = {n: sorted(requests(tables, n)["status"]) for n in ("typed", "newcomer")}
        return all_of(
            near(saved_ms, name_ms, abs=TRIPS * self.slack_ms, unit="ms", what="saved"),
            same(statuses["newcomer"], statuses["typed"], "statuses"),
        ).because("connections", opened(tables, "newcomer"))


_CERTIFICATE_BYTES = 600
"""A certificate with an RSA key of 2048 bits and its signature in the handshake have more."""


def _first_byte_ms(tables: Tables, name: str) -> float | None:
    """From wanting the page to its response."""
    row = document(tables, name)
    columns = ("blocked", "dns", "connect", "tls", "send", "wait")
    return float(sum(row[f"{c}_ns"] for c in columns)) / 1e6


def _handshake_bytes(tables: Tables, name: str) -> int:
    """Bytes that the server sent in TLS before the client's request."""
    page = document(tables, name)
    turns = turns_s(tables, name, port(page))
    found = of_connection(packets(tables, name), port(page))
    before = found[found["time_s"] < turns[2]] if len(turns) > 2 else found
    return int(before.loc[before["tcp_dport"] == port(page), "tcp_payload_bytes"].sum())
