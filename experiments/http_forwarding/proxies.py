"""Proxies: what reaches them, what they add, and which of it a server may trust."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, claim, pick, same

from .exchanges import (
    CLIENT,
    PROXY,
    SERVER,
    at,
    codes,
    opened,
    requests,
    responses,
    shown,
    targets,
    text,
)
from .servers import FORBIDDEN, NAME, NEW, TUNNEL

_PAGE = "the page at its new place"


class Proxies(Experiment):
    """Proxies: what reaches them, what they add, and which of it a server may trust."""

    @claim(
        "A client gives a forward proxy the whole URL; the proxy asks the server for the path, "
        "in its own name.",
        source="RFC 9112 §3.2.1–2; RFC 9110 §3.7",
    )
    def forward_proxies_get_the_whole_url(self, tables: Tables) -> Verdict:
        """The same request on both sides of the proxy."""
        got, site = responses(tables, "proxied", "h3", PROXY), at(tables, "h4")
        asked = requests(tables, "proxied", "h3", PROXY)
        passed = requests(tables, "proxied", "h4", PROXY)
        return all_of(
            same(targets(asked), [f"http://{site}{NEW}"], "to the proxy"),
            same(targets(passed), [NEW], "to the server"),
            same([str(row["ip_src"]) for row in passed], [at(tables, "h3")], "from"),
            same([(*codes([row]), text(row)) for row in got], [(200, _PAGE)], "client got"),
        ).because("messages", shown(tables, "proxied"))

    @claim(
        "A proxy adds itself to Via, in requests and in responses.",
        source="RFC 9110 §7.6.3",
    )
    def proxies_name_themselves(self, tables: Tables) -> Verdict:
        """What came to the proxy, and what left it."""
        asked = requests(tables, "proxied", "h3", PROXY)
        answered = responses(tables, "proxied", "h4", PROXY)
        passed = requests(tables, "proxied", "h4", PROXY)
        returned = responses(tables, "proxied", "h3", PROXY)
        before = [http.header(row, "Via") for row in (*asked, *answered)]
        after = [http.header(row, "Via") for row in (*passed, *returned)]
        return all_of(
            same(before, ["", ""], "Via before"),
            same(after, ["1.1 h3"] * 2, "Via after"),
        ).because("messages", shown(tables, "proxied"))

    @claim(
        "After CONNECT and 200 the proxy is a tunnel: it passes the bytes of both sides on and "
        "changes none.",
        source="RFC 9110 §9.3.6, §3.7",
    )
    def tunnels_change_nothing(self, tables: Tables) -> Verdict:
        """Request and response inside the tunnel, before and behind the proxy."""
        outer, inner = (responses(tables, "tunnel", node, PROXY) for node in ("h3", "h4"))
        asked = requests(tables, "tunnel", "h3", PROXY)
        passed = requests(tables, "tunnel", "h4", PROXY)
        first = [f"{row['method']} {row['target']}" for row in asked[:1]]
        unchanged = _said(asked[1:]) == _said(passed) and _said(outer[1:]) == _said(inner)
        return all_of(
            same(first, [f"CONNECT {at(tables, 'h4')}:{TUNNEL}"], "first request"),
            same(codes(outer), [200, 200], "client got"),
            same(targets(passed), [NEW], "to the server"),
            same(unchanged, True, "the same on both sides"),
        ).because("messages", shown(tables, "tunnel"))

    @claim(
        "A proxy limits the ports that CONNECT may reach: 403, and no connection to others.",
        source="RFC 9110 §9.3.6, §15.5.4",
    )
    def connect_is_limited(self, tables: Tables) -> Verdict:
        """A tunnel to a mail server's port."""
        got = responses(tables, "tunnel-refused", "h3", PROXY)
        asked = requests(tables, "tunnel-refused", "h3", PROXY)
        tried = opened(tables, "tunnel-refused", "h4", PROXY)
        return all_of(
            same(targets(asked), [f"{at(tables, 'h4')}:{FORBIDDEN}"], "CONNECT"),
            same(codes(got), [403], "status"),
            same(len(tried), 0, "SYNs to the server"),
        ).because("messages", shown(tables, "tunnel-refused"))

    @claim(
        "A client takes a reverse proxy for the server: it asks for the path and sees no packet "
        "of the server behind. That one sees the proxy's address alone, and the client's in "
        "X-Forwarded-For.",
        source="RFC 9110 §3.7; RFC 7239 §1",
    )
    def reverse_proxies_hide_both_sides(self, tables: Tables) -> Verdict:
        """Addresses at the client and at the server."""
        got = responses(tables, "reversed", "h3", CLIENT)
        asked = requests(tables, "reversed", "h3", CLIENT)
        passed = requests(tables, "reversed", "h4", SERVER)
        client, proxy = at(tables, "h1"), at(tables, "h3")
        hosts = [http.header(row, "Host") for row in asked]
        came_from = [http.header(row, "X-Forwarded-For") for row in passed]
        return all_of(
            same(hosts, [NAME], "host asked for"),
            same(targets(asked), [NEW], "target"),
            same([text(row) for row in got], [_PAGE], "client got"),
            same(_peers(tables, CLIENT, client), {proxy}, "the client talks to"),
            same(_peers(tables, SERVER, at(tables, "h4")), {proxy}, "the server talks to"),
            same(came_from, [client], "X-Forwarded-For"),
        ).because("messages", shown(tables, "reversed"))

    @claim(
        "Anybody may write X-Forwarded-For: the proxy appends what it saw itself. A server that "
        "believes its own proxy's entry alone is not deceived, neither through the proxy nor "
        "directly.",
        source="RFC 7239 §5.2, §8.1",
    )
    def own_proxies_are_trusted_alone(self, tables: Tables) -> Verdict:
        """A page for h1; h2 writes h1's address into its request."""
        member, attacker = at(tables, "h1"), at(tables, "h2")
        steps = ("member", "other", "forged")
        got = {step: codes(responses(tables, step, "h3", PROXY)) for step in steps}
        direct = codes(responses(tables, "forged-direct", "h4", SERVER))
        return all_of(
            same(got, {"member": [200], "other": [403], "forged": [403]}, "through the proxy"),
            same(_chain(tables, "forged", "h3", PROXY), [member], "h2 sends"),
            same(_chain(tables, "forged", "h4", PROXY), [f"{member}, {attacker}"], "arrives"),
            same(_chain(tables, "forged-direct", "h4", SERVER), [member], "h2 sends directly"),
            same(direct, [403], "directly"),
        ).because("messages", shown(tables, *steps, "forged-direct", capture=SERVER))

    @claim(
        "A server that believes the first entry of X-Forwarded-For lets the forger in.",
        source="RFC 7239 §8.1",
    )
    def first_entries_deceive(self, tables: Tables) -> Verdict:
        """The same page on a server that believes everybody."""
        steps = ("careless-other", "careless-forged")
        got = {step: codes(responses(tables, step, "h3", PROXY)) for step in steps}
        sent = {step: requests(tables, step, "h3", PROXY) for step in steps}
        forger = [str(row["ip_src"]) for step in steps for row in sent[step]]
        return all_of(
            same(forger, [at(tables, "h2")] * 2, "asked by"),
            same(got, {"careless-other": [403], "careless-forged": [200]}, "client got"),
        ).because("messages", shown(tables, *steps))


def _said(rows: list[dict[object, object]]) -> list[tuple[object, ...]]:
    """First line, headers and body of messages, to compare."""
    first = ("method", "target", "status", "reason")
    lines = [tuple(str(row[name]) for name in first) for row in rows]
    pairs = zip(lines, rows, strict=True)
    return [(*line, str(row["headers"]), str(row["body"])) for line, row in pairs]


def _chain(tables: Tables, step: str, to: str, capture: str) -> list[str]:
    return [http.header(row, "X-Forwarded-For") for row in requests(tables, step, to, capture)]


def _peers(tables: Tables, capture: str, own: str) -> set[str]:
    """Who exchanged TCP segments with a host in the step of the reverse proxy."""
    found = pick(tables, "reversed", capture)
    found = found[found["tcp_dport"].notna()]
    return {str(ip) for column in ("ip_src", "ip_dst") for ip in found[column]} - {own}
