"""What RIP's messages and tables say: who announced what where, how often, and with which metric.

Tables come from `analysis.dissect.rip` (messages, entries) with ``capture``, ``sender`` (node) and
``time_s`` in front; nothing here touches files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from analysis.dissect import rip as dissect
from analysis.routes import INFINITY, Network

PACKET_COLUMNS = (*dissect.COLUMNS, "wire_bytes")
SAME_UPDATE_S = 0.2
"""A table longer than a message goes out as several, at once."""

_RIB_LINE = re.compile(
    r"^[A-Z]\([a-z]\)\s+(?P<prefix>\S+/\d+)\s+(?P<next_hop>\S+)\s+(?P<metric>\d+)\s+(?P<origin>\S+)"
)


def messages(packets: pd.DataFrame, net: Network) -> pd.DataFrame:
    """RIP messages of a capture.

    Returns:
        As `dissect.read`, and ``sender`` (node), ``to_all`` (to a group or broadcast address).
    """
    found = dissect.read(packets)
    senders = {address: net.owner_of(address) for address in found["ip_src"].unique()}
    found.insert(1, "sender", found["ip_src"].astype(str).map(senders))
    one = {str(address) for address in found["ip_dst"].unique() if net.owner_of(str(address))}
    found["to_all"] = ~found["ip_dst"].astype(str).isin(one)
    return found


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
    """Routes in the output of ``show ip rip``: ``prefix``, ``next_hop``, ``metric``, ``origin``."""
    rows = [m.groupdict() for line in text.splitlines() if (m := _RIB_LINE.match(line))]
    found = pd.DataFrame(rows, columns=["prefix", "next_hop", "metric", "origin"])
    return found.astype({"metric": int})


def compare_with_bellman_ford(
    found: pd.DataFrame, expected: Mapping[tuple[str, str], int]
) -> pd.DataFrame:
    """Metrics of all routers beside those of Bellman and Ford.

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


def reverse_entries(entry: pd.DataFrame, tables: pd.DataFrame) -> pd.DataFrame:
    """Entries a router sent to the very link over which it reaches that prefix itself.

    Args:
        entry: those sent to all, with ``link`` (prefix of the link they were sent on).
        tables: ``node``, ``prefix``, ``link`` (over which), learned routes only.
    """
    keys = tables.rename(columns={"node": "sender"})[["sender", "prefix", "link"]]
    return entry.merge(keys.drop_duplicates(), on=["sender", "prefix", "link"])


def learned(table: pd.DataFrame, links: Mapping[str, str]) -> pd.DataFrame:
    """The routes learned by RIP, as `reverse_entries` wants them.

    Args:
        table: of `routes.table_at`.
        links: interface → prefix of its link.

    Returns:
        ``node``, ``prefix`` and ``link``, over which the router reaches it.
    """
    found = table[table["protocol"].isin(["rip", "ripng"])]
    out = [links[hops[0]["out"]] for hops in found["hops"]]
    return pd.DataFrame({"node": found["node"], "prefix": found["destination"], "link": out})
