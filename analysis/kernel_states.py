"""The states of TCP's ends as their kernels report them, by the names of RFC 9293 §3.3.2.

Changes come from kernel events (``inet_sock_set_state``). Two states are small records without
events, TIME-WAIT and a half-open SYN-RECEIVED: those come from lists of sockets (sock_diag).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.ftrace import TCP_STATES
from analysis.tcp.states import TRANSITIONS

NAMES = (
    "none",
    "ESTABLISHED",
    "SYN-SENT",
    "SYN-RECEIVED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "TIME-WAIT",
    "CLOSED",
    "CLOSE-WAIT",
    "LAST-ACK",
    "LISTEN",
    "CLOSING",
    "SYN-RECEIVED",
)
"""By the kernel's number (include/net/tcp_states.h); the last is a half-open connection."""

ALL = tuple(dict.fromkeys(NAMES[1:]))
"""The eleven states."""

_TCP = 6
_COLUMNS = ["time_s", "node", "port", "peer_port", "before", "after", "source"]
_END = ["node", "port", "peer_port"]

ARROWS = (
    *((before, after) for (before, _), after in TRANSITIONS.items()),
    ("CLOSED", "LISTEN"),
    ("LISTEN", "CLOSED"),
    ("SYN-SENT", "CLOSED"),
    ("TIME-WAIT", "CLOSED"),
)
"""(before, after) in RFC 9293's figure 5; resets and timeouts lead to CLOSED from anywhere."""


def transitions(events: pd.DataFrame, owner: Mapping[str, str]) -> pd.DataFrame:
    """Changes of state by kernel events.

    Args:
        events: of ``inet_sock_set_state``, as `analysis.ftrace.read` gives them, with ``time_s``.
        owner: address → node.

    Returns:
        ``time_s``, ``node``, ``port``, ``peer_port`` (0: of a listener), ``before``, ``after``,
        ``source`` ("event").
    """
    names = events[["oldstate", "newstate"]].astype(str)
    events = events[(events["protocol"] == _TCP) & (names["oldstate"] != names["newstate"])]
    before, after = (
        [NAMES[TCP_STATES.index(name)] for name in events[column]]
        for column in ("oldstate", "newstate")
    )
    return pd.DataFrame(
        {
            "time_s": events["time_s"].to_numpy(),
            "node": [owner.get(str(address), str(address)) for address in events["saddr"]],
            "port": events["sport"].astype(int).to_numpy(),
            "peer_port": events["dport"].astype(int).to_numpy(),
            "before": before,
            "after": after,
            "source": "event",
        },
        columns=_COLUMNS,
    )


def with_records(changes: pd.DataFrame, observed: pd.DataFrame) -> pd.DataFrame:
    """Adds TIME-WAIT and half-open connections from lists of sockets.

    Where an end's socket closes and the next list has the end in TIME-WAIT, the socket went there;
    it is closed when a later list has it no more.

    Args:
        changes: of `transitions`.
        observed: one row per socket and list: ``time_s``, ``node``, ``state``, ``port``,
            ``remote_port``; a list without sockets has one row with the state "none".

    Returns:
        like `changes`, in order of time, with ``source`` "list" for what the lists add.
    """
    changes = changes.copy()
    rows: list[dict[str, object]] = []
    for state, start in (("TIME-WAIT", "CLOSED"), ("SYN-RECEIVED", "LISTEN")):
        for end, first_s, gone_s in _stays(observed, state):
            node, port, peer_port = end
            mine = (changes["node"] == node) & (changes["port"] == port)
            mine &= (changes["peer_port"] == peer_port) & (changes["time_s"] <= first_s)
            row = dict(zip(_END, end, strict=True)) | {"source": "list"}
            if state == "TIME-WAIT":
                closed = changes[mine & (changes["after"] == "CLOSED")]
                if closed.empty:
                    continue
                changes.loc[closed.index[-1], "after"] = state
            elif not changes[mine].empty:
                continue  # a whole socket: it has events
            else:
                rows.append({**row, "time_s": first_s, "before": start, "after": state})
            if gone_s is not None and state == "TIME-WAIT":
                rows.append({**row, "time_s": gone_s, "before": state, "after": "CLOSED"})
    return (
        pd.concat([changes, pd.DataFrame(rows, columns=_COLUMNS)])
        .sort_values("time_s", kind="stable")
        .reset_index(drop=True)
    )


def path(changes: pd.DataFrame, ends: Sequence[tuple[str, int, int]]) -> pd.DataFrame:
    """The way of two ends through the states, as `analysis.plots.captures.states` draws it.

    Args:
        changes: of `transitions` or `with_records`.
        ends: node, port, peer's port; a listener's own changes count where its child's begin.

    Returns:
        ``side`` (0, 1), ``before``, ``event`` (what makes this change; "reset" for one that is
        not in the diagram), ``state``.
    """
    parts = []
    for side, (node, port, peer_port) in enumerate(ends):
        mine = (changes["node"] == node) & (changes["port"] == port)
        mine &= changes["peer_port"] == peer_port
        parts.append(changes[mine].assign(side=side))
    both = pd.concat(parts)
    arrows = zip(both["before"], both["after"], strict=True)
    both["event"] = [_EVENTS.get(arrow, "reset") for arrow in arrows]
    return both.rename(columns={"after": "state"})[["side", "before", "event", "state"]]


_EVENTS = {(before, after): event for (before, event), after in TRANSITIONS.items()} | {
    ("CLOSED", "LISTEN"): "listen",
    ("TIME-WAIT", "CLOSED"): "2 MSL later",
}


def _stays(
    observed: pd.DataFrame, state: str
) -> list[tuple[tuple[str, int, int], float, float | None]]:
    """Each end's stays in a state: the end, first seen, first not seen any more."""
    found: list[tuple[tuple[str, int, int], float, float | None]] = []
    for node, lists in observed.groupby("node", sort=False):
        there: dict[tuple[str, int, int], float] = {}
        for time_s, entries in lists.groupby("time_s"):
            now = entries[entries["state"] == state]
            ends = {
                (str(node), int(e.port), int(e.remote_port))  # type: ignore[arg-type]
                for e in now.itertuples()
            }
            for end in sorted(ends - there.keys()):
                there[end] = float(time_s)  # type: ignore[arg-type]
            for end in sorted(there.keys() - ends):
                found.append((end, there.pop(end), float(time_s)))  # type: ignore[arg-type]
        found += [(end, first_s, None) for end, first_s in there.items()]
    return found
