"""Stop-and-wait, go-back-N and selective repeat on simulated links: no sockets, no clock."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from experiments.reliable_udp import go_back_n, selective_repeat, stop_and_wait, wire

PROTOCOLS = (stop_and_wait, go_back_n, selective_repeat)
FRAME_S, WAY_S, TIMEOUT_S = 0.001, 0.010, 0.050
CYCLE_S = FRAME_S + 2 * WAY_S


@dataclass
class Outcome:
    """What a simulated transfer came to."""

    sent: int = 0
    last_s: float = 0.0
    got: list[int] = field(default_factory=list)
    done: bool = False


def simulate(protocol: Any, pieces: int, window: int, chance: float, seed: int = 1) -> Outcome:
    """A transfer on a link where each fault happens to a datagram with probability `chance`."""
    dice, data, found = random.Random(seed), [bytes([n % 256]) for n in range(pieces)], Outcome()
    sender, receiver = protocol.Sender(data, TIMEOUT_S, window), protocol.Receiver(window)
    events: list[tuple[float, int, str, bytes]] = [(0.0, 0, "send", b"")]
    free_s = 0.0

    def later(time_s: float, kind: str, datagram: bytes = b"") -> None:
        heapq.heappush(events, (time_s, len(events) + dice.randrange(1 << 30), kind, datagram))

    def travel(time_s: float, kind: str, datagram: bytes) -> None:
        if dice.random() < chance:
            return
        if dice.random() < chance:
            at = dice.randrange(len(datagram))
            datagram = datagram[:at] + bytes([datagram[at] ^ 1]) + datagram[at + 1 :]
        for _ in range(1 + (dice.random() < chance)):
            later(time_s + (0 if dice.random() < chance else WAY_S), kind, datagram)

    while events and not sender.done and found.last_s < 1000:
        now_s, _, kind, datagram = heapq.heappop(events)
        found.last_s = now_s
        frame = wire.unpack(datagram) if datagram else None
        if kind == "data" and frame:
            delivered, acknowledgement = receiver.receive(frame)
            found.got += [piece.number for piece in delivered]
            if acknowledgement:
                travel(now_s, "ack", acknowledgement)
        elif kind == "ack" and frame:
            sender.receive(frame)
        if now_s >= free_s and (out := sender.next_datagram(now_s)):
            found.sent += 1
            free_s = now_s + FRAME_S
            travel(free_s, "data", out)
            later(free_s, "send")
        elif now_s >= free_s and sender.timer_s is not None:
            later(max(now_s, sender.timer_s), "send")
    found.done = sender.done
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.__name__.rpartition(".")[2])
@pytest.mark.parametrize("seed", range(10))
def test_everything_arrives_once_and_in_order(protocol: Any, seed: int) -> None:
    found = simulate(protocol, 120, window=16, chance=0.1, seed=seed)
    assert found.done
    assert found.got == list(range(120))


@pytest.mark.parametrize("window", [1, 7, 21, 40])
def test_a_clean_link_is_used_as_the_formula_says(window: int) -> None:
    pieces = 1 + 20 * window
    for protocol in (go_back_n, selective_repeat):
        found = simulate(protocol, pieces, window, chance=0)
        assert found.sent == pieces
        took_s = found.last_s - CYCLE_S
        expected = go_back_n.utilisation(FRAME_S, CYCLE_S, TIMEOUT_S, window, 0)
        assert (pieces - 1) * FRAME_S / took_s == pytest.approx(expected)
    alone = simulate(stop_and_wait, 21, 1, chance=0)
    expected = stop_and_wait.utilisation(FRAME_S, CYCLE_S, TIMEOUT_S, 0)
    assert 20 * FRAME_S / (alone.last_s - CYCLE_S) == pytest.approx(expected)


def test_a_receiver_that_has_no_room_says_nothing() -> None:
    receiver = selective_repeat.Receiver(2)
    assert receiver.receive(wire.Frame(wire.DATA, 2, b"")) == ([], None)
    early = wire.Frame(wire.DATA, 1, b"b")
    assert receiver.receive(early) == ([], wire.pack(wire.ACK, 1))
    first = wire.Frame(wire.DATA, 0, b"a")
    assert receiver.receive(first) == ([first, early], wire.pack(wire.ACK, 0))


def test_acknowledgements_of_nothing_change_nothing() -> None:
    for protocol in PROTOCOLS:
        sender = protocol.Sender([b"a", b"b"], TIMEOUT_S, 2)
        for number in (0, 1, 2, 99):
            sender.receive(wire.Frame(wire.ACK, number, b""))
        assert not sender.done
        assert sender.next_datagram(0.0) == wire.pack(wire.DATA, 0, b"a")


@pytest.mark.parametrize("datagram", [b"", b"\1" * 9, wire.pack(wire.DATA, 1, b"ab")[:-1] + b"x"])
def test_damaged_datagrams_are_refused(datagram: bytes) -> None:
    assert wire.unpack(datagram) is None


def test_a_crc_sees_words_that_change_places() -> None:
    packed = wire.pack(wire.DATA, 7, b"\1\2\3\4")
    assert wire.unpack(packed) is not None
    assert wire.unpack(packed[:-4] + b"\3\4\1\2") is None
