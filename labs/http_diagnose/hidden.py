"""The checks that students do not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.dissect import http
from labs.http_diagnose.lab import CLIENT, PARTS, PATHS, SERVER, Lab
from testbed import MissingDataError, Tables, Verdict, claim, holds, share_of, shown


@dataclass(frozen=True)
class Fault:
    """One header that is wrong.

    Attributes:
        header: its name.
        value: what is wrong in it, as sent.
        sender: the node that sends it so.
        path: of the request that it belongs to.
    """

    header: str
    value: str
    sender: str
    path: str


class Hidden(Lab):
    """With the checks of the answers."""

    @property
    def faults(self) -> dict[str, Fault]:
        """What is wrong, by subject."""
        p = self.params
        cache = Fault("Cache-Control", p.news_rule, "h2", "/news")
        if p.basket_rule != "private":
            cache = Fault("Cache-Control", p.basket_rule, "h2", "/basket")
        elif p.news_varies != "Accept-Language":
            cache = Fault("Vary", p.news_varies, "h2", "/news")
        proxy = Fault("Location", f"http://{p.links_to}/new", "r1", "/old")
        if p.host_sent != "$host":
            proxy = Fault("Host", p.host_sent, "r1", "/old")
        elif p.client_sent != "$remote_addr":
            proxy = Fault("X-Forwarded-For", p.client_sent, "r1", "/who")
        cookie = Fault("Set-Cookie", p.cookie_attribute, "h2", "/login")
        return {"cookie": cookie, "cache": cache, "proxy": proxy}

    def request_number(self, path: str, capture: str) -> int:
        """The first request for a path, counted from 1 in a capture, as the cache lets them by."""
        p = self.params
        hits = {
            "bob": p.basket_rule != "private",
            "english": p.news_varies != "Accept-Language",
            "german-again": p.news_rule != "no-store",
        }
        seen = [step for step in PATHS if capture == CLIENT or not hits.get(step)]
        return 1 + [PATHS[step] for step in seen].index(path)

    def capture_of(self, fault: Fault) -> str:
        """Where a fault shows: what the proxy says to the server, behind it."""
        return SERVER if fault.header in ("Host", "X-Forwarded-For") else CLIENT

    @claim(
        "The cookie that does not come back: its header, its wrong part, and where it is.",
        source="RFC 6265 §4.1.2, §5.3–5.4",
    )
    def cookie(self, tables: Tables) -> Verdict:
        """Set-Cookie after the login."""
        return self._diagnosis(tables, "cookie")

    @claim(
        "The wrong instruction to the cache: the header, its value, and where it is.",
        source="RFC 9111 §3, §4.1, §5.2.2",
    )
    def cache(self, tables: Tables) -> Verdict:
        """Cache-Control or Vary."""
        return self._diagnosis(tables, "cache")

    @claim(
        "The wrong value from the proxy: the header, its value, and where it is.",
        source="RFC 9110 §7.2, §10.2.2; RFC 7239 §5.2",
    )
    def proxy(self, tables: Tables) -> Verdict:
        """Host, X-Forwarded-For or Location."""
        return self._diagnosis(tables, "proxy")

    def _diagnosis(self, tables: Tables, subject: str) -> Verdict:
        """Header, value, sender and place, a share each."""
        fault = self.faults[subject]
        proof = self._proof(tables, fault)
        if not proof:
            raise MissingDataError(f"no packet of the run has the wrong {fault.header}")
        places = {_place(tables, row) for row in proof}
        whole = {_plain(value) for row in proof for value in http.header_values(row, fault.header)}
        given = {name: self.answers.get(f"{subject}.{name}") for name in PARTS}
        value = _plain(given["value"])
        first = min(places)
        accepted = {(_plain(capture), _plain(request)) for capture, request in places}
        cases = [
            _case(
                _plain(given["header"]).rstrip(":") == fault.header.lower(),
                given,
                "header",
                fault.header,
            ),
            _case(value == _plain(fault.value) or value in whole, given, "value", fault.value),
            _case(_plain(given["sender"]) == fault.sender, given, "sender", fault.sender),
            holds(
                (_plain(given["capture"]), _plain(given["request"])) in accepted,
                observed=f"request {shown(given['request'])} of {shown(given['capture'])}",
                expected=f"request {first[1]} of {first[0]}, or another one with it",
            ),
        ]
        return share_of(cases).because("messages with it", pd.DataFrame(proof)[_SHOWN])

    def _proof(self, tables: Tables, fault: Fault) -> list[dict[Any, Any]]:
        """The messages with the wrong header where its sender sent it."""
        answers = fault.header in ("Set-Cookie", "Cache-Control", "Vary", "Location")
        captures = {"h2": [CLIENT, SERVER], "r1": [CLIENT if answers else SERVER]}[fault.sender]
        rows = tables.of("http", kind="response" if answers else "request")
        found = []
        for row in rows[rows["capture"].isin(captures)].to_dict("records"):
            if any(_has(value, fault) for value in http.header_values(row, fault.header)):
                found.append(row)
        return found


_SHOWN = ["scenario", "capture", "frame"]


def _case(right: bool, given: dict[str, Any], name: str, expected: str) -> Verdict:
    said = f"{name}: {shown(given[name])}"
    return holds(right, observed=said, expected=f"{name}: {expected}")


def _place(tables: Tables, row: dict[Any, Any]) -> tuple[str, int]:
    """A message's capture, and the number of its request there, from 1."""
    requests = tables.of("http", kind="request", capture=row["capture"]).sort_values("frame")
    frame = row["frame"] if row["kind"] == "request" else row["request_frame"]
    return str(row["capture"]), 1 + requests["frame"].tolist().index(int(frame))


def _has(value: str, fault: Fault) -> bool:
    """The wrong value, or a cookie with the wrong attribute."""
    parts = [part.strip() for part in value.split(";")] if fault.header == "Set-Cookie" else [value]
    return fault.value in parts


def _plain(value: Any) -> str:
    return " ".join(shown(value).split()).casefold()
