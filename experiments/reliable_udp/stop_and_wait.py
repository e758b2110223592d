"""Stop-and-wait: one datagram, one acknowledgement, and only then the next.

Utilisation. With T the transmission time of a frame, D the time from its transmission to its
acknowledgement, and R the retransmission timer, each frame takes D, and R more for each attempt
that fails. An attempt fails if the datagram or its acknowledgement is lost, P = 1 − (1 − p)(1 − q):

    U = T / (D + R·P / (1 − P)),   without losses  U = T / D = 1 / (1 + 2a)

(Bertsekas & Gallager, Data Networks, §2.4.1; Stallings, Data and Computer Communications, ch. 7
appendix, where R = D.) The time is an argument: this module reads no clock and no socket.
"""

from . import wire


def utilisation(frame_s: float, cycle_s: float, timeout_s: float, failed: float) -> float:
    """The share of the link's time that carries new data.

    Args:
        frame_s: T, transmission time of a frame.
        cycle_s: D, from a frame's transmission to its acknowledgement.
        timeout_s: R, the retransmission timer.
        failed: P, probability that an attempt fails.
    """
    return frame_s / (cycle_s + timeout_s * failed / (1 - failed))


class Sender:
    """Sends one datagram at a time, again and again until it is acknowledged."""

    def __init__(self, data: list[bytes], timeout_s: float, _window: int = 1) -> None:
        self.data, self.timeout_s = data, timeout_s
        self.number = 0
        self.sent_s: float | None = None

    @property
    def done(self) -> bool:
        """True once everything is acknowledged."""
        return self.number == len(self.data)

    @property
    def timer_s(self) -> float | None:
        """When the datagram under way is to be sent again; None: nothing is under way."""
        return None if self.sent_s is None else self.sent_s + self.timeout_s

    def next_datagram(self, now_s: float) -> bytes | None:
        """What to send now; None: nothing."""
        if self.done or (self.timer_s is not None and now_s < self.timer_s):
            return None
        self.sent_s = now_s
        return wire.data_frame(self.data, self.number)

    def receive(self, acknowledgement: wire.Frame) -> None:
        """Goes on to the next datagram; an acknowledgement of an older one says nothing new."""
        if acknowledgement.number == self.number and self.sent_s is not None:
            self.number += 1
            self.sent_s = None


class Receiver:
    """Delivers the datagram it waits for; acknowledges it, and every older one again."""

    def __init__(self, _window: int = 1) -> None:
        self.expected = 0

    def receive(self, frame: wire.Frame) -> tuple[list[wire.Frame], bytes]:
        """What is delivered now, and the acknowledgement to send."""
        delivered = []
        if frame.number == self.expected:
            delivered.append(frame)
            self.expected += 1
        return delivered, wire.pack(wire.ACK, frame.number)
