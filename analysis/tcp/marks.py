"""What is remarkable about TCP segments, in words and with a severity.

Severities are those of Wireshark's expert information: ``warning`` for what hurts a connection or
the capture of it, ``note`` for what a reader should know, ``chat`` for the usual course of events.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from analysis.tcp.flows import ACK, FIN, RST, SYN

SEVERITIES = ("error", "warning", "note", "chat")
"""The worst first."""

KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "ack_lost_segment": ("warning", "ACK of a segment not captured"),
        "lost_segment": ("warning", "previous segment not captured"),
        "out_of_order": ("warning", "out of order"),
        "zero_window": ("warning", "zero window"),
        "window_full": ("warning", "window full"),
        "spurious_retransmission": ("note", "spurious retransmission"),
        "fast_retransmission": ("note", "fast retransmission"),
        "timeout_retransmission": ("note", "retransmission"),
        "duplicate_ack": ("note", "duplicate ACK"),
        "zero_window_probe": ("note", "zero window probe"),
        "zero_window_probe_ack": ("note", "zero window probe ACK"),
        "keep_alive": ("note", "keep-alive"),
        "keep_alive_ack": ("note", "keep-alive ACK"),
        "reused_ports": ("note", "ports reused"),
        "window_update": ("chat", "window update"),
    }
)
"""Column of `analysis.tcp.analyse` → severity and words, in the order in which they are named."""

_FLAGS = (
    ("reset", RST, RST, "warning", "connection reset"),
    ("opened", SYN | ACK, SYN, "chat", "connection request"),
    ("finished", FIN, FIN, "chat", "connection finish"),
)

_NAMES = (*KINDS, *(name for name, *_ in _FLAGS))
_SEVERITY = [severity for severity, _ in KINDS.values()] + [one[3] for one in _FLAGS]
_TEXTS = [text for _, text in KINDS.values()] + [one[4] for one in _FLAGS]


def marks(segments: pd.DataFrame) -> pd.DataFrame:
    """The marks of all segments.

    Args:
        segments: of `analysis.tcp.analyse`.

    Returns:
        one row per mark, in the order of segments: ``frame``, ``kind`` (of `KINDS`, or ``reset``,
        ``opened``, ``finished``), ``severity`` (of `SEVERITIES`), ``text``; the index is that of
        `segments`.
    """
    flags = segments["tcp_flags"].to_numpy(np.int64)
    rows = [np.flatnonzero(segments[kind].fillna(False).to_numpy(bool)) for kind in KINDS]
    rows += [np.flatnonzero((flags & bits) == value) for _, bits, value, *_ in _FLAGS]
    code = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
    at = np.concatenate(rows)
    order = np.argsort(at, kind="stable")
    code, at = code[order], at[order]
    texts = np.array(_TEXTS, object)[code]
    repeats = code == _NAMES.index("duplicate_ack")
    texts[repeats] = _repeats(segments.iloc[at[repeats]])
    late = np.flatnonzero(code == _NAMES.index("out_of_order"))
    again = segments["seen_before"].to_numpy(bool)[at[late]]
    texts[late[again]] = "out of order, or sent again: its bytes came before"
    return pd.DataFrame(
        {
            "frame": segments["frame"].to_numpy()[at],
            "kind": np.array(_NAMES, object)[code],
            "severity": np.array(_SEVERITY, object)[code],
            "text": texts,
        },
        index=segments.index[at],
    )


def of_packets(segments: pd.DataFrame) -> dict[int, tuple[str, str]]:
    """Frame → the marks of each marked segment as one text, and the worst severity among them.

    ``opened`` and ``finished`` are left out: the flags say so.
    """
    found = marks(segments)
    found = found[~found["kind"].isin({"opened", "finished"})]
    result: dict[int, tuple[str, str]] = {}
    columns = (found["frame"].tolist(), found["text"].tolist(), found["severity"].tolist())
    for frame, text, severity in zip(*columns, strict=True):
        before, worst = result.get(frame, ("", severity))
        both = f"{before}, {text}" if before else text
        result[frame] = (both, min(worst, severity, key=SEVERITIES.index))
    return result


def _repeats(segments: pd.DataFrame) -> list[str]:
    numbers = zip(segments["duplicate_ack_number"], segments["duplicate_ack_frame"], strict=True)
    return [f"duplicate ACK {number} of frame {frame}" for number, frame in numbers]
