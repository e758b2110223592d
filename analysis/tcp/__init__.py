"""TCP analysis: what each segment is, and what each connection did.

    from analysis import packets, tcp
    capture = packets.read("run/r1-eth0.pcap")
    segments = tcp.analyse(capture)
    tcp.connections(capture, segments)

Segments' meanings agree with Wireshark's `tcp.analysis` fields; docs/tcp-analysis.md lists the
differences.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.packets.columns import need
from analysis.tcp import rtt
from analysis.tcp.connections import connections, rates
from analysis.tcp.coverage import new_bytes_of_streams
from analysis.tcp.flows import NEEDED, SYN, Ints, Mask, segments
from analysis.tcp.sequence import Analysis
from analysis.tcp.states import states

__all__ = ["KINDS", "NEEDED", "analyse", "connections", "rates", "states"]

KINDS = (
    "retransmission",
    "fast_retransmission",
    "timeout_retransmission",
    "spurious_retransmission",
    "out_of_order",
    "lost_segment",
    "ack_lost_segment",
    "duplicate_ack",
    "zero_window",
    "zero_window_probe",
    "zero_window_probe_ack",
    "keep_alive",
    "keep_alive_ack",
    "window_update",
    "window_full",
)
"""Boolean columns of `analyse`."""


def analyse(packets: pd.DataFrame) -> pd.DataFrame:
    """Analyses the TCP segments of a capture.

    Args:
        packets: DataFrame of `analysis.packets.read`, with at least the columns `NEEDED`.

    Returns:
        one row a segment in capture order, with the index of `packets`:

        - ``frame``, ``time_ns``, ``connection`` (from 0), ``side`` (0 from the opener, 1 back)
        - ``seq``, ``ack`` (bytes, relative to the first seen), ``payload_bytes``, ``tcp_flags``
        - ``window_bytes``: receive window, scaled where the handshake was seen
        - the kinds in `KINDS`, boolean; ``reused_ports``
        - ``seen_before``: out of order, and all its bytes are in the capture already
        - ``duplicate_ack_number``, ``duplicate_ack_frame``: count, and the frame it repeats
        - ``acks_frame``, ``ack_rtt_ns``: the segment answered and how long that took;
          ``ack_rtt_ambiguous``: it was sent more than once (RFC 6298 §3)
        - ``timestamp_rtt_ns``: from the timestamp option
        - ``bytes_in_flight``

    Raises:
        ConfigError: a column is missing.
    """
    need(packets, NEEDED)
    seg = segments(packets)
    found = Analysis(packets, seg)
    order = np.argsort(seg.rows, kind="stable")
    measures = _measures(found, order)
    columns: dict[str, object] = {
        "frame": seg.frame[order],
        "time_ns": seg.time_ns[order],
        "connection": seg.connection[order],
        "side": seg.side[order],
        "seq": seg.seq[order],
        "ack": _nullable(seg.ack[order], seg.has_ack[order]),
        "payload_bytes": seg.length[order],
        "tcp_flags": seg.flags[order],
        "window_bytes": _scaled(found)[order],
    }
    columns |= {name: getattr(found, name)[order] for name in KINDS}
    columns["reused_ports"] = seg.reused[order]
    columns["seen_before"] = _seen_before(found)[order]
    columns |= measures
    return pd.DataFrame(columns, index=packets.index[seg.rows[order]], copy=False)


def _scaled(found: Analysis) -> Ints:
    """Windows in bytes; a SYN's window is never scaled (RFC 7323 §2.2)."""
    seg = found.seg
    shift = np.maximum(found.window_shift()[seg.side, seg.connection], 0)
    return found.window << np.where((seg.flags & 2) != 0, 0, shift)


def _measures(found: Analysis, order: Ints) -> dict[str, object]:
    """The columns that hold numbers which not every segment has."""
    seg = found.seg
    answers, ambiguous = rtt.acked(found)
    has = answers >= 0
    frame, time_ns = seg.frame[answers], seg.time_ns - seg.time_ns[answers]
    stamped, flight = rtt.by_timestamp(found), rtt.in_flight(found)
    repeated = seg.frame[np.maximum(found.first_of_ack, 0)]
    duplicate = found.duplicate_ack
    return {
        "duplicate_ack_number": _nullable(found.duplicates[order], duplicate[order]),
        "duplicate_ack_frame": _nullable(repeated[order], duplicate[order]),
        "acks_frame": _nullable(frame[order], has[order]),
        "ack_rtt_ns": _nullable(time_ns[order], has[order]),
        "ack_rtt_ambiguous": (ambiguous & has)[order],
        "timestamp_rtt_ns": _nullable(stamped[order], stamped[order] >= 0),
        "bytes_in_flight": _nullable(flight[order], flight[order] >= 0),
    }


def _seen_before(found: Analysis) -> Mask:
    """Segments out of order that bring no byte which the capture does not have already."""
    seg = found.seg
    late = found.out_of_order & (seg.length > 0)
    rows = np.flatnonzero(np.isin(seg.flow, np.unique(seg.flow[late])) & (seg.length > 0))
    seen = np.zeros(len(seg), np.bool_)
    first = seg.seq[rows] + ((seg.flags[rows] & SYN) != 0)
    seen[rows] = new_bytes_of_streams(seg.flow[rows], first, first + seg.length[rows]) == 0
    seen &= late
    return seen


def _nullable(values: Ints, known: np.ndarray) -> pd.arrays.IntegerArray:
    return pd.arrays.IntegerArray(np.where(known, values, 0), ~known)
