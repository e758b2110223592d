"""The way from the typed address to the page: the order of its steps, and what each takes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from testbed import (
    Experiment,
    Tables,
    Verdict,
    address,
    all_of,
    at_most,
    claim,
    first,
    holds,
    mac,
    near,
    same,
)
from topologies.website import DELAYS_MS

from .visits import (
    CACHES,
    CLIENT,
    RESOLVER,
    asked_servers,
    document,
    handshake_ms,
    known,
    look_up_ms,
    ms,
    node_at,
    of_connection,
    opened,
    packets,
    port,
    requests,
    turn_ms,
    turns_s,
    undisturbed,
    visit,
)

_TALK_MS = 2.0
"""How long Chromium's processes talk to each other about one step."""

_STEP_BYTES = 4000
"""What one step may send and receive, such as both flights of a TLS handshake."""


class Journey(Experiment):
    """The way from the typed address to the page."""

    params: Any

    @property
    def site_rtt_ms(self) -> float:
        """A round trip to the site."""
        return 2 * float(self.params.site_ms)

    @property
    def walk_ms(self) -> float:
        """Round trips to the root, the top-level domain and the zone's server."""
        return 2 * sum(DELAYS_MS[node] for node in ("n1", "n2", "n3"))

    @property
    def slack_ms(self) -> float:
        """What one step may take besides its round trip: its bytes on the link, and talk."""
        return _TALK_MS + _STEP_BYTES * 8 / (1e3 * float(self.params.rate_mbps))

    @claim(
        "A typed address becomes a page in this order: name, TCP, request, redirection to HTTPS, "
        "TCP, TLS, request, response, then the files that the page names; paint comes after the "
        "style sheet.",
        source="RFC 9110 §4.3, §15.4.2; RFC 8446 §2; HTML §13.2, §8.1.7",
        scenarios=[CACHES],
    )
    def steps_come_in_order(self, tables: Tables) -> Verdict:
        """The visit with nothing remembered, by packets and by the browser."""
        moments = self._moments(tables)
        order = sorted(moments, key=lambda name: moments[name])
        return all_of(
            same(order, list(moments), "order"),
            holds(
                len(moments) == len(_STEPS),
                observed=f"{len(moments)} steps",
                expected=f"{len(_STEPS)} steps",
            ),
        ).because("packets", packets(tables, "typed").head(40))

    def _moments(self, tables: Tables) -> dict[str, float]:
        """Step → when it began, in s; in the order in which they should."""
        seen = packets(tables, "typed")
        shown, page = visit(tables, "typed"), document(tables, "typed")
        began_s = int(shown["began_ns"]) / 1e9
        found = requests(tables, "typed")
        files = found[found["type"] != "Document"]
        styles = found[found["type"] == "Stylesheet"].dropna(subset="ended_ns")
        syns = opened(tables, "typed")
        secure = turns_s(tables, "typed", port(page))
        plain = seen[(seen["tcp_dport"] == 80) & (seen["tcp_payload_bytes"] > 0)]
        moved = seen[(seen["tcp_sport"] == 80) & (seen["tcp_payload_bytes"] > 0)]
        moments = {
            "name": _first_s(seen[seen["udp_dport"] == 53]),
            "TCP": _first_s(syns[syns["tcp_dport"] == 80]),
            "request": _first_s(plain),
            "redirection": _first_s(moved),
            "TCP for HTTPS": _first_s(syns[syns["tcp_dport"] == 443]),
            "TLS": secure[0] if secure else None,
            "request in TLS": secure[2] if len(secure) > 2 else None,
            "response": secure[3] if len(secure) > 3 else None,
            "files": None if files.empty else int(files["began_ns"].min()) / 1e9,
            "style sheet": None if styles.empty else int(styles["ended_ns"].max()) / 1e9,
            "paint": _later_s(began_s, ms(shown, "first_paint")),
        }
        return {name: time_s for name, time_s in moments.items() if time_s is not None}

    @claim(
        "The resolver walks from the root by the top-level domain to the zone's own server.",
        source="RFC 1034 §5.3.3",
        scenarios=[CACHES],
    )
    def resolver_walks_from_the_root(self, tables: Tables) -> Verdict:
        """The first visit, at the resolver."""
        asked = asked_servers(tables, "typed")
        way = list(dict.fromkeys(node_at(tables, str(ip)) for ip in asked["ip_dst"]))
        return same(way, ["n1", "n2", "n3"], "asked").because("queries", asked)

    @claim(
        "Each step takes its round trips: the name one to each server of the walk, TCP one, TLS "
        "1.3 one, a request one. Packets and browser say the same.",
        source="RFC 1034 §5.3.3; RFC 9293 §3.5; RFC 8446 §2; RFC 9110 §3.4; W3C Resource Timing §4",
        scenarios=[CACHES],
        bears_stall_s=0.0005,
    )
    def each_step_takes_its_round_trips(self, tables: Tables) -> Verdict:
        """The first visit: what was measured twice, against the links' delays."""
        typed = first(requests(tables, "typed"), "request of the first visit")
        page = document(tables, "typed")
        plain, secure = port(typed), port(page)
        turns, told = turns_s(tables, "typed", secure), turns_s(tables, "typed", plain)
        rtt_ms = self.site_rtt_ms
        rows = {
            "name": (look_up_ms(tables, "typed"), ms(typed, "dns"), self.walk_ms),
            "TCP": (handshake_ms(tables, "typed", plain), ms(typed, "connect"), rtt_ms),
            "redirection": (turn_ms(told, 0), ms(typed, "wait"), rtt_ms),
            "TCP for HTTPS": (handshake_ms(tables, "typed", secure), ms(page, "connect"), rtt_ms),
            "TLS": (turn_ms(turns, 0), ms(page, "tls"), rtt_ms),
            "page": (turn_ms(turns, 2), ms(page, "wait"), rtt_ms),
        }
        return all_of(
            *(
                near(value, expected, abs=self.slack_ms, unit="ms", what=f"{step} by {who}")
                for step, (by_packets, by_browser, expected) in rows.items()
                for who, value in (("packets", by_packets), ("browser", by_browser))
            )
        ).because("page's connection", of_connection(packets(tables, "typed"), secure))

    @claim(
        "The page is there after the sum of the steps on its critical path: name, redirection, "
        "handshakes, page, and the files that it names.",
        source="RFC 9110 §3.4; RFC 8446 §2; HTML §13.2.7",
        scenarios=[CACHES],
        bears_stall_s=0.002,
    )
    def page_takes_the_sum_of_its_steps(self, tables: Tables) -> Verdict:
        """Six round trips to the site: TCP twice, redirection, TLS, page, files; and the walk."""
        undisturbed(tables, "typed", scenario=CACHES)
        expected_ms = self.walk_ms + TRIPS * self.site_rtt_ms
        took_ms = ms(visit(tables, "typed"), "loaded")
        return near(took_ms, expected_ms, abs=TRIPS * self.slack_ms, unit="ms").because(
            "first packets", packets(tables, "typed").head(40)
        )

    @claim(
        "No packet but the page's leaves the browser's host: look-ups of its names, and "
        "connections to its servers.",
        source="RFC 9110 §4.3",
        scenarios=[CACHES],
    )
    def nothing_else_leaves_the_host(self, tables: Tables) -> Verdict:
        """All frames that h1 sent since before the browser started, in all scenarios."""
        verdicts = []
        for scenario in tables["visits"]["scenario"].unique():
            wanted = tables.of("requests", scenario=scenario)
            mine = _sent_by_programs(tables, scenario)
            servers = set(zip(wanted["address"], wanted["port"], strict=True))
            resolver = {(address(tables, RESOLVER, scenario=scenario), 53)}
            strange = mine[~_goes_to(mine, "tcp", servers) & ~_goes_to(mine, "udp", resolver)]
            asked = tables.of("dns", scenario=scenario, capture=CLIENT)
            asked = asked[~asked["response"].astype(bool)]
            names = set(asked["question"].str.lower()) - set(wanted["host"])
            verdict = all_of(
                at_most(len(strange), 0, unit="packets to others"),
                same(names, set(), "other names asked for"),
            )
            shown = mine.head(12) if strange.empty else strange
            verdicts.append(verdict.because("packets of h1", shown))
        return all_of(*verdicts)


_STEPS = range(11)
TRIPS = 6
"""Round trips to the site: TCP, redirection, TCP, TLS, page, files."""


_ICMPV6 = 58
_KERNELS_ICMPV6 = (131, 132, 133, 135, 136, 143)
"""Multicast listener reports, router solicitations, neighbour discovery (RFC 3810, RFC 4861)."""


def _sent_by_programs(tables: Tables, scenario: str) -> pd.DataFrame:
    """h1's frames of any protocol, without what its kernel needs to speak to a neighbour at all.

    Raises:
        MissingDataError: there are none.
    """
    mine = tables.of(
        "packets", scenario=scenario, capture=CLIENT, eth_src=mac(tables, CLIENT, scenario=scenario)
    )
    kernels = mine["icmp_type"].isin(_KERNELS_ICMPV6) & (mine["ip_proto"] == _ICMPV6)
    found = mine[~(mine["arp_op"].notna() | kernels.fillna(False))]
    known(float(len(found)) or None, f"packets of h1 in '{scenario}'")
    return found


def _goes_to(rows: pd.DataFrame, protocol: str, ends: set[tuple[Any, Any]]) -> pd.Series[bool]:
    """Which packets go to one of some ends, each an address and a port."""
    pairs = list(zip(rows["ip_dst"], rows[f"{protocol}_dport"], strict=True))
    return pd.Series([pair in ends for pair in pairs], rows.index, dtype=bool)


def _first_s(rows: pd.DataFrame) -> float | None:
    return None if rows.empty else float(rows["time_s"].iloc[0])


def _later_s(began_s: float, after_ms: float | None) -> float | None:
    return None if after_ms is None else began_s + after_ms / 1e3
