"""What client and server do in each step: scripts for `testbed/programs/endpoint.py`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from testbed import MSS_BYTES, Conversation

Script = list[list[Any]]

WRITE_BYTES, REPLY_BYTES, REQUESTS = 10, 10, 10
KEYS = 20
MERGED_WRITES = 10
BUFFERED_WRITES, BUFFERED_BYTES = 30, 100
LONG_BYTES = 5000
TAIL_BYTES = 100
MESSAGES_BYTES = (10, 200, 3, 1000, 50)
"""Sizes of the messages that a slow reader finds."""

SMALL_READ_BYTES, READ_IN_PARTS_BYTES = 7, 100
"""A reader's buffer, and the message that it reads with that."""

_ALL_BYTES, _REST_S, _SLOW_S = 65_536, 1.0, 1.0
_TAKE: Script = [["receive", _ALL_BYTES]]
_NODELAY: Script = [["option", "nodelay", 1]]


def conversations(rtt_s: float, faults: Collection[str]) -> dict[str, Conversation]:
    """By the step's name.

    Args:
        rtt_s: round-trip time of the path; keys are typed at a quarter of it.
        faults: what is broken on purpose.
    """
    two_writes: Script = [["write", WRITE_BYTES], ["write", WRITE_BYTES]]
    whole: Script = two_writes if "split-write" in faults else [["write", 2 * WRITE_BYTES]]
    reply: Script = [["read", REPLY_BYTES]]
    serve: Script = [["repeat", REQUESTS, [["read", 2 * WRITE_BYTES], ["write", REPLY_BYTES]]]]
    corked: Script = [["option", "cork", 1], *two_writes, ["option", "cork", 0]]
    keys: Script = [["type", KEYS, rtt_s / 4]]
    large = 3 * MSS_BYTES + TAIL_BYTES
    messages: Script = [[w, v] for n in MESSAGES_BYTES for w, v in (("write", n), ("sleep", 0.005))]
    late: Script = [["sleep", _SLOW_S], *_TAKE]
    late_datagrams: Script = [["sleep", _SLOW_S], ["receive", _ALL_BYTES, 0, len(MESSAGES_BYTES)]]
    found = {
        "two-writes": Conversation([["repeat", REQUESTS, two_writes + reply]], serve),
        "no-delay": Conversation([*_NODELAY, ["repeat", REQUESTS, two_writes + reply]], serve),
        "one-write": Conversation([["repeat", REQUESTS, whole + reply]], serve),
        "cork": Conversation([["repeat", REQUESTS, corked + reply]], serve),
        "cork-left": Conversation(
            [["option", "cork", 1], ["write", large], ["sleep", _REST_S]], _TAKE
        ),
        "keys": Conversation(keys, [["echo"]]),
        "keys-no-delay": Conversation(_NODELAY + keys, [*_NODELAY, ["echo"]]),
        "small-then-large": Conversation(
            [["write", WRITE_BYTES], ["write", large], ["sleep", _REST_S]], _TAKE
        ),
        "merged": Conversation(
            [["repeat", MERGED_WRITES, [["write", WRITE_BYTES]]], ["sleep", _REST_S]], _TAKE
        ),
        "buffered": Conversation(
            [*_NODELAY, ["repeat", BUFFERED_WRITES, [["write", BUFFERED_BYTES]]]], _TAKE
        ),
        "split": Conversation([["write", LONG_BYTES]], _TAKE),
        "slow-reader": Conversation(_NODELAY + messages, late),
        "small-reads": Conversation(
            [["write", READ_IN_PARTS_BYTES]], [["receive", SMALL_READ_BYTES]]
        ),
        "datagrams": Conversation(messages, late_datagrams, "udp"),
    }
    return {name: _broken(talk, faults) for name, talk in found.items()}


def _broken(talk: Conversation, faults: Collection[str]) -> Conversation:
    """The conversation with the faults that scripts can have."""
    client, server, kind = talk.client, talk.server, talk.kind
    if "nodelay" in faults:
        client = _NODELAY + _without(client, "option")
    if "nagle" in faults:
        client = _without(client, "option")
    if "fast-reader" in faults:
        server = _without(server, "sleep")
        server = [["receive", _ALL_BYTES, *o[2:]] if o[0] == "receive" else o for o in server]
    if "slow-reader" in faults and server[0][0] == "receive":
        server = [["sleep", _SLOW_S], *_TAKE]
    if "tcp-only" in faults:
        kind = "tcp"
    return Conversation(client, server, kind)


def _without(script: Script, word: str) -> Script:
    """The script without operations of one kind."""
    kept = [op for op in script if op[0] != word]
    return [[*op[:2], _without(op[2], word)] if op[0] == "repeat" else op for op in kept]
