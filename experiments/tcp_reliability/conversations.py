"""What sender and receiver do in each step: scripts for `testbed/programs/endpoint.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from testbed import MSS_BYTES, Conversation

Script = list[list[Any]]

INITIAL_WINDOW = 10
"""Segments that leave at once on a new connection (RFC 6928)."""

DISTANCES = (1, 2, 3, 5)
"""By how many segments a late one is overtaken."""

LONE_SEGMENTS, LONE_GAP_S, BULK_SEGMENTS = 24, 0.1, 120
SAMPLES = 40
KARN_BEFORE, KARN_AFTER = 6, 3
"""Exchanges before the one that is lost, and after it."""

LOSSY_SEGMENTS, LOST = 60, (20, 23, 26, 29)
"""Segments sent, and which of them are lost (counted from 0): all in one round trip's window."""

SMALL_BUFFER_BYTES = 16_000
TINY_BUFFER_BYTES = 8_000
"""Receive buffers asked for; Linux doubles what it is asked for, for its own bookkeeping."""

PAUSE_S = 10.0
"""How long the receiver does not read."""

LONG_PAUSE_S = 100.0
STALLED_BYTES, SILLY_BYTES, LIMITED_BYTES = 100_000, 40_000, 400_000
WINDOWS_BYTES = (8_000, 16_000, 32_000)
"""Receive buffers of the steps that compare throughput with window and round-trip time."""

WINDOWS_SENT = 15
FAT_BYTES = 800_000
SMALL_READ_BYTES, SMALL_READ_S = 100, 0.005
SLOW_READ_BYTES, SLOW_READ_S = 8192, 0.02

WINDOW_STEPS = tuple(f"window-{size}" for size in WINDOWS_BYTES)
CONVERSATION_FAULTS = ("fast-reader", "small-writes")

_ALL_BYTES = 65_536
_TAKE: Script = [["receive", _ALL_BYTES]]


def repairs(_: Collection[str] = ()) -> dict[str, Conversation]:
    """Steps in which the network damages, reorders, duplicates or loses segments."""
    window: Script = [["write", INITIAL_WINDOW * MSS_BYTES], ["sleep", 1.0], ["info"]]
    lossy: Script = [["write", LOSSY_SEGMENTS * MSS_BYTES], ["sleep", 3.0], ["info"]]
    exchange: Script = [["write", 10], ["read", 10], ["info"]]
    names = ["damaged", *(f"late-{d}" for d in DISTANCES), "duplicated", "tail-probe", "tail-timer"]
    return {
        **{name: Conversation(window, _TAKE) for name in names},
        "lone": Conversation(
            [["repeat", LONE_SEGMENTS, [["write", MSS_BYTES], ["sleep", LONE_GAP_S]]]],
            [["sleep", (LONE_SEGMENTS + 5) * LONE_GAP_S], *_TAKE],
        ),
        "bulk": Conversation([["write", BULK_SEGMENTS * MSS_BYTES]], _TAKE),
        "samples": Conversation([["repeat", SAMPLES, exchange]], [["echo"]]),
        "karn": Conversation([["repeat", KARN_BEFORE + 1 + KARN_AFTER, exchange]], [["echo"]]),
        "sack": Conversation(lossy, _TAKE),
        "no-sack": Conversation(lossy, _TAKE),
    }


def windows(faults: Collection[str]) -> Mapping[str, Conversation]:
    """Steps in which the receiver's window is what limits the sender."""
    small: Script = [["option", "receive_buffer_bytes", SMALL_BUFFER_BYTES]]
    tiny: Script = [["option", "receive_buffer_bytes", TINY_BUFFER_BYTES]]
    stalled: Script = [["write", STALLED_BYTES], ["finish"], ["info"]]
    limited: Script = [["write", LIMITED_BYTES], ["finish"], ["info"]]
    pause: Script = [["sleep", PAUSE_S]]
    crumbs: Script = [
        ["option", "nodelay", 1],
        [
            "repeat",
            SILLY_BYTES // SMALL_READ_BYTES,
            [["write", SMALL_READ_BYTES], ["sleep", 0.001]],
        ],
    ]
    found = {
        "stalled": Conversation(stalled, [*small, *pause, *_TAKE]),
        "lost-update": Conversation(stalled, [*small, *pause, *_TAKE]),
        "silly": Conversation(
            crumbs if "small-writes" in faults else [["write", SILLY_BYTES], ["finish"]],
            [*tiny, ["receive", SMALL_READ_BYTES, SMALL_READ_S]],
        ),
        **{
            name: Conversation(
                [["write", WINDOWS_SENT * size], ["finish"]],
                [["option", "receive_buffer_bytes", size], *_TAKE],
            )
            for name, size in zip(WINDOW_STEPS, WINDOWS_BYTES, strict=True)
        },
        "unscaled": Conversation([["write", FAT_BYTES], ["finish"]], _TAKE),
        "scaled": Conversation([["write", FAT_BYTES], ["finish"]], _TAKE),
        "slow-receiver": Conversation(limited, [*small, ["receive", SLOW_READ_BYTES, SLOW_READ_S]]),
        "slow-network": Conversation(limited, _TAKE),
        "answered": Conversation(stalled, [*small, ["sleep", LONG_PAUSE_S], *_TAKE]),
        "unanswered": Conversation(stalled, [*small, ["sleep", LONG_PAUSE_S], *_TAKE]),
    }
    if "fast-reader" in faults:
        plain = {name: Conversation(t.client, _TAKE) for name, t in found.items()}
        return {name: found[name] if name in WINDOW_STEPS else plain[name] for name in found}
    return found
