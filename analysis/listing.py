"""Packets as lines to read: who to whom, which protocol, what it says, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from analysis import describe
from analysis.packets import flag_names
from analysis.printable import printable
from analysis.tcp import marks

LINE = ("frame", "time_ns", "from", "to", "protocol", "bytes", "text", "marks", "severity")
"""Columns of `lines`."""

NO_MESSAGES: dict[int, tuple[str, str]] = {}


def lines(
    packets: pd.DataFrame,
    segments: pd.DataFrame,
    said: dict[int, tuple[str, str]] = NO_MESSAGES,
    absolute: bool = False,
) -> pd.DataFrame:
    """One line per packet; any value of a packet may be missing.

    Args:
        packets: those to show, as `analysis.packets.read` gives them.
        segments: of `analysis.tcp.analyse`, of the whole capture.
        said: of `analysis.messages.by_frame`: frame → protocol and text of its messages.
        absolute: sequence numbers as on the wire, instead of counted from each side's first.

    Returns:
        columns `LINE`; ``from`` and ``to`` are IP or else MAC addresses, ``marks`` what is odd
        (empty: nothing), ``severity`` of the worst of these. The index is that of `packets`.
    """
    own = segments[segments.index.isin(packets.index)]
    numbers = own.reindex(packets.index)[["seq", "ack"]].astype(object)
    if absolute:
        numbers = packets[["tcp_seq", "tcp_ack"]].set_axis(["seq", "ack"], axis=1).astype(object)
    numbers = numbers.where(numbers.notna(), None)
    texts = describe.packets(packets).tolist()
    names = packets["protocol"].astype(object).where(packets["protocol"].notna(), "").tolist()
    rows = packets[list(_TCP)].astype(object).where(packets[list(_TCP)].notna(), None)
    window = own["window_bytes"].reindex(packets.index).astype("Int64").astype(object)
    rows = rows.assign(seq=numbers["seq"], ack=numbers["ack"])
    rows["tcp_window"] = window.where(window.notna(), rows["tcp_window"])  # scaled where known
    every: Iterable[Any] = rows.itertuples()
    for place, row in enumerate(every):
        tcp = _tcp(row) if row.tcp_sport is not None and row.tcp_flags is not None else ""
        if row.frame in said:
            names[place], words = said[row.frame]
            texts[place] = f"{words} · {_numbers(row)}" if tcp else words
        elif tcp:
            texts[place] = tcp
    result = pd.DataFrame(
        {
            "frame": packets["frame"],
            "time_ns": packets["time_ns"],
            "from": ends(packets, "src"),
            "to": ends(packets, "dst"),
            "protocol": names,
            "bytes": packets["wire_bytes"],
            "text": texts,
        },
        index=packets.index,
    )
    return result.join(_oddities(packets, own))


_TCP = (
    "frame",
    "tcp_sport",
    "tcp_dport",
    "tcp_flags",
    "tcp_window",
    "tcp_payload_bytes",
)


def named(listed: pd.DataFrame) -> list[str]:
    """The texts of `lines`, each beginning with its protocol."""
    pairs = zip(listed["protocol"], listed["text"], strict=True)
    return [text if text.startswith(name) else f"{name} {text}" for name, text in pairs]


def problems(listed: pd.DataFrame) -> list[str]:
    """The marks of `lines` that a picture highlights; empty for mere notes of routine."""
    odd = listed["severity"].isin({"error", "warning", "note"})
    return listed["marks"].where(odd, "").tolist()


def ends(packets: pd.DataFrame, end: str) -> pd.Series[str]:
    """The IP address of a packet's source (``src``) or target (``dst``), or else its MAC's."""
    ip, mac = packets[f"ip_{end}"].astype(object), packets[f"eth_{end}"].astype(object)
    found = ip.where(ip.notna(), mac)
    return found.where(found.notna(), "")


def _text(value: Any) -> str:
    return "?" if value is None else str(int(value))


def _numbers(row: Any) -> str:
    ack = f" ack {_text(row.ack)}" if row.ack is not None and int(row.tcp_flags) & 16 else ""
    return f"seq {_text(row.seq)}{ack} len {_text(row.tcp_payload_bytes)}"


def _tcp(row: Any) -> str:
    head = f"{_text(row.tcp_sport)} → {_text(row.tcp_dport)} [{flag_names(int(row.tcp_flags))}]"
    return f"{head} {_numbers(row)} win {_text(row.tcp_window)}"


def _oddities(packets: pd.DataFrame, segments: pd.DataFrame) -> pd.DataFrame:
    """Marks of each packet, and the worst severity among them."""
    found = marks.of_packets(segments)
    pairs = [found.get(frame, ("", "")) for frame in packets["frame"].tolist()]
    texts, severity = np.array(pairs, object).reshape(-1, 2).T
    broken = packets["malformed"].fillna(False).to_numpy(bool)
    problems = [printable(f"malformed: {problem}") for problem in packets["problem"][broken]]
    both = zip(problems, texts[broken], strict=True)
    texts[broken] = [f"{problem}, {text}" if text else problem for problem, text in both]
    severity[broken] = "error"
    return pd.DataFrame({"marks": texts, "severity": severity}, index=packets.index)
