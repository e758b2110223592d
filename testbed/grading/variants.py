"""What varies between students: numbers drawn from the course's secret, the lab and the student.

HMAC-SHA256 (RFC 2104) in counter mode, so that a variant is the same in every version of Python,
and nobody without the secret can predict another student's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")

_BLOCK_BITS = 256


class SeededRandom:
    """A stream of choices; the same calls in the same order give the same values."""

    def __init__(self, secret: bytes, lab: str, student: str) -> None:
        about = f"testbed variant 1\0{lab}\0{student}".encode()
        self._key = hmac.new(secret, about, hashlib.sha256).digest()
        self._count = 0

    def _below(self, bound: int) -> int:
        """A number from 0 to `bound` - 1, all equally likely."""
        while True:
            block = hmac.new(self._key, self._count.to_bytes(8, "big"), hashlib.sha256).digest()
            self._count += 1
            number = int.from_bytes(block, "big")
            if number < (1 << _BLOCK_BITS) // bound * bound:
                return number % bound

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self._below(high - low + 1)

    def choice(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self._below(len(items))]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """The items in random order."""
        left = list(items)
        return [left.pop(self._below(len(left))) for _ in items]

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different ones of the items, in random order."""
        return self.shuffled(items)[:count]
