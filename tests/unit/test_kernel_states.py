"""TCP states from kernel events and lists of sockets, on rows made by hand."""

from __future__ import annotations

import pandas as pd

from analysis import kernel_states
from analysis.tcp.states import TRANSITIONS
from testbed.net.sock_diag import _ANSWER, _entry

OWNER = {"10.0.0.1": "h1", "10.0.0.2": "h2"}
H1 = ("h1", 40_000, 80)


def _changes(*rows: tuple[float, str, str, int, int, str]) -> pd.DataFrame:
    events = pd.DataFrame(
        [
            {
                "time_s": time_s,
                "oldstate": before,
                "newstate": after,
                "sport": port,
                "dport": peer_port,
                "saddr": address,
                "protocol": 6,
            }
            for time_s, before, after, port, peer_port, address in rows
        ]
    )
    return kernel_states.transitions(events, OWNER)


def _lists(*rows: tuple[float, str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"time_s": t, "node": node, "state": state, "port": H1[1], "remote_port": H1[2]}
            for t, node, state in rows
        ]
    )


CLOSES = (
    (1.0, "ESTABLISHED", "FIN_WAIT1", 40_000, 80, "10.0.0.1"),
    (1.1, "FIN_WAIT1", "FIN_WAIT2", 40_000, 80, "10.0.0.1"),
    (1.2, "FIN_WAIT2", "CLOSE", 40_000, 80, "10.0.0.1"),
)


def test_events_get_the_standards_names() -> None:
    changes = _changes((0.0, "CLOSE", "SYN_SENT", 40_000, 80, "10.0.0.1"), *CLOSES)
    assert list(changes["after"]) == ["SYN-SENT", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSED"]
    assert set(changes["node"]) == {"h1"}


def test_time_wait_comes_from_the_lists() -> None:
    lists = _lists((1.3, "h1", "TIME-WAIT"), (61.5, "h1", "none"))
    changes = kernel_states.with_records(_changes(*CLOSES), lists)
    assert list(changes["after"])[-2:] == ["TIME-WAIT", "CLOSED"]
    assert list(changes["time_s"])[-2:] == [1.2, 61.5]
    assert set(zip(changes["before"], changes["after"], strict=True)) <= set(kernel_states.ARROWS)


def test_time_wait_that_lasts_to_the_end_has_no_end() -> None:
    changes = kernel_states.with_records(_changes(*CLOSES), _lists((1.3, "h1", "TIME-WAIT")))
    assert list(changes["after"]) == ["FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"]


def test_half_open_connections_come_from_the_lists() -> None:
    lists = _lists((1.3, "h2", "SYN-RECEIVED"), (64.0, "h2", "none"))
    changes = kernel_states.with_records(_changes(*CLOSES), lists)
    half = changes[changes["node"] == "h2"]
    assert list(zip(half["before"], half["after"], half["source"], strict=True)) == [
        ("LISTEN", "SYN-RECEIVED", "list")
    ]


def test_a_path_names_what_makes_each_change() -> None:
    path = kernel_states.path(_changes(*CLOSES), [H1])
    assert list(path["event"]) == ["send FIN", "receive ACK of FIN", "reset"]
    assert list(path["side"]) == [0, 0, 0]


def test_there_are_eleven_states() -> None:
    known = {state for (before, _), after in TRANSITIONS.items() for state in (before, after)}
    assert set(kernel_states.ALL) == known
    assert len(kernel_states.ALL) == 11


def test_an_entry_of_the_kernels_list() -> None:
    body = _ANSWER.pack(
        2,
        6,
        3,
        1,
        b"\x9c\x40",
        b"\x00\x50",
        bytes([10, 0, 0, 1]),
        bytes([10, 0, 0, 2]),
        0,
        b"",
        59_000,
        7,
        8,
        0,
        0,
    )
    entry = _entry(body)
    assert kernel_states.NAMES[entry.state] == "TIME-WAIT"
    assert (entry.local, entry.port) == ("10.0.0.1", 40_000)
    assert (entry.remote, entry.remote_port, entry.expires_ms) == ("10.0.0.2", 80, 59_000)
