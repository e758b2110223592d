"""The ways of packets over links: sent at one end, received at the other, or lost between.

Where only one end was captured, the other moment follows from the link's delay, and the row says
so. A packet that came into a router or switch with captures at all of its links, and did not leave
again, stopped there: in a queue that was full, at a filter, or because its hops were used up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.viewer import consequence
from testbed.viewer.graph import FORWARDING, Graph
from testbed.viewer.sightings import directions

SEEN, ARRIVAL_GUESSED, START_GUESSED, LOST = range(4)
"""How much of a movement was captured: both ends, one end, or that it never arrived."""

GOES_ON, STOPS, EXPIRES = range(3)
"""What became of it where it arrived: nothing to be said, it did not leave again, its TTL was 1."""

_SLACK_NS = 2_000
"""Two captures of one moment may differ by this."""

_LONGEST_STAY_NS = 60_000_000_000
"""How long a router may keep a packet."""


@dataclass(frozen=True)
class Taken:
    """How packets of an interface were captured.

    Attributes:
        start_ns, end_ns: when; of a run that did not record it, always.
        filter: tcpdump expression; empty: all packets.
    """

    start_ns: int = -(1 << 62)
    end_ns: int = 1 << 62
    filter: str = ""

    def shows(self, other: Taken, times_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether this capture shows what another one does, had it passed here at these times."""
        if self.filter not in ("", other.filter):
            return np.zeros(len(times_ns), bool)
        return (times_ns >= self.start_ns) & (times_ns <= self.end_ns)


_ALWAYS = Taken()

COPIED = (
    "bytes",
    "protocol",
    "src",
    "dst",
    "sport",
    "dport",
    "flags",
    "key",
)
"""Columns of packets that movements have as well."""


def find(
    seen: Mapping[str, pd.DataFrame],
    graph: Graph,
    end_ns: int,
    taken: Mapping[str, Taken] = MappingProxyType({}),
) -> pd.DataFrame:
    """All movements of a scenario, in the order of their starts.

    Args:
        seen: interface → its packets, of `sightings.of_capture`.
        graph: the network; all interfaces are on its links.
        end_ns: when captures ended: what is still on its way then is not lost.
        taken: interface → how it was captured, where that is recorded.

    Returns:
        ``link``, ``end`` (0: sent by the link's first end), ``sent_ns``, ``took_ns``, ``out`` and
        ``into`` (packet numbers in the captures of the two ends; 0: not captured), ``status``,
        ``stop``, and `COPIED`.
    """
    known = {name: one.assign(way=directions(one, name, graph)) for name, one in seen.items()}
    _settle(known, graph)
    parts = [
        _over_link(known, graph, number, end, end_ns, taken)
        for number in range(len(graph.links))
        for end in (0, 1)
    ]
    found = _joined([part for part in parts if len(part)])
    found["stop"] = _stops(found, known, graph, taken)
    found = found.sort_values(["sent_ns", "took_ns"], kind="stable", ignore_index=True)
    order = consequence.order(found, [link.nodes for link in graph.links])
    return found.iloc[order].reset_index(drop=True)


def _settle(known: dict[str, pd.DataFrame], graph: Graph) -> None:
    """Finds the direction of packets with forged addresses by who saw them first."""
    for link in graph.links:
        there = [name for name in link.interfaces if name in known]
        if not any((known[name]["way"] == 0).any() for name in there):
            continue
        if len(there) == 2:
            one, two = (known[name].reset_index() for name in there)
            both = _nth(one[one["way"] == 0]).merge(
                _nth(two[two["way"] == 0]), on=["key", "nth"], suffixes=("", "_two")
            )
            first = (both["time_ns"] <= both["time_ns_two"]).to_numpy()
            known[there[0]].loc[both["index"], "way"] = np.where(first, 1, -1)
            known[there[1]].loc[both["index_two"], "way"] = np.where(first, -1, 1)
        for name in there:
            is_host = graph.kinds[link.nodes[link.interfaces.index(name)]] not in FORWARDING
            known[name].loc[known[name]["way"] == 0, "way"] = 1 if is_host else -1


def _nth(packets: pd.DataFrame) -> pd.DataFrame:
    """With a number among the packets of the same identity."""
    return packets.assign(nth=packets.groupby("key").cumcount())


def _over_link(
    known: Mapping[str, pd.DataFrame],
    graph: Graph,
    number: int,
    end: int,
    end_ns: int,
    taken: Mapping[str, Taken],
) -> pd.DataFrame:
    """The movements over a link in one direction."""
    link = graph.links[number]
    delay_ns = link.delays_ns[end]
    sent, received = (
        known[name][known[name]["way"] == way] if name in known else None
        for name, way in ((link.interfaces[end], 1), (link.interfaces[1 - end], -1))
    )
    if sent is None and received is None:
        return pd.DataFrame()
    if received is None:
        assert sent is not None
        found = _guessed(sent, number, end, delay_ns, ARRIVAL_GUESSED)
    elif sent is None:
        found = _guessed(received, number, end, delay_ns, START_GUESSED)
    else:
        at, to = matched(sent, received, delay_ns)
        lost = _guessed(sent.drop(sent.index[at]), number, end, delay_ns, LOST)
        due_ns = lost["sent_ns"].to_numpy(np.int64) + delay_ns
        here, there = (taken.get(link.interfaces[one], _ALWAYS) for one in (end, 1 - end))
        unknown = (due_ns + _SLACK_NS >= end_ns) | ~there.shows(here, due_ns)
        lost.loc[unknown, "status"] = ARRIVAL_GUESSED
        rest = received.drop(received.index[to])
        came = _guessed(rest, number, end, delay_ns, START_GUESSED)
        found = _joined([_both(sent.iloc[at], received.iloc[to], number, end), lost, came])
    return found


def _both(sent: pd.DataFrame, received: pd.DataFrame, link: int, end: int) -> pd.DataFrame:
    """Movements of which both ends were captured."""
    starts, arrivals = sent["time_ns"].to_numpy(), received["time_ns"].to_numpy()
    found = _rows(sent, link, end, starts, np.maximum(arrivals - starts, 0))
    return found.assign(
        out=sent["frame"].to_numpy(), into=received["frame"].to_numpy(), status=SEEN
    )


def _guessed(
    packets: pd.DataFrame, link: int, end: int, delay_ns: int, status: int
) -> pd.DataFrame:
    """Movements of which one end was captured; the other follows from the link's delay."""
    seen_ns, frames = packets["time_ns"].to_numpy(), packets["frame"].to_numpy()
    nothing = np.zeros(len(packets), np.int64)
    came = status == START_GUESSED
    starts = seen_ns - delay_ns if came else seen_ns
    found = _rows(packets, link, end, starts, np.full(len(packets), delay_ns))
    out, into = (nothing, frames) if came else (frames, nothing)
    return found.assign(out=out, into=into, status=status)


def _rows(
    packets: pd.DataFrame,
    link: int,
    end: int,
    sent_ns: NDArray[np.int64],
    took_ns: NDArray[np.int64],
) -> pd.DataFrame:
    kept = packets[[*COPIED, "ttl", "ip", "content", "datagram", "mac_dst"]].reset_index(drop=True)
    return kept.assign(link=link, end=end, sent_ns=sent_ns, took_ns=took_ns)


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Parts one behind the other; texts stay categories."""
    if not parts:
        texts = dict.fromkeys(
            ("protocol", "src", "dst", "mac_dst"), pd.CategoricalDtype(pd.Index([], dtype="str"))
        )
        numbers = ("link", "end", "sent_ns", "took_ns", "out", "into", "status", "ttl")
        kinds: dict[str, Any] = {**dict.fromkeys(COPIED, "int64"), **texts, "ip": bool}
        kinds |= dict.fromkeys(numbers, "int64") | dict.fromkeys(
            ("key", "content", "datagram"), "uint64"
        )
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    found = pd.concat(
        [part.drop(columns=["protocol", "src", "dst", "mac_dst"]) for part in parts],
        ignore_index=True,
    )
    for name in ("protocol", "src", "dst", "mac_dst"):
        found[name] = pd.api.types.union_categoricals([part[name] for part in parts])
    return found


def matched(
    sent: pd.DataFrame, received: pd.DataFrame, delay_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which sent packet each received one is: their places in the two tables.

    The n-th packet of an identity arrives as the n-th, if as many were sent as arrived; otherwise
    one that arrives is the newest that was sent early enough.

    Args:
        sent: packets of one direction, with ``key`` and ``time_ns``, in time's order.
        received: those at the other end.
        delay_ns: how long the link holds them at least.
    """
    one = _nth(sent[["key", "time_ns"]]).assign(at=np.arange(len(sent)))
    two = _nth(received[["key", "time_ns"]]).assign(to=np.arange(len(received)))
    counts = one["key"].value_counts(), two["key"].value_counts()
    as_many = counts[0].eq(counts[1].reindex(counts[0].index)).rename("whole")
    whole = one["key"].map(as_many).to_numpy(bool, na_value=False)
    also = two["key"].map(as_many).to_numpy(bool, na_value=False)
    simple = one[whole].merge(two[also], on=["key", "nth"], suffixes=("", "_in"))
    ahead = simple["time_ns_in"] + _SLACK_NS >= simple["time_ns"]
    rest = _latest(one[~whole], two[~also], delay_ns - _SLACK_NS)
    both = np.concatenate([simple.loc[ahead, ["at", "to"]].to_numpy(), rest])
    return both[:, 0], both[:, 1]


def _latest(sent: pd.DataFrame, received: pd.DataFrame, delay_ns: int) -> NDArray[np.int64]:
    """Pairs of places: what arrives is the newest that was sent early enough and is not taken."""
    waiting: dict[int, list[int]] = {}
    pairs: list[tuple[int, int]] = []
    starts = list(zip(sent["time_ns"], sent["key"], sent["at"], strict=True))[::-1]
    for time_ns, key, to in zip(received["time_ns"], received["key"], received["to"], strict=True):
        while starts and starts[-1][0] <= time_ns - delay_ns:
            _, other, at = starts.pop()
            waiting.setdefault(other, []).append(at)
        if waiting.get(key):
            pairs.append((waiting[key].pop(), to))
    return np.array(pairs, np.int64).reshape(-1, 2)


def _stops(
    found: pd.DataFrame,
    known: Mapping[str, pd.DataFrame],
    graph: Graph,
    taken: Mapping[str, Taken],
) -> NDArray[np.int64]:
    """What became of packets where they arrived."""
    stop = np.full(len(found), GOES_ON)
    macs = found["mac_dst"].astype(object)
    group = macs.str[1:2].isin(list("13579bdf")).to_numpy()  # the lowest bit of the first byte
    owner = found["dst"].astype(object).map(dict(graph.addresses))
    mac_owner = macs.map(dict(graph.macs))
    arrived_ns = (found["sent_ns"] + found["took_ns"]).to_numpy(np.int64)
    for node, interfaces in graph.interfaces_of.items():
        if graph.kinds[node] not in FORWARDING or not all(name in known for name in interfaces):
            continue
        ends = [graph.places[name] for name in interfaces]
        into = np.zeros(len(found), bool)
        captures = [taken.get(name, _ALWAYS) for name in interfaces]
        for (number, end), here in zip(ends, captures, strict=True):
            came = ((found["link"] == number) & (found["end"] == 1 - end)).to_numpy()
            into |= came & np.all([other.shows(here, arrived_ns) for other in captures], axis=0)
        into &= (found["into"] > 0).to_numpy() & ~group
        if graph.kinds[node] == "router":
            into &= found["ip"].to_numpy() & owner.notna().to_numpy() & (owner != node).to_numpy()
        else:
            into &= mac_owner.notna().to_numpy()
        places = np.flatnonzero(into)
        left = pd.concat([one[one["way"] == 1] for one in (known[name] for name in interfaces)])
        gone = places[~_leaves(found.iloc[places], left)]
        expired = (found["ttl"].to_numpy()[gone] == 1) & (graph.kinds[node] == "router")
        stop[gone] = np.where(expired, EXPIRES, STOPS)
    return stop


def _leaves(arrived: pd.DataFrame, left: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether each packet that arrived at a node was sent by it afterwards, whole or in fragments.

    A packet that leaves is one that arrived: of 100 that are the same to the byte and 3 that
    leave, 97 stopped.
    """
    came = pd.DataFrame(
        {
            "time_ns": (arrived["sent_ns"] + arrived["took_ns"]).to_numpy() - _SLACK_NS,
            "content": arrived["content"].to_numpy(),
            "datagram": arrived["datagram"].to_numpy(),
            "at": np.arange(len(arrived)),
        }
    ).sort_values("time_ns", kind="stable")
    went = left[["time_ns", "content", "datagram"]].sort_values("time_ns", kind="stable")
    went = went.assign(to=np.arange(len(went)))
    result = np.zeros(len(arrived), bool)
    for identity in ("content", "datagram"):
        one, two = (table.assign(key=table[identity]) for table in (came, went))
        at, to = _latest(one, two, 0).T
        starts, ends = (
            table.set_index(number)["time_ns"].reindex(places).to_numpy(np.int64)
            for table, number, places in ((came, "at", at), (went, "to", to))
        )
        result[at[ends - starts <= _LONGEST_STAY_NS]] = True
        came, went = came[~came["at"].isin(at)], went[~went["to"].isin(to)]
        # 0: not of IPv4, and so no router makes fragments of it
        came, went = came[came["datagram"] != 0], went[went["datagram"] != 0]
    return result
