"""What is odd in a capture, the worst first: the list an engineer would go through.

Severities are those of `analysis.tcp.marks`: ``error`` for what is broken, ``warning`` for what
hurts, ``note`` for what a reader should know.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis import describe
from analysis.printable import printable
from analysis.tcp import marks
from analysis.tcp.flows import ACK, RST, SYN

COLUMNS = ("frame", "severity", "what", "text")
"""Columns of `find`."""

MOST_DESCRIBED = 10_000
"""ICMP errors that are described one by one."""

_ICMP_ERRORS = {4: (3, 4, 5, 11, 12), 6: (1, 2, 3, 4)}
_RANK = {name: place for place, name in enumerate(marks.SEVERITIES)}


def find(packets: pd.DataFrame, segments: pd.DataFrame, messages: pd.DataFrame) -> pd.DataFrame:
    """Everything odd, packet by packet.

    Args:
        packets: as `analysis.packets.read` gives them.
        segments: of `analysis.tcp.analyse(packets)`.
        messages: of `analysis.messages.find`, for some or all of the packets.

    Returns:
        ``frame``, ``severity``, ``what`` (the same for all of a kind) and ``text`` (about this
        packet), the worst first.
    """
    parts = [
        *_broken(packets),
        _of_segments(segments),
        *_unopened(segments),
        *_of_messages(messages),
        _icmp_errors(packets),
        _arp_conflicts(packets),
    ]
    found = pd.concat([part for part in parts if len(part)] or [_rows([], "note", "")])
    rank = found["severity"].map(_RANK)
    order = np.lexsort((found["frame"].to_numpy(), rank.to_numpy()))
    return found.iloc[order].reset_index(drop=True)


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """One row per kind of oddity, the worst first.

    Returns:
        ``severity``, ``what``, ``packets``, ``first_frame``, ``example``.
    """
    groups = found.groupby(["severity", "what"], sort=False)
    table = groups.agg(packets=("frame", "size"), first_frame=("frame", "min"))
    table["example"] = groups["text"].first()
    table = table.reset_index()
    table["rank"] = table["severity"].map(_RANK)
    table = table.sort_values(["rank", "packets"], ascending=[True, False], kind="stable")
    return table.drop(columns="rank").reset_index(drop=True)


def _rows(frames: object, severity: str, what: str, texts: object = None) -> pd.DataFrame:
    numbers = np.asarray(frames, np.int64)
    about = {"frame": numbers, "severity": severity, "what": what}
    return pd.DataFrame(about | {"text": what if texts is None else texts}, columns=list(COLUMNS))


def _broken(packets: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Malformed packets, wrong checksums, and packets of which the capture kept a part."""
    for problem, own in packets[packets["malformed"].fillna(False)].groupby(
        "problem", observed=True
    ):
        yield _rows(own["frame"], "error", f"malformed: {printable(str(problem))}")
    wrong = packets["ip_checksum_ok"].eq(False).fillna(False)
    yield _rows(packets["frame"][wrong], "note", "IPv4 header checksum is wrong")
    part = packets["captured_bytes"] < packets["wire_bytes"]
    yield _rows(packets["frame"][part], "note", "captured in part")


def _of_segments(segments: pd.DataFrame) -> pd.DataFrame:
    """The marks of TCP."""
    found = marks.marks(segments)
    found = found[found["severity"] != "chat"]
    names = {kind: text for kind, (_, text) in marks.KINDS.items()}
    what = "TCP " + found["kind"].map(names | {"reset": "connection reset"}).astype(object)
    return found.assign(what=what)[list(COLUMNS)].astype({"frame": "int64"})


def _unopened(segments: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Connections that were asked for in vain."""
    segments = segments[["connection", "side", "frame", "tcp_flags"]]
    flags = segments["tcp_flags"]
    asked = segments[(flags & (SYN | ACK)) == SYN].groupby("connection")["frame"].min()
    back = segments[segments["side"] == 1]
    opened = back.loc[(back["tcp_flags"] & SYN) != 0, "connection"].unique()
    reset = back.loc[(back["tcp_flags"] & RST) != 0, "connection"].unique()
    failed = asked[~asked.index.isin(opened)]
    refused = failed.index.isin(reset)
    silent = ~failed.index.isin(back["connection"].unique())
    yield _rows(failed[refused], "error", "TCP connection refused")
    yield _rows(failed[silent], "warning", "TCP connection request without an answer")


def _of_messages(messages: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for protocol, own in messages.groupby("protocol"):
        wrong, failed = own[own["malformed"].astype(bool)], own[own["error"].astype(bool)]
        yield _rows(wrong["frame"], "error", f"malformed {protocol} message", wrong["text"])
        yield _rows(failed["frame"], "warning", f"{protocol} reports a failure", failed["text"])


def _icmp_errors(packets: pd.DataFrame) -> pd.DataFrame:
    """What routers and hosts complained about."""
    version, kind = packets["ip_version"], packets["icmp_type"]
    is_error = pd.Series(False, packets.index)
    for number, kinds in _ICMP_ERRORS.items():
        is_error |= ((version == number) & kind.isin(kinds)).fillna(False).astype(bool)
    own = packets[is_error]
    described = describe.packets(own.head(MOST_DESCRIBED)).astype(object)
    texts = described.reindex(own.index, fill_value="error")
    found = _rows(own["frame"], "warning", "ICMP error", texts)
    return found.assign(what="ICMP " + texts.str.split(",").str[0])


def _arp_conflicts(packets: pd.DataFrame) -> pd.DataFrame:
    """ARP messages that claim an address which another machine claimed before."""
    claims = packets[packets["arp_sender_mac"].notna() & packets["arp_sender_ip"].notna()]
    claims = claims[claims["arp_sender_ip"] != "0.0.0.0"]
    mac, ip = claims["arp_sender_mac"].astype(object), claims["arp_sender_ip"].astype(object)
    before = mac.groupby(ip).transform("first")
    other = mac != before
    texts = [
        f"{address} is at {new}, and was at {old}"
        for address, new, old in zip(ip[other], mac[other], before[other], strict=True)
    ]
    what = "ARP: an address is claimed by several machines"
    return _rows(claims["frame"][other], "warning", what, texts)
