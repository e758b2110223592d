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
    "echoes": "echo",
    "entries": "entry",
    "losses": "loss",
    "matches": "match",
    "queries": "query",
    "replies": "reply",
    "retries": "retry",
} | {
    plural: plural.removesuffix("s")
    for plural in (
        "ACKs SYNs SYN+ACKs FINs DISCOVERs OFFERs REQUESTs LSAs acknowledgements announcements"
        " answers blocks bytes changes characters checks checksums claims commands connections"
        " contradictions cookies datagrams drops duplicates errors files flows"
        " fragments frames gaps headers hops hosts letters lies links marks messages metrics"
        " moves names nodes numbers offers packet-ins packets pieces pings pointers ports probes"
        " questions records repeats repetitions reports requests resets rounds rows runs samples"
        " segments streams students timeouts times transmissions trips updates workers wraps"
    ).split()
}
"""What claims and reports count. Other units stay as given: no spelling rule covers English."""

_BEHIND = frozenset("of with without in for to by at from than that per on a the is".split())
"""What comes after one of these words is not what is counted."""


def number(value: float, unit: str = "") -> str:
    """Four digits for a measurement; a count in full."""
    whole = math.isfinite(value) and float(value).is_integer() and abs(value) < _COUNTS
    unit = _of_one(unit) if value == 1 else unit
    return f"{int(value) if whole else format(float(value), '.4g')} {unit}".strip()


def _of_one(unit: str) -> str:
    """``old packets per RTT`` → ``old packet per RTT``; unknown plurals stay."""
    words = unit.split(" ")
    for place, word in enumerate(words):
        if word in _BEHIND:
            break
        noun = word.rstrip(",;")
        if noun in _SINGULAR:
            words[place] = _SINGULAR[noun] + word[len(noun) :]
            break
    return " ".join(words)
