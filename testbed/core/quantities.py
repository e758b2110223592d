"""Quantities and collections in words, as verdicts print them."""

from __future__ import annotations

import math
from typing import Any

_COUNTS = 1e9
"""Whole numbers below this are printed with all digits."""


def in_words(value: Any) -> str:
    """Text, numbers and collections of these, as a verdict prints them."""
    if isinstance(value, dict):
        return ", ".join(f"{in_words(k)} {in_words(v)}" for k, v in value.items()) or "none"
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return ", ".join(map(in_words, value)) or "none"
    return str(value) if value != "" else "none"


_SINGULAR = {
    "addresses": "address",
    "entries": "entry",
    "matches": "match",
    "queries": "query",
    "replies": "reply",
} | {
    plural: plural.removesuffix("s")
    for plural in (
        "announcements",
        "answers",
        "bytes",
        "connections",
        "datagrams",
        "drops",
        "duplicates",
        "errors",
        "flows",
        "fragments",
        "frames",
        "hops",
        "lies",
        "marks",
        "messages",
        "offers",
        "packet-ins",
        "packets",
        "pings",
        "ports",
        "probes",
        "questions",
        "requests",
        "rounds",
        "segments",
        "times",
    )
}
"""What claims count. Other units stay as given: no spelling rule covers English."""


def number(value: float, unit: str = "") -> str:
    """Four digits for a measurement; a count in full."""
    whole = math.isfinite(value) and float(value).is_integer() and abs(value) < _COUNTS
    unit = _of_one(unit) if value == 1 else unit
    return f"{int(value) if whole else format(float(value), '.4g')} {unit}".strip()


def _of_one(unit: str) -> str:
    """``packets per RTT`` → ``packet per RTT``; unknown plurals stay."""
    noun, gap, rest = unit.partition(" ")
    return _SINGULAR.get(noun, noun) + gap + rest
