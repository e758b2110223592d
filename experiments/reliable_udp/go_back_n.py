"""Go-back-N: a window of datagrams under way; a lost one is sent again with all that follow it.

The receiver keeps nothing out of order and acknowledges cumulatively: an acknowledgement of n says
that everything before n has arrived. So a lost acknowledgement costs nothing if a later one comes.

Utilisation. T is the transmission time of a frame, D the time from its transmission to its
acknowledgement, R the retransmission timer, N the window, p the loss of datagrams. Without losses

    U = min(1, N·T / D)

so a window of more than D / T fills the link and a larger one gains nothing. With it, each loss
stops progress from the transmission of the lost frame to its next one, which is R later:

    U = T / (T + R·p / (1 − p))

(Bertsekas & Gallager, Data Networks, §2.4.2; Stallings, Data and Computer Communications, ch. 7
appendix, writes (1 − p) / (1 + 2a·p), because its timer R is D = T·(1 + 2a).) In the time R the
sender sends min(N, R / T) frames in vain. The time is an argument: this module reads no clock.
"""

from . import wire


def utilisation(
    frame_s: float, cycle_s: float, timeout_s: float, window: int, lost: float
) -> float:
    """The share of the link's time that carries new data.

    Args:
        frame_s: T, transmission time of a frame.
        cycle_s: D, from a frame's transmission to its acknowledgement.
        timeout_s: R, the retransmission timer.
        window: N, in frames; with losses at least D / T.
        lost: p, probability that a datagram is lost.
    """
    full = min(1.0, window * frame_s / cycle_s)
    return full * frame_s / (frame_s + full * timeout_s * lost / (1 - lost))


class Sender:
    """Sends up to `window` datagrams ahead of the acknowledgements."""

    def __init__(self, data: list[bytes], timeout_s: float, window: int) -> None:
        self.data, self.timeout_s, self.window = data, timeout_s, window
        self.base = self.next = self.highest = 0
        self.sent_s: dict[int, float] = {}

    @property
    def done(self) -> bool:
        """True once everything is acknowledged."""
        return self.base == len(self.data)

    @property
    def timer_s(self) -> float | None:
        """When the oldest datagram under way is due again; None: nothing is under way."""
        return self.sent_s[self.base] + self.timeout_s if self.base < self.next else None

    def next_datagram(self, now_s: float) -> bytes | None:
        """What to send now; None: nothing, as the window is full and no timer has run out."""
        if self.timer_s is not None and now_s >= self.timer_s:
            self.next = self.base
        if self.next >= min(self.base + self.window, len(self.data)):
            return None
        self.sent_s[self.next] = now_s
        self.next += 1
        self.highest = max(self.highest, self.next)
        return wire.data_frame(self.data, self.next - 1)

    def receive(self, acknowledgement: wire.Frame) -> None:
        """Moves the window: everything before the number has arrived."""
        if acknowledgement.number > self.highest:  # of what was never sent
            return
        for number in range(self.base, acknowledgement.number):
            self.sent_s.pop(number, None)
            self.base = number + 1
        self.next = max(self.next, self.base)


class Receiver:
    """Delivers in order, throws away all else, and says which number it waits for."""

    def __init__(self, _window: int = 1) -> None:
        self.expected = 0

    def receive(self, frame: wire.Frame) -> tuple[list[wire.Frame], bytes]:
        """What is delivered now, and the acknowledgement to send."""
        delivered = []
        if frame.number == self.expected:
            delivered.append(frame)
            self.expected += 1
        return delivered, wire.pack(wire.ACK, self.expected)
