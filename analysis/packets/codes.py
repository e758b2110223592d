"""Small numbers for the distinct values of a column: what its categories are made from."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

SLOT_BITS = 12
_SPREAD = np.uint64(0x9E37_79B9_7F4A_7C15)
_SPREAD_LOW = np.uint64(0xC2B2_AE3D_27D4_EB4F)
_NO_KEY = np.uint64(2**64 - 1)


class Codes:
    """Gives every distinct value a small number, in the order of appearance.

    Numbers are looked up in a small hash table first, all at once; only what is not there is
    sorted out and added. A key that would displace another stays outside.
    """

    def __init__(self, as_text: Callable[[Any], str]) -> None:
        self._codes: dict[Hashable, int] = {}
        self._as_text = as_text
        self._texts: list[str] = []
        self._keys = np.full(1 << SLOT_BITS, _NO_KEY)
        self._slots = np.full(1 << SLOT_BITS, -1, np.int32)

    def of(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Codes of unsigned numbers below 2^64 - 1, (n,) any integer type."""
        keys = values.astype(np.uint64, copy=False)
        slot = self._slot(keys)
        codes: npt.NDArray[np.int32] = self._slots.take(slot)
        strange = self._keys.take(slot)
        strange -= keys
        if strange.any():
            rows = np.flatnonzero(strange)
            codes[rows] = self._learn(keys[rows])
        return codes

    @staticmethod
    def _slot(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        slot = keys * _SPREAD
        slot >>= np.uint64(64 - SLOT_BITS)
        return slot.view(np.int64)

    def _learn(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        which, distinct = pd.factorize(keys)
        numbers = self._numbers(distinct.tolist())
        slot = self._slot(distinct)
        free = self._keys[slot] == _NO_KEY
        self._keys[slot[free]] = distinct[free]
        # Two new keys of one slot: the last one's key stands there, and so must its code.
        self._slots[slot[free]] = numbers[free]
        return numbers[which]

    def of_pairs(
        self, high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.int32]:
        """Codes of 128-bit numbers, each key a pair (high, low)."""
        which, highs, lows = distinct_pairs(high, low)
        codes: npt.NDArray[np.int32] = self._numbers(
            list(zip(highs.tolist(), lows.tolist(), strict=True))
        )[which]
        return codes

    def of_one(self, value: Hashable) -> int:
        """The code of one value."""
        return self._codes.setdefault(value, len(self._codes))

    def _numbers(self, keys: Sequence[Hashable]) -> npt.NDArray[np.int32]:
        return np.array([self.of_one(key) for key in keys], np.int32)

    def __len__(self) -> int:
        return len(self._codes)

    def texts(self) -> list[str]:
        """The distinct values as text, in the order of their codes."""
        new = islice(self._codes, len(self._texts), None)
        self._texts += [self._as_text(value) for value in new]
        return self._texts

    def sort(self) -> npt.NDArray[np.int32]:
        """Puts the values in order; gives the new code of each old one, and -1 for -1.

        Codes are given as packets are decoded, usual ones first. Which those are must not be seen.
        """
        order = sorted(self._codes, key=lambda value: (isinstance(value, tuple), value))
        new = {value: code for code, value in enumerate(order)}
        codes = np.array([*(new[value] for value in self._codes), -1], np.int32)
        self._codes, self._texts = dict(new), []
        return codes


class Pairs:
    """Codes of two addresses that stand side by side in a header, looked up as one key.

    Compiled code looks them up, and leaves to `learn` what it does not find. A key that would
    displace another stays outside.

    Attributes:
        wide: (slots,) the key there: its first 64 bits.
        narrow: (slots,) and 32 bits that follow, for link addresses; else 0.
        first: (slots,) code of the key's first address.
        second: (slots,) code of its second one.
    """

    def __init__(
        self, codes: Codes, split: Callable[[int, int], tuple[int, int]], wanted: tuple[bool, bool]
    ) -> None:
        """`split` gives the two addresses of a key; one that is not wanted gets no code."""
        self._codes, self._split, self._wanted = codes, split, wanted
        # An empty slot holds a key that belongs elsewhere: 0 goes to slot 0, 1 does not.
        self.wide = np.zeros(1 << SLOT_BITS, np.uint64)
        self.wide[0] = 1
        self.narrow = np.zeros(1 << SLOT_BITS, np.uint32)
        self.first = np.full(1 << SLOT_BITS, -1, np.int32)
        self.second = np.full(1 << SLOT_BITS, -1, np.int32)

    def learn(
        self, wide: npt.NDArray[np.uint64], narrow: npt.NDArray[np.uint32]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Codes of the first and of the second address of keys that were not found."""
        which, wide, narrow = distinct_pairs(wide, narrow)
        both = [
            [
                self._codes.of_one(address) if wanted else 0
                for address, wanted in zip(self._split(*key), self._wanted, strict=True)
            ]
            for key in zip(wide.tolist(), narrow.tolist(), strict=True)
        ]
        numbers = np.array(both, np.int32)
        slot = (wide * _SPREAD ^ narrow * _SPREAD_LOW) >> np.uint64(64 - SLOT_BITS)
        free = self.first[slot] < 0
        # Two new keys of one slot: the last one's key stands there, and so must its codes.
        for array, values in (
            (self.wide, wide),
            (self.narrow, narrow),
            (self.first, numbers[:, 0]),
            (self.second, numbers[:, 1]),
        ):
            array[slot[free]] = values[free]
        return numbers[which, 0], numbers[which, 1]


def distinct_pairs(high: npt.NDArray[Any], low: npt.NDArray[Any]) -> tuple[Any, Any, Any]:
    """Which of the distinct pairs each row is, and the high and low numbers of those pairs."""
    of_high, highs = pd.factorize(high)
    of_low, lows = pd.factorize(low)
    which, pairs = pd.factorize(of_high.astype(np.int64) * len(lows) + of_low)
    return which, highs[pairs // len(lows)], lows[pairs % len(lows)]


def split_macs(wide: int, narrow: int) -> tuple[int, int]:
    """Destination and source at the start of an Ethernet header: 12 bytes."""
    return wide >> 16, (wide & 0xFFFF) << 32 | narrow


def split_ips(wide: int, _narrow: int) -> tuple[int, int]:
    """Source and destination of an IPv4 header: 8 bytes."""
    return wide >> 32, wide & 0xFFFF_FFFF


def mac_text(value: int) -> str:
    """`00:1b:21:0a:0b:0c` for a 48-bit number."""
    return value.to_bytes(6, "big").hex(":")


def ip_text(value: int | tuple[int, int]) -> str:
    """An address: IPv4 for a 32-bit number, IPv6 for a pair of 64-bit ones."""
    if isinstance(value, tuple):
        return str(ipaddress.IPv6Address((value[0] << 64) | value[1]))
    return str(ipaddress.IPv4Address(value))
