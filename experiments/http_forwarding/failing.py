"""Servers that fail behind a proxy: 502 and 504 by their causes."""

from __future__ import annotations

from typing import Any

from testbed import Experiment, MissingDataError, Tables, Verdict, all_of, claim, near, pick, same

from .exchanges import (
    FIN,
    PROXY,
    RST,
    RST_ACK,
    SYN_ACK,
    at,
    codes,
    opened,
    requests,
    responses,
    shown,
)
from .servers import EARLY, LOST, REFUSED, TIMEOUT_S


class Failing(Experiment):
    """Servers that fail behind a proxy: 502 and 504 by their causes."""

    @claim(
        "502: the server behind the proxy refuses the connection, or ends it without a response.",
        source="RFC 9110 §15.6.3; RFC 9293 §3.10.7.1",
    )
    def broken_servers_give_502(self, tables: Tables) -> Verdict:
        """A port that nobody listens at, and a program that ends at once."""
        got = {step: _outcome(tables, step) for step in ("refused", "early")}
        refused = pick(tables, "refused", PROXY, **_from(tables, REFUSED), tcp_flags=RST_ACK)
        began = pick(tables, "early", PROXY, **_from(tables, EARLY), tcp_flags=SYN_ACK)
        late = pick(tables, "early", PROXY, **_from(tables, EARLY))
        ended = [int(flags) & (FIN | RST) for flags in late["tcp_flags"]]
        return all_of(
            same(got, {"refused": ([502], 0, 0), "early": ([502], 1, 0)}, _COUNTS),
            same(len(refused), 1, "connections refused"),
            same(len(began), 1, "connections accepted"),
            same(any(ended), True, "which the server ended"),
        ).because("messages", shown(tables, "refused", "early"))

    @claim(
        "504: the server behind the proxy is silent for as long as the proxy waits, after the "
        "request or already before the connection.",
        source="RFC 9110 §15.6.5",
    )
    def silent_servers_give_504(self, tables: Tables) -> Verdict:
        """A page that takes long, and a host that drops all packets."""
        got = {step: _outcome(tables, step) for step in ("slow", "lost")}
        answered = pick(tables, "lost", PROXY, **_from(tables, LOST))
        return all_of(
            same(got, {"slow": ([504], 1, 0), "lost": ([504], 0, 0)}, _COUNTS),
            same(len(answered), 0, "segments of the lost server"),
            _waited(tables, "slow", "request", "proxy waited for a response"),
            _waited(tables, "lost", "syn", "for a connection"),
        ).because("messages", shown(tables, "slow", "lost"))


_COUNTS = "status, requests to the server, its responses before"


def _outcome(tables: Tables, step: str) -> tuple[list[int], int, int]:
    """What the client got, and how many requests and responses passed behind until then."""
    got = responses(tables, step, "h3", PROXY)
    asked = requests(tables, step, "h4", PROXY)
    answers = responses(tables, step, "h4", PROXY) if asked else []
    ended_s = got[-1]["time_s"] if got else float("inf")
    return codes(got), len(asked), sum(row["time_s"] < ended_s for row in answers)


def _from(tables: Tables, port: int) -> dict[str, Any]:
    return {"ip_src": at(tables, "h4"), "tcp_sport": port}


def _waited(tables: Tables, step: str, since: str, what: str) -> Verdict:
    """From the proxy's first request (or SYN) to the server until the client's response."""
    if since == "syn":
        begun = list(opened(tables, step, "h4", PROXY)["time_s"])
    else:
        begun = [row["time_s"] for row in requests(tables, step, "h4", PROXY)]
    ended = [row["time_s"] for row in responses(tables, step, "h3", PROXY)]
    if not begun or not ended:
        raise MissingDataError(f"step '{step}': the proxy asked nobody, or gave no response")
    took_s = float(ended[-1] - begun[0])
    return near(took_s, TIMEOUT_S, abs=_TOLERANCE_S, unit="s", what=what)


_TOLERANCE_S = 0.1
"""nginx counts from the moment at which its event loop last woke, and in whole milliseconds."""
