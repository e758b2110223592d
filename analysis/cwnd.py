"""What a TCP sender's congestion control did, from the kernel's events at every ACK.

Works on one flow's ``tcp_probe`` events (the kernel's state *before* the ACK is processed),
``tcp_cong_state_set`` events and the capture at the sender. Windows are in segments, as the
kernel keeps them; sequence numbers are 32 bits and wrap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis import occurrence

INFINITE_SSTHRESH = 0x7FFFFFFF
"""The kernel's ssthresh before the first loss."""

SYN_BIT = 2

CLOCK_SLACK_S = 10e-6
"""Captures and kernel events read two clocks, one after the other: so far they may be apart."""

REDUCTIONS = ("CWR", "Recovery", "Loss")
"""Congestion states in which the sender takes a loss or a mark for congestion."""


def unwrap(sequence: pd.Series) -> npt.NDArray[np.int64]:
    """Sequence numbers without wrapping, relative to the first one, as int64."""
    values = sequence.to_numpy(dtype=np.int64)
    if not len(values):
        return values
    steps = np.diff(values, prepend=values[0])
    steps = (steps + (1 << 31)) % (1 << 32) - (1 << 31)
    return np.cumsum(steps)


def cwnd_series(probe: pd.DataFrame, states: pd.DataFrame, mss_bytes: int) -> pd.DataFrame:
    """The window over time, one row an ACK.

    The kernel reports ``max(ssthresh, 3/4 cwnd)`` while it is not reducing; ssthresh itself only
    changes in a reduction, so it is the least value reported since the last one.

    Args:
        probe: ``tcp_probe`` events of one sending socket.
        states: ``tcp_cong_state_set`` events of the same socket.
        mss_bytes: payload of a full segment.

    Returns:
        time_s, cwnd_segments, ssthresh_segments (null before the first loss), srtt_ms,
        flight_segments, una_bytes, nxt_bytes (relative to the first event).
    """
    una = unwrap(probe["snd_una"])
    ahead = (probe["snd_nxt"].to_numpy(np.int64) - probe["snd_una"].to_numpy(np.int64)) % (1 << 32)
    reduced_s = states.loc[states["cong_state"].isin(REDUCTIONS), "time_s"].to_numpy()
    since = np.searchsorted(reduced_s, probe["time_s"].to_numpy(), side="left")
    ssthresh = probe["ssthresh"].astype("int64").groupby(since).cummin().astype("Int64")
    return pd.DataFrame(
        {
            "time_s": probe["time_s"].to_numpy(),
            "cwnd_segments": probe["snd_cwnd"].to_numpy(np.int64),
            "ssthresh_segments": ssthresh.mask(ssthresh >= INFINITE_SSTHRESH).array,
            "srtt_ms": probe["srtt"].to_numpy() / 1e3,
            "flight_segments": ahead / mss_bytes,
            "una_bytes": una,
            "nxt_bytes": una + ahead,
        }
    )


def rounds(series: pd.DataFrame, states: pd.DataFrame) -> pd.DataFrame:
    """One row a round trip: a round ends when what was sent at its start is acknowledged.

    Args:
        series: as `cwnd_series` gives it, of one flow.
        states: ``tcp_cong_state_set`` events of the same socket.

    Returns:
        round, start_s, end_s, cwnd_segments and ssthresh_segments (null before the first loss)
        at its start, next_cwnd_segments at its end, growth_segments, growth_factor, calm: no
        change of congestion state within it, and Open throughout, full: the window was in use at
        its start (all but one segment).
    """
    una, nxt = series["una_bytes"].to_numpy(), series["nxt_bytes"].to_numpy()
    starts = [0] if len(series) else []
    while starts:
        ahead = np.searchsorted(una, nxt[starts[-1]])
        if ahead >= len(una) or ahead <= starts[-1]:
            break
        starts.append(int(ahead))
    at = series.iloc[starts].reset_index(drop=True)
    first, last = at.iloc[:-1].reset_index(drop=True), at.iloc[1:].reset_index(drop=True)
    frame = pd.DataFrame(
        {
            "round": np.arange(len(first)),
            "start_s": first["time_s"],
            "end_s": last["time_s"],
            "cwnd_segments": first["cwnd_segments"],
            "ssthresh_segments": first["ssthresh_segments"],
            "next_cwnd_segments": last["cwnd_segments"],
        }
    )
    frame["growth_segments"] = frame["next_cwnd_segments"] - frame["cwnd_segments"]
    frame["growth_factor"] = frame["next_cwnd_segments"] / frame["cwnd_segments"]
    frame["full"] = first["flight_segments"] >= first["cwnd_segments"] - 1
    begin = np.searchsorted(states["time_s"].to_numpy(), frame["start_s"].to_numpy(), "left")
    end = np.searchsorted(states["time_s"].to_numpy(), frame["end_s"].to_numpy(), "right")
    names = np.array(["Open", *states["cong_state"].astype(str)], dtype=object)
    frame["calm"] = (begin == end) & (names[begin] == "Open")
    return frame


def reductions(series: pd.DataFrame, states: pd.DataFrame) -> pd.DataFrame:
    """One row for each time the sender took a loss or a mark for congestion.

    Args:
        series: as `cwnd_series` gives it, of one flow.
        states: ``tcp_cong_state_set`` events of the same socket, with ``cong_state``.

    Returns:
        time_s, state (CWR, Recovery, Loss), end_s (back in Open; null if never), and in
        segments: cwnd_before, flight_before, ssthresh_after, cwnd_after (at the first ACK after
        the sender is back in Open), cwnd_first (at the first ACK after it began).
    """
    events = states[states["cong_state"].isin(REDUCTIONS)]
    times = series["time_s"].to_numpy()
    window, flight = series["cwnd_segments"].to_numpy(), series["flight_segments"].to_numpy()
    ssthresh = series["ssthresh_segments"].array
    opened = states.loc[states["cong_state"] == "Open", "time_s"].to_numpy()
    found: list[dict[str, Any]] = []
    for time_s, state in zip(events["time_s"].to_numpy(), events["cong_state"], strict=True):
        # an ACK's event comes first, then what it caused: the state set at the same instant
        first = int(np.searchsorted(times, time_s, side="right"))
        end = int(np.searchsorted(opened, time_s, side="right"))
        if first == 0 or first >= len(series):
            continue
        end_s = opened[end] if end < len(opened) else np.nan
        after = int(np.searchsorted(times, end_s, side="right"))  # NaN: behind all times
        found.append(
            {
                "time_s": time_s,
                "state": str(state),
                "end_s": end_s,
                "cwnd_before": int(window[first - 1]),
                "flight_before": float(flight[first - 1]),
                "ssthresh_after": ssthresh[first],
                "cwnd_first": int(window[first]),
                "cwnd_after": int(window[after]) if after < len(series) else pd.NA,
            }
        )
    columns = [
        "time_s",
        "state",
        "end_s",
        "cwnd_before",
        "flight_before",
        "ssthresh_after",
        "cwnd_first",
        "cwnd_after",
    ]
    return pd.DataFrame(found, columns=columns)


def phases(series: pd.DataFrame, states: pd.DataFrame) -> pd.DataFrame:
    """The sender's phases in order: slow start, congestion avoidance, recovery, loss.

    Args:
        series, states: as for `reductions`.

    Returns:
        start_s, end_s, phase.
    """
    state_times = states["time_s"].to_numpy()
    index = np.searchsorted(state_times, series["time_s"].to_numpy(), side="left") - 1
    names = np.array([*states["cong_state"].astype(str), "Open"], dtype=object)
    state = np.where(index >= 0, names[index], "Open")
    below = (
        series["cwnd_segments"] < series["ssthresh_segments"].fillna(INFINITE_SSTHRESH)
    ).to_numpy(bool)
    phase = np.where(below, "slow start", "congestion avoidance").astype(object)
    phase[np.isin(state, ["Recovery", "CWR"])] = "recovery"
    phase[(state == "Loss") & ~below] = "loss recovery"
    changed = np.append(True, phase[1:] != phase[:-1])[: len(phase)]
    change = np.flatnonzero(changed)
    times = series["time_s"].to_numpy()
    ends = np.append(times[change[1:]], times[-1:])
    return pd.DataFrame({"start_s": times[change], "end_s": ends, "phase": phase[change]})


def sent_data(packets: pd.DataFrame, source: str, sport: int) -> pd.DataFrame:
    """The data segments of one sender, in order, with retransmissions marked.

    Args:
        packets: capture at the sender (TCP columns of `analysis.packets`).
        source, sport: address and port of the sending socket.

    Returns:
        frame, time_s, seq_bytes (relative to the first byte), payload_bytes, retransmission
        (carries nothing new), again: how often its first byte was sent before.
    """
    mine = packets[
        (packets["ip_src"] == source)
        & (packets["tcp_sport"] == sport)
        & (packets["tcp_payload_bytes"] > 0)
    ]
    seq = unwrap(mine["tcp_seq"])
    payload = mine["tcp_payload_bytes"].to_numpy(np.int64)
    end = seq + payload
    sent_before = (
        np.maximum.accumulate(np.concatenate([[np.iinfo(np.int64).min], end[:-1]]))
        if len(end)
        else end
    )
    frame = pd.DataFrame(
        {
            "frame": mine["frame"].to_numpy(),
            "time_s": mine["time_s"].to_numpy(),
            "seq_bytes": seq,
            "payload_bytes": payload,
            "retransmission": end <= sent_before,
        }
    )
    frame["again"] = occurrence(seq)
    return frame


def retransmissions(
    segments: pd.DataFrame, answers: pd.DataFrame, states: pd.DataFrame
) -> pd.DataFrame:
    """Every retransmission, with what brought it and the duplicate ACKs before it.

    Args:
        segments: what the socket sent, as `sent_data` gives it.
        answers: the ACKs to it, as `acks` gives them.
        states: its ``tcp_cong_state_set`` events.

    Returns:
        frame, time_s, seq_bytes, again, kind (``fast``: in Recovery; ``timeout``: in Loss;
        ``probe``: a tail loss probe in Open or Disorder, RFC 8985 §7), waited_s since the byte
        was last sent, duplicate_acks: ACKs for its first byte since then that repeat the number or
        report data beyond it (an ACK that was delayed may do both at once, RFC 6675 §2).
    """
    found = segments[segments["retransmission"]].copy()
    again = segments[segments["seq_bytes"].isin(found["seq_bytes"])]
    sent_before_s = again.groupby("seq_bytes")["time_s"].shift()
    found["waited_s"] = found["time_s"] - sent_before_s.reindex(found.index)
    known_s = states["time_s"].to_numpy() - CLOCK_SLACK_S
    index = np.searchsorted(known_s, found["time_s"].to_numpy(), "right") - 1
    names = np.array([*states["cong_state"].astype(str), "Open"], dtype=object)
    state = pd.Series(np.where(index >= 0, names[index], "Open"), index=found.index)
    kinds = {"Recovery": "fast", "Loss": "timeout"}
    found["kind"] = state.map(kinds).fillna("probe")
    found["duplicate_acks"] = _duplicates(answers, found)
    return found.drop(columns=["retransmission", "payload_bytes"]).reset_index(drop=True)


def first_retransmissions(losses: pd.DataFrame, resent: pd.DataFrame) -> pd.DataFrame:
    """The retransmission that opens each fast recovery.

    Args:
        losses: rows of `reductions`.
        resent: rows of `retransmissions`, in order.
    """
    times = resent["time_s"].to_numpy()
    at = np.searchsorted(times, losses["time_s"].to_numpy() - CLOCK_SLACK_S)
    return resent.iloc[np.unique(at[at < len(times)])]


def acks(packets: pd.DataFrame, source: str, sport: int) -> pd.DataFrame:
    """Pure ACKs to a sender: frame, time_s, ack_bytes (from its first data byte on), sacked."""
    mine = packets[(packets["ip_src"] == source) & (packets["tcp_sport"] == sport)]
    first = mine.loc[mine["tcp_payload_bytes"] > 0, "tcp_seq"]
    back = packets[
        (packets["ip_dst"] == source)
        & (packets["tcp_dport"] == sport)
        & (packets["tcp_payload_bytes"] == 0)
        & ((packets["tcp_flags"].fillna(0).astype(int) & SYN_BIT) == 0)
    ]
    if first.empty or back.empty:
        return pd.DataFrame({"time_s": [], "ack_bytes": [], "frame": [], "sacked": []})
    origin = pd.Series([int(first.iloc[0]), *back["tcp_ack"].astype("int64")])
    return pd.DataFrame(
        {
            "time_s": back["time_s"].to_numpy(),
            "ack_bytes": unwrap(origin)[1:],
            "frame": back["frame"].to_numpy(),
            "sacked": (back["tcp_sack_count"].fillna(0) > 0).to_numpy(bool),
        }
    )


def _duplicates(back: pd.DataFrame, found: pd.DataFrame) -> list[int]:
    """For each retransmission the ACKs for exactly its first byte since it was last sent.

    The first of them brought news: it counts only if it reports data beyond, too.
    """
    times, numbers = back["time_s"].to_numpy(), back["ack_bytes"].to_numpy()
    sacked = back["sacked"].to_numpy(bool)
    lows = np.searchsorted(times, (found["time_s"] - found["waited_s"]).to_numpy(), side="right")
    highs = np.searchsorted(times, found["time_s"].to_numpy(), side="right")
    counts = []
    for low, high, seq in zip(lows, highs, found["seq_bytes"].to_numpy(), strict=True):
        same = numbers[low:high] == seq
        counts.append(max(0, int(same.sum()) - 1, int((same & sacked[low:high]).sum())))
    return counts
