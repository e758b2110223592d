"""The state machine of each end of a connection, as far as a capture shows it (RFC 9293 §3.3.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from analysis.tcp.flows import ACK, FIN, RST, SYN

TRANSITIONS = {
    ("CLOSED", "send SYN"): "SYN-SENT",
    ("LISTEN", "receive SYN"): "SYN-RECEIVED",
    ("SYN-SENT", "receive SYN"): "SYN-RECEIVED",
    ("SYN-SENT", "receive SYN+ACK"): "ESTABLISHED",
    ("SYN-RECEIVED", "receive ACK of SYN"): "ESTABLISHED",
    ("SYN-RECEIVED", "send FIN"): "FIN-WAIT-1",
    ("ESTABLISHED", "send FIN"): "FIN-WAIT-1",
    ("ESTABLISHED", "receive FIN"): "CLOSE-WAIT",
    ("FIN-WAIT-1", "receive ACK of FIN"): "FIN-WAIT-2",
    ("FIN-WAIT-1", "receive FIN"): "CLOSING",
    ("FIN-WAIT-2", "receive FIN"): "TIME-WAIT",
    ("CLOSING", "receive ACK of FIN"): "TIME-WAIT",
    ("CLOSE-WAIT", "send FIN"): "LAST-ACK",
    ("LAST-ACK", "receive ACK of FIN"): "CLOSED",
}
"""(state, event) → next state. A reset leads to CLOSED from anywhere."""


@dataclass
class _End:
    """One end of a connection; `after` maps what it sent ('SYN', 'FIN') to the ACK it awaits."""

    state: str
    after: dict[str, int] = field(default_factory=dict)

    def move(self, event: str) -> bool:
        following = "CLOSED" if "RST" in event else TRANSITIONS.get((self.state, event))
        if following is None or following == self.state:
            return False
        self.state = following
        return True


def states(segments: pd.DataFrame) -> pd.DataFrame:
    """The states both ends pass through.

    Seen from the capture: an end counts as having received a segment when the capture shows it. A
    connection whose beginning is not in the capture starts in ESTABLISHED.

    Args:
        segments: `analyse(packets)`.

    Returns:
        one row a transition: ``connection``, ``side``, ``frame``, ``time_ns``, ``event``,
        ``before``, ``state``.
    """
    rows: list[tuple[object, ...]] = []
    chosen = segments[_telling(segments)]
    columns = ["connection", "side", "frame", "time_ns", "tcp_flags", "seq", "payload_bytes"]
    whole = zip(
        *(chosen[name].tolist() for name in columns),
        chosen["ack"].fillna(-(2**62)).tolist(),
        strict=True,
    )
    ends: dict[int, tuple[_End, _End]] = {}
    for connection, side, frame, time_ns, flags, seq, length, ack in whole:
        opened = (flags & (SYN | ACK)) == SYN
        if connection not in ends:
            first = ("CLOSED", "LISTEN") if opened else ("ESTABLISHED", "ESTABLISHED")
            ends[connection] = (_End(first[0]), _End(first[1]))
        pair = ends[connection]
        for end, event in _events(pair[side], pair[1 - side], flags, seq + length, ack):
            who = side if end is pair[side] else 1 - side
            before = end.state
            if end.move(event):
                rows.append((connection, who, frame, time_ns, event, before, end.state))
    names = ["connection", "side", "frame", "time_ns", "event", "before", "state"]
    return pd.DataFrame(rows, columns=names)


def _telling(segments: pd.DataFrame) -> pd.Series:
    """Segments that can change a state: control flags, and every ACK behind one."""
    control = (segments["tcp_flags"] & (SYN | FIN | RST)) != 0
    keys = segments["connection"]
    recent = control.astype("int64").groupby(keys).cumsum()
    first_ack = ~segments.duplicated(["connection", "side", "ack"]) & (recent > 0)
    return control | first_ack


def _events(sender: _End, receiver: _End, flags: int, end: int, ack: int) -> list[tuple[_End, str]]:
    """What one segment means to its sender and its receiver, in order."""
    found: list[tuple[_End, str]] = []
    if flags & RST:
        return [(sender, "send RST"), (receiver, "receive RST")]
    if flags & SYN:
        sender.after["SYN"] = end + 1
        found += [] if flags & ACK else [(sender, "send SYN")]
        found.append((receiver, "receive SYN+ACK" if flags & ACK else "receive SYN"))
    elif flags & ACK:
        found += [
            (receiver, f"receive ACK of {name}")
            for name in ("SYN", "FIN")
            if name in receiver.after and ack >= receiver.after[name]
        ]
    if flags & FIN:
        sender.after["FIN"] = end + 1
        found += [(sender, "send FIN"), (receiver, "receive FIN")]
    return found
