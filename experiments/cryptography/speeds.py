"""Speeds, as ratios: measured on the host, since computation takes no time on the virtual clock.

`measured` runs before the network starts and its result becomes an input of the run, so that a
replay judges the same numbers. It counts the processor's time of this process, the best of several
rounds, and each thing in every round: a busy host slows all of them alike.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pandas as pd

from testbed import Experiment, MissingDataError, Tables, Verdict, all_of, at_least, claim, first

FILE = "speeds.json"

RSA_BITS, DATA_BYTES = 2048, 1 << 16
SCRYPT_COST, SCRYPT_BLOCK = 1 << 13, 8
MUCH = 100
"""Asymmetric ciphers are slower by two orders of magnitude at least."""

HASH_BLOCK_BYTES = 64
_ROUNDS = 3
_SHORTEST_S = 2e-3


class Speeds(Experiment):
    """Speeds, as ratios."""

    @claim(
        "AES is faster than triple DES, although it is stronger.",
        source="NIST SP 800-67 §1; RFC 8429 §3",
    )
    def aes_is_faster_than_triple_des(self, tables: Tables) -> Verdict:
        """Bytes per second of one processor of the host."""
        return at_least(
            speed(tables, "AES-256") / speed(tables, "3DES"), 1, unit="times the speed"
        ).because("bytes per second", tables.of("speeds"))

    @claim(
        "Asymmetric ciphers are slower than symmetric ones by orders of magnitude: they encrypt or "
        "sign only keys and hashes.",
        source="RFC 5652 §6; RFC 4949, “hybrid encryption”",
    )
    def asymmetric_is_slow(self, tables: Tables) -> Verdict:
        """The private and the public operation of RSA, in bytes per second, against AES."""
        private = speed(tables, "RSA private")
        slower = {
            "AES-256": (speed(tables, "AES-256") / private, MUCH),
            "RSA's public operation": (speed(tables, "RSA public") / private, 1),
        }
        return all_of(
            *(
                at_least(ratio, low, unit="times slower", what=f"RSA's private operation, {name}")
                for name, (ratio, low) in slower.items()
            )
        ).because("bytes per second", tables.of("speeds"))

    @claim(
        "A hash for passwords is slow on purpose: PBKDF2 costs as many hashes as it has rounds, "
        "for each guess; scrypt takes memory, too.",
        source="RFC 8018 §4.2; RFC 7914 §2",
    )
    def slow_hashes_slow_guessing(self, tables: Tables) -> Verdict:
        """One guess against one block of SHA-256."""
        rounds = {"PBKDF2": int(self.params.pbkdf2_rounds), "scrypt": SCRYPT_COST}
        one = 1 / speed(tables, "SHA-256")
        return all_of(
            *(
                at_least(1 / speed(tables, name) / one, low, unit="hashes per guess", what=name)
                for name, low in rounds.items()
            )
        ).because("operations per second", tables.of("speeds"))


def speed(tables: Tables, name: str) -> float:
    """Bytes, or hashes, per second.

    Raises:
        MissingDataError: not measured.
    """
    value = float(first(tables.of("speeds", operation=name), f"speed of {name}")["per_s"])
    if not value > 0:
        raise MissingDataError(f"speed of {name}: {value}")
    return value


def read(path: Path) -> pd.DataFrame:
    """The measured speeds: `operation`, `unit`, `per_s`."""
    try:
        rows = json.loads((path / FILE).read_text(encoding="utf-8"))
        return pd.DataFrame(
            [(str(r["operation"]), str(r["unit"]), float(r["per_s"])) for r in rows],
            columns=["operation", "unit", "per_s"],
        )
    except FileNotFoundError:
        raise MissingDataError(f"the run has no {FILE}") from None
    except (ValueError, KeyError, TypeError):
        raise MissingDataError(f"{FILE}: cannot be read") from None


# ---- on the host


def measured(pbkdf2_rounds: int, faults: Collection[str]) -> str:
    """All speeds, as JSON."""
    work = {**_ciphers(), **_hashes(1 if "fast-hash" in faults else pbkdf2_rounds)}
    if "swapped-ciphers" in faults:
        swapped = ("3DES", "AES-256", "RSA private")
        work |= zip(swapped, [work[n] for n in (*swapped[1:], swapped[0])], strict=True)
    best = dict.fromkeys(work, float("inf"))
    for _ in range(_ROUNDS):
        for name, (act, _, _) in work.items():
            best[name] = min(best[name], _duration_s(act))
    rows = [
        {"operation": name, "unit": unit, "per_s": amount / best[name]}
        for name, (_, amount, unit) in work.items()
    ]
    return json.dumps(rows)


def _duration_s(act: Callable[[], Any]) -> float:
    """Processor time of one call, from as many as a clock can tell apart."""
    calls, begin_s = 0, time.process_time()
    while (passed_s := time.process_time() - begin_s) < _SHORTEST_S or not calls:
        act()
        calls += 1
    return passed_s / calls


Work = dict[str, tuple[Callable[[], Any], float, str]]
"""Name → one call, how much it does, of what."""


def _ciphers() -> Work:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    from testbed.programs.ciphers import CIPHERS
    from testbed.programs.protection import OAEP

    data = bytes(DATA_BYTES)

    def encrypting(cipher: Any) -> Callable[[], Any]:
        start = modes.CBC(bytes(cipher.block_size // 8))
        return lambda: Cipher(cipher, start).encryptor().update(data)

    private = rsa.generate_private_key(65537, RSA_BITS)
    block = bytes(range(100))
    encrypted = private.public_key().encrypt(block, OAEP)
    size = RSA_BITS / 8
    return {
        "AES-256": (encrypting(algorithms.AES(bytes(range(32)))), DATA_BYTES, "bytes"),
        "3DES": (encrypting(CIPHERS["3DES"][0](bytes(range(24)))), DATA_BYTES, "bytes"),
        "RSA public": (lambda: private.public_key().encrypt(block, OAEP), size, "bytes"),
        "RSA private": (lambda: private.decrypt(encrypted, OAEP), size, "bytes"),
    }


def _hashes(rounds: int) -> Work:
    data, blocks = bytes(DATA_BYTES), DATA_BYTES / HASH_BLOCK_BYTES
    word, salt = b"sunshine", bytes(16)
    return {
        "SHA-256": (lambda: hashlib.sha256(data).digest(), blocks, "hashes"),
        "PBKDF2": (lambda: hashlib.pbkdf2_hmac("sha256", word, salt, rounds), 1, "hashes"),
        "scrypt": (
            lambda: hashlib.scrypt(word, salt=salt, n=SCRYPT_COST, r=SCRYPT_BLOCK, p=1),
            1,
            "hashes",
        ),
    }
