"""What dissectors have in common: packets and messages as one table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pandas as pd

from analysis import datagrams, streams

COLUMNS = tuple(dict.fromkeys([*datagrams.COLUMNS, *streams.COLUMNS]))
"""What dissectors of protocols over both UDP and TCP read."""


def with_messages(
    packets: pd.DataFrame, messages: Iterable[Mapping[str, Any]], columns: Collection[str]
) -> pd.DataFrame:
    """One row per message.

    Args:
        packets: the messages' packets; columns that the messages have, too, are left out, and the
            payload.
        messages: with ``frame``.
        columns: names of the messages' columns.
    """
    found = pd.DataFrame(list(messages), columns=list(columns))
    own = {*columns, "payload"} - {"frame"}
    carried = packets[packets["frame"].isin(found["frame"])]  # mostly few: a merge takes long
    carried = carried.drop(columns=[name for name in packets if name in own])
    return carried.merge(found.astype({"frame": "int64"}), on="frame", validate="one_to_many")


def of_udp(packets: pd.DataFrame, ports: Collection[int]) -> pd.DataFrame:
    """Datagrams with one of the ports, fragments put together (`datagrams.whole`)."""
    own = packets[["udp_sport", "udp_dport"]].isin(ports).any(axis=1)
    own |= (packets["ip_offset_bytes"] > 0).fillna(False).astype(bool)
    own |= packets["ip_mf"].fillna(False).astype(bool)
    found = datagrams.whole(packets[own])
    chosen = found[["udp_sport", "udp_dport"]].isin(ports).any(axis=1)
    return found[chosen & found["payload"].notna()]
