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

PROBLEMS = frozenset(KINDS) - {"window_update", "keep_alive", "keep_alive_ack", "reused_ports"}
"""Marks that a picture highlights; and resets."""


def marks(segments: pd.DataFrame) -> pd.DataFrame:
    """The marks of all segments.

    Args:
        segments: of `analysis.tcp.analyse`.

    Returns:
        one row per mark, in the order of segments: ``frame``, ``kind`` (of `KINDS`, or ``reset``,
        ``opened``, ``finished``), ``severity`` (of `SEVERITIES`), ``text``; the index is that of
        `segments`.
    """
    parts = [_part(segments, _true(segments[kind]), kind, *said) for kind, said in KINDS.items()]
    flags = segments["tcp_flags"].to_numpy(np.int64)
    for kind, bits, value, severity, text in _FLAGS:
        parts.append(_part(segments, (flags & bits) == value, kind, severity, text))
    found = pd.concat(parts)
    repeated = found["kind"] == "duplicate_ack"
    found.loc[repeated, "text"] = _repeats(segments.loc[found.index[repeated]])
    return found.sort_values("frame", kind="stable")


def of_packets(segments: pd.DataFrame, kinds: frozenset[str] | None = None) -> pd.Series[str]:
    """The marks of each marked segment as one text, with the segments' index.

    Args:
        segments: of `analysis.tcp.analyse`.
        kinds: only these; default: all but ``opened`` and ``finished``, which the flags say.
    """
    found = marks(segments)
    wanted = found["kind"].isin(kinds) if kinds else ~found["kind"].isin({"opened", "finished"})
    found = found[wanted]
    texts = found["text"].groupby(level=0, sort=False)
    return found["text"][~found.index.duplicated()].where(texts.size() == 1, texts.agg(", ".join))


def _true(values: pd.Series[bool]) -> np.ndarray:
    return np.asarray(values.fillna(False).to_numpy(bool))


def _part(
    segments: pd.DataFrame, rows: np.ndarray, kind: str, severity: str, text: str
) -> pd.DataFrame:
    frames = segments["frame"].to_numpy()[rows]
    about = {"frame": frames, "kind": kind, "severity": severity, "text": text}
    return pd.DataFrame(about, index=segments.index[rows]).astype(
        {"kind": object, "severity": object, "text": object}
    )


def _repeats(segments: pd.DataFrame) -> list[str]:
    numbers = zip(segments["duplicate_ack_number"], segments["duplicate_ack_frame"], strict=True)
    return [f"duplicate ACK {number} of frame {frame}" for number, frame in numbers]
