"""What RIP's messages and tables say: who announced what where, how often, and with which metric.

Tables come from `analysis.dissect.rip` (messages, entries) with ``capture``, ``sender`` (node) and
``time_s`` in front; nothing here touches files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import pandas as pd

from analysis.dissect import rip as dissect
from analysis.routes import INFINITY, Network

PACKET_COLUMNS = (*dissect.COLUMNS, "wire_bytes")
"""What packets must have, besides ``time_s``."""

SAME_UPDATE_S = 0.2
"""A table longer than a message goes out as several, at once."""

_RIB_LINE = re.compile(
    r"^[A-Z]\([a-z]\)\s+(?P<prefix>\S+/\d+)\s+(?P<next_hop>\S+)\s+(?P<metric>\d+)\s+(?P<origin>\S+)",
    re.M,
)
_RIB_LINES_NG = re.compile(
    r"^[A-Z]\([a-z]\)\s+(?P<prefix>\S+/\d+)\s+"
    r"(?P<next_hop>\S+)\s+(?P<origin>\S+)\s+(?P<metric>\d+)",
    re.M,
)
"""ripngd breaks a route into two lines, and says the interface before the metric."""


def traffic(
    captures: Mapping[str, pd.DataFrame], net: Network
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Messages and their entries on all links.

    Args:
        captures: interface → its packets.
        net: the network.

    Returns:
        Messages as `messages`, entries as `entries`, both with ``capture`` and ``link``, the
        prefix of the link they passed on.
    """
    sent, told = [], []
    for capture, packets in captures.items():
        about = {"capture": capture, "link": net.prefix_of(capture)}
        found = messages(packets, net, about["link"])
        sent.append(found.assign(**about))
        told.append(entries(packets, found).assign(**about))
    return pd.concat(sent, ignore_index=True), pd.concat(told, ignore_index=True)


def messages(packets: pd.DataFrame, net: Network, link: str) -> pd.DataFrame:
    """RIP messages of a capture.

    Returns:
        As `dissect.read`, and ``sender`` (node), ``to_all`` (to a group or broadcast address),
        ``attached`` (the sender's address is one on this link).
    """
    found = dissect.read(packets)
    sources, targets = (found[name].astype(str) for name in ("ip_src", "ip_dst"))
    senders = {address: net.owner_of(address) for address in sources.unique()}
    found.insert(1, "sender", sources.map(senders))
    one = {address for address in targets.unique() if net.owner_of(address)}
    found["to_all"] = ~targets.isin(one)
    found["attached"] = sources.isin(net.addresses_on(link))
    return found


def first_exchanges(sent: pd.DataFrame, router: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a router says first on each link, and what is said to it after that.

    Args:
        sent: `messages`, with ``link``.
        router: the router's name.

    Returns:
        Its first messages with ``waited_s`` until the first answer (infinite: none came), and
        those answers.
    """
    own = sent[sent["sender"] == router].sort_values("time_s")
    firsts = own.groupby("link", observed=True, sort=False).head(1).copy()
    others = sent[sent["sender"] != router].sort_values("time_s")
    pairs = others.merge(firsts[["link", "time_s", "ip_src"]], on="link", suffixes=("", "_first"))
    to_it = pairs["ip_dst"].astype(str) == pairs["ip_src_first"].astype(str)
    answers = pairs[to_it & (pairs["time_s"] >= pairs["time_s_first"])]
    answers = answers.groupby("link", observed=True, sort=False).head(1)
    waited_s = dict(zip(answers["link"], answers["time_s"] - answers["time_s_first"], strict=True))
    firsts["waited_s"] = [waited_s.get(link, math.inf) for link in firsts["link"]]
    return firsts, answers[list(sent.columns)]


def entries(packets: pd.DataFrame, sent: pd.DataFrame) -> pd.DataFrame:
    """Route entries of a capture, each with what it was sent in.

    Args:
        packets: of the capture.
        sent: `messages` of it.
    """
    about = sent[["frame", "time_s", "sender", "command", "to_all"]]
    return about.merge(dissect.entries(packets), on="frame", validate="one_to_many")


def updates(sent: pd.DataFrame) -> pd.DataFrame:
    """Unsolicited updates: one row each, whatever number of messages it took.

    Returns:
        ``capture``, ``sender``, ``time_s``, ``entry_count``, ``gap_s`` (since the one before).
    """
    own = sent[(sent["command"] == "response") & sent["to_all"]]
    own = own.sort_values(["capture", "sender", "time_s"])
    since = own.groupby(["capture", "sender"], observed=True)["time_s"].diff()
    number = (since.isna() | (since > SAME_UPDATE_S)).cumsum().rename("number")
    grouped = own.groupby(["capture", "sender", number], observed=True, sort=False)
    found = grouped.agg(
        time_s=("time_s", "first"), entry_count=("entry_count", "sum"), frame=("frame", "first")
    ).reset_index()
    found["gap_s"] = found.groupby(["capture", "sender"], observed=True)["time_s"].diff()
    return found.drop(columns="number")


def whole_updates(found: pd.DataFrame) -> pd.DataFrame:
    """Of `updates` those that carry a whole table, with ``gap_s`` between them.

    Triggered updates carry only what changed (RFC 2453 §3.10.1): fewer entries than the sender's
    table on that link.
    """
    full = found.groupby(["capture", "sender"], observed=True)["entry_count"].transform("median")
    whole = found[found["entry_count"] >= full].copy()
    whole["gap_s"] = whole.groupby(["capture", "sender"], observed=True)["time_s"].diff()
    return whole


def rib(text: str) -> pd.DataFrame:
    """Routes in the output of ``show ip rip`` or ``show ipv6 ripng``.

    Returns:
        ``prefix``, ``next_hop``, ``metric``, ``origin``.
    """
    pattern = _RIB_LINES_NG if "RIPng" in text else _RIB_LINE
    rows = [match.groupdict() for match in pattern.finditer(text)]
    found = pd.DataFrame(rows, columns=["prefix", "next_hop", "metric", "origin"])
    return found.astype({"metric": int})


def compare_with_bellman_ford(
    found: pd.DataFrame, expected: Mapping[tuple[str, str], int]
) -> pd.DataFrame:
    """Metrics of all routers compared with those of Bellman and Ford.

    Args:
        found: ``node``, ``prefix``, ``metric``.
        expected: of `routes.bellman_ford`.

    Returns:
        ``node``, ``prefix``, ``metric``, ``expected``; `INFINITY` stands for 'not there'.
    """
    wanted = pd.DataFrame(
        [(node, prefix, metric) for (node, prefix), metric in sorted(expected.items())],
        columns=["node", "prefix", "expected"],
    )
    both = wanted.merge(found[["node", "prefix", "metric"]], how="outer", on=["node", "prefix"])
    return both.fillna({"metric": INFINITY, "expected": INFINITY}).astype(
        {"metric": int, "expected": int}
    )


def learned(table: pd.DataFrame, net: Network) -> pd.DataFrame:
    """Over which link routers reach what they have learned.

    Args:
        table: of `routes.table_at`.
        net: the network.

    Returns:
        ``sender`` (the router), ``prefix``, ``link`` (its prefix).
    """
    found = table[table["protocol"].isin(["rip", "ripng"])]
    links = [net.prefix_of(hops[0]["out"]) for hops in found["hops"]]
    return pd.DataFrame({"sender": found["node"], "prefix": found["destination"], "link": links})


def told_back(told: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Entries that a router advertised to all on the very link over which it reaches that prefix.

    Args:
        told: `entries`, with ``link``.
        known: `learned`.
    """
    keys = ["sender", "prefix", "link"]
    return told.merge(known[keys].drop_duplicates(), on=keys)
