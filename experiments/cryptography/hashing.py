"""Hashes: length, one way, collisions, and how passwords are kept."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    claim,
    first,
    near,
    presuming,
    same,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

LENGTHS_BYTES = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64, "sha3_256": 32}

DEVIATIONS = 4
"""How many standard deviations a mean may be off: by chance once in 16,000 times."""

COMMON = ("123456", "password", "qwerty", "dragon", "sunshine", "iloveyou", "football", "monkey")
"""The passwords that somebody tries first."""


class Hashing(Experiment):
    """Hashes: length, one way, collisions, and how passwords are kept."""

    @claim(
        "A hash has a fixed length, whatever the length of the input.",
        source="RFC 1321 §1; FIPS 180-4 §1; FIPS 202 §1",
    )
    def hash_has_a_fixed_length(self, tables: Tables) -> Verdict:
        """Five functions, inputs of no byte to a million bytes."""
        rows = tables.of("length")
        found = {
            str(name): sorted({int(n) for n in group["output_bytes"]})
            for name, group in rows.groupby("hash")
        }
        wanted = {name: [LENGTHS_BYTES[name]] for name in sorted(LENGTHS_BYTES)}
        return presuming(
            all_of(
                at_least(rows["input_bytes"].nunique(), 2, unit="lengths of inputs"),
                same(sorted(found), sorted(LENGTHS_BYTES), "functions"),
            ),
            same(found, wanted, "bytes"),
        ).because("lengths", rows[["hash", "input_bytes", "output_bytes"]])

    @claim(
        "One changed bit of the input changes about half of the bits of the hash.",
        source="Webster and Tavares 1985, “On the Design of S-Boxes”",
    )
    def one_bit_changes_half(self, tables: Tables) -> Verdict:
        """Each bit of the hash changes with probability ½: mean and deviation of a binomial."""
        rows = tables.of("avalanche")
        bits, changed = int(rows["bits"].iloc[0]), rows["changed"].astype(float)
        deviation = math.sqrt(bits) / 2
        return all_of(
            near(
                float(changed.mean()),
                bits / 2,
                abs=DEVIATIONS * deviation / math.sqrt(len(changed)),
                unit="bits",
                what="mean",
            ),
            near(
                float(changed.std()),
                deviation,
                rel=DEVIATIONS / math.sqrt(2 * len(changed)),
                unit="bits",
                what="standard deviation",
            ),
        ).because("changed bits", rows)

    @claim(
        "Hashes go one way: nobody knows better than to try inputs, and each bit of the hash "
        "doubles the tries, to 2^n for n bits.",
        source="RFC 4270 §2",
    )
    def one_way_costs_all_values(self, tables: Tables) -> Verdict:
        """Hashes cut to a few bits: the tries are geometric, with mean and deviation 2^n."""
        rows = tables.of("preimage")
        return _tries(rows, lambda bits: 2.0**bits, deviation=1)

    @claim(
        "Two inputs with the same hash of n bits come after about 1.25 · 2^(n/2) tries, as two "
        "people with the same birthday do.",
        source="RFC 4270 §2; birthday problem: mean √(π/2 · 2^n)",
    )
    def collisions_come_at_the_root(self, tables: Tables) -> Verdict:
        """The tries have a Rayleigh distribution: its mean, and 52 % of it as deviation."""
        rows = tables.of("collision")
        return _tries(
            rows,
            lambda bits: math.sqrt(math.pi / 2 * 2**bits),
            deviation=math.sqrt(4 / math.pi - 1),
        )

    @claim(
        "MD5 is broken: different inputs with the same hash are known. SHA-256 tells them apart.",
        source="RFC 6151 §2.1; Wang and Yu 2005",
    )
    def md5_is_broken(self, tables: Tables) -> Verdict:
        """Two blocks of 128 bytes in print."""
        row = first(tables.of("pair"), "pair of inputs")
        one, two = (bytes.fromhex(str(row[name])) for name in ("first", "second"))
        return all_of(
            same(one == two, False, "same input"),
            same(_hash("md5", one) == _hash("md5", two), True, "same MD5"),
            same(_hash("sha256", one) == _hash("sha256", two), False, "same SHA-256"),
        ).because("both inputs", tables.of("pair"))

    @claim(
        "Without salts one table of hashes opens all accounts with common passwords, and shows who "
        "has the same one. With salts the table finds nothing; each account must be tried alone.",
        source="RFC 8018 §4.1",
    )
    def salts_defeat_tables(self, tables: Tables) -> Verdict:
        """The hashes that two sites keep of the same passwords, and a table made beforehand."""
        table = {_hash("sha256", word.encode()): word for word in COMMON}
        found, same_hashes, tried = {}, {}, {}
        for site in ("plain", "salted"):
            rows = tables.of("stored", site=site)
            users = list(zip(rows["user"], rows["salt"], rows["hash"], strict=True))
            if len(users) < 2:
                raise MissingDataError(f"fewer than two accounts of site '{site}'")
            found[site] = sorted(user for user, _, stored in users if stored in table)
            same_hashes[site] = len(users) - rows["hash"].nunique()
            tried[site] = sorted(user for user, salt, stored in users if _guessed(salt, stored))
        return presuming(
            at_least(len(tried["plain"]), 1, unit="accounts with common passwords"),
            same(found, {"plain": tried["plain"], "salted": []}, "opened by the table"),
            same(same_hashes, {"plain": 1, "salted": 0}, "equal hashes"),
            same(tried["salted"], tried["plain"], "opened one by one"),
        ).because("what the sites keep", tables.of("stored")[["site", "user", "salt", "hash"]])


def by_bits(rows: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """The searches for each length of the hash."""
    return {
        int(bits): rows[rows["bits"] == bits] for bits in sorted(rows["bits"].unique().tolist())
    }


def _tries(rows: pd.DataFrame, mean: Callable[[int], float], deviation: float) -> Verdict:
    """Mean tries for each length of the hash.

    Args:
        rows: the searches, with `bits` and `tries`.
        mean: bits → expected tries.
        deviation: standard deviation of one search, as a fraction of its mean.
    """
    return all_of(
        *(
            near(
                float(group["tries"].mean()),
                mean(bits),
                rel=DEVIATIONS * deviation / math.sqrt(len(group)),
                unit="tries",
                what=f"{bits} bits",
            )
            for bits, group in by_bits(rows).items()
        )
    ).because("tries of each search", rows)


def _hash(name: str, data: bytes) -> str:
    return hashlib.new(name, data, usedforsecurity=False).hexdigest()


def _guessed(salt: str, stored: str) -> bool:
    """True if a common password, with the account's salt, has this hash."""
    known = bytes.fromhex(salt)
    return any(_hash("sha256", known + word.encode()) == stored for word in COMMON)
