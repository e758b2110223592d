"""Selective repeat: a window of datagrams under way, of which only the lost ones are sent again.

Each datagram has its own acknowledgement and its own timer; the receiver keeps what comes too early
until the gap before it is filled.

Utilisation. If the window never holds the sender up, the link carries nothing but attempts, and of
these 1 − P succeed. An attempt fails if the datagram or its acknowledgement is lost:

    U = 1 − P,   P = 1 − (1 − p)(1 − q)

(Bertsekas & Gallager, Data Networks, §2.4.3; Stallings, Data and Computer Communications, ch. 7
appendix.) The window must last for D + R, a transmission that fails and the next one; without
losses U = min(1, N·T / D), as for go-back-N. The time is an argument: this module reads no clock.
"""

from collections import deque

from . import wire


def utilisation(failed: float) -> float:
    """The share of the link's time that carries new data.

    Args:
        failed: P, probability that an attempt fails.
    """
    return 1 - failed


class Sender:
    """Sends up to `window` datagrams ahead of the oldest one that is not acknowledged."""

    def __init__(self, data: list[bytes], timeout_s: float, window: int) -> None:
        self.data, self.timeout_s, self.window = data, timeout_s, window
        self.base = self.next = 0
        self.acknowledged: set[int] = set()
        self.queue: deque[tuple[float, int]] = deque()
        """Retransmission queue: when each datagram is due again, soonest first."""

    @property
    def done(self) -> bool:
        """True once everything is acknowledged."""
        return self.base == len(self.data)

    @property
    def timer_s(self) -> float | None:
        """When the next datagram is due again; None: nothing is under way."""
        while self.queue and self.queue[0][1] in self.acknowledged:
            self.queue.popleft()
        return self.queue[0][0] if self.queue else None

    def next_datagram(self, now_s: float) -> bytes | None:
        """What to send now; None: nothing, as the window is full and no timer has run out."""
        if self.timer_s is not None and now_s >= self.timer_s:
            number = self.queue.popleft()[1]
        elif self.next < min(self.base + self.window, len(self.data)):
            number = self.next
            self.next += 1
        else:
            return None
        self.queue.append((now_s + self.timeout_s, number))
        return wire.data_frame(self.data, number)

    def receive(self, acknowledgement: wire.Frame) -> None:
        """Notes one datagram as arrived; the window moves when the oldest one has."""
        if self.base <= acknowledgement.number < self.next:
            self.acknowledged.add(acknowledgement.number)
        while self.base in self.acknowledged:
            self.base += 1


class Receiver:
    """Keeps up to `window` datagrams beyond a gap, and delivers in order."""

    def __init__(self, window: int) -> None:
        self.window, self.expected = window, 0
        self.early: dict[int, wire.Frame] = {}

    def receive(self, frame: wire.Frame) -> tuple[list[wire.Frame], bytes | None]:
        """What is delivered now, and the acknowledgement to send; None beyond the window."""
        if frame.number >= self.expected + self.window:
            return [], None
        if frame.number >= self.expected:
            self.early[frame.number] = frame
        delivered = []
        while self.expected in self.early:
            delivered.append(self.early.pop(self.expected))
            self.expected += 1
        return delivered, wire.pack(wire.ACK, frame.number)
