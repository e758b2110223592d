"""What it costs a server to remember its users."""

from __future__ import annotations

import itertools
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    in_order,
    near,
    same,
    sockets,
    wait,
)

from .requests import LOGIN, outcome, shown

if TYPE_CHECKING:
    from testbed import Action, Process, RunningNetwork

USERS, BASKET_BYTES = 50, 40_000
"""Who log in, one after another, and what the server remembers with each session."""

SHARE = 0.25
"""By which batches may differ: some baskets fit where the server has freed something before."""

LEAST_BYTES = (1 - SHARE) * USERS * BASKET_BYTES
"""For a batch of sessions."""

MEMORY = "memory"
"""Log of what the server takes; not an event, since a page more or less is no difference."""


class Remembering(Experiment):
    """What it costs a server to remember its users."""

    @claim(
        "Sessions take memory on the server: twice as many take twice as much. Those that have "
        "expired make room for new ones.",
        source="RFC 6265 §8.4; RFC 9110 §3.3",
    )
    def sessions_take_memory(self, tables: Tables) -> Verdict:
        """The server's own pages, and how many sessions it knows, after each batch of logins."""
        steps = ("nobody", "sessions", "more-sessions", "sessions-over", "new-sessions")
        nobody, some, more, over, new = (_memory_bytes(tables, step) for step in steps)
        known = [outcome(tables, step)[1] for step in steps]
        first, second = some - nobody, more - some
        return (
            all_of(
                same(known, [str(n) for n in (0, USERS, 2 * USERS, 0, USERS)], "sessions"),
                at_least(first, LEAST_BYTES, unit="bytes for the first"),
                near(
                    second / first if first else None, 1, abs=SHARE, unit="of that for as many more"
                ),
                at_most(new - over, first / 2, unit="bytes more for new ones"),
            )
            .because("counts", shown(tables, *steps))
            .because("memory", tables.of("memory"))
        )

    @claim(
        "Tokens take no memory on the server, however many are valid.",
        source="RFC 7519 §1; RFC 9110 §3.3",
    )
    def tokens_take_no_memory(self, tables: Tables) -> Verdict:
        """As many tokens as sessions in a batch, and the last one of them in use."""
        steps = ("nobody", "sessions", "more-sessions", "many-tokens")
        nobody, some, more, tokens = (_memory_bytes(tables, step) for step in steps)
        return all_of(
            at_least(some - nobody, LEAST_BYTES, unit="bytes for sessions"),
            at_most(tokens - more, SHARE * (some - nobody), unit="bytes for tokens"),
        ).because("memory", tables.of("memory"))


def _memory_bytes(tables: Tables, step: str) -> int:
    """What the server took at the end of a step.

    Raises:
        MissingDataError: nobody read it.
    """
    memory = tables.of("memory").reindex(columns=["step", "own_bytes"])
    found = memory.loc[memory["step"] == step, "own_bytes"].dropna()
    if found.empty:
        raise MissingDataError(f"step '{step}': the server's memory was not read")
    return int(found.iloc[-1])


def steps_of(server: Process, lasts_s: float) -> dict[str, Action]:
    """Logins in batches, all of one on one connection and at once, and what the server takes then.

    Args:
        server: its process.
        lasts_s: a session's time.
    """

    ports = itertools.count(40_001)

    def batch(path: str, users: int) -> Action:
        asked = _request("POST", path, LOGIN) * users + _request("GET", "/sessions", close=True)

        def act(net: RunningNetwork) -> None:
            sock = sockets.tcp(net, "h1", next(ports)).connect(net.address("h2"), 8000)
            sock.send(asked)
            sock.receive_all()
            sock.close()
            _note(net, server)

        return act

    warm_up = in_order(batch("/login", 1), batch("/token", 1))  # for what is loaded at first use
    return {
        "warm-up": warm_up,
        "nobody": wait(lasts_s, batch("/login", 0)),
        "sessions": batch("/login", USERS),
        "more-sessions": batch("/login", USERS),
        "many-tokens": batch("/token", USERS),
        "sessions-over": wait(lasts_s, batch("/login", 0)),
        "new-sessions": batch("/login", USERS),
    }


def _request(method: str, path: str, body: str = "", *, close: bool = False) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: www.example.org"]
    lines += ["Connection: close"] * close
    if body:
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body]).encode()


def _note(net: RunningNetwork, server: Process) -> None:
    """The pages that the server has for itself, in bytes."""
    text = Path(f"/proc/{server.popen.pid}/smaps_rollup").read_text()
    own = re.search(r"^Anonymous:\s+(\d+) kB", text, re.M)
    row = {"time_ns": time.time_ns(), "own_bytes": 1024 * int(own[1]) if own else 0}
    with (net.path / "logs" / f"{MEMORY}.log").open("a") as log:
        log.write(json.dumps(row) + "\n")
