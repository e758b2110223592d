"""What the programs without a network printed, as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from testbed import MissingDataError, first, steps

from .parties import PICTURES

if TYPE_CHECKING:
    from testbed import ScenarioData, Tables

HASHING, CIPHERS = "h1-hashing", "h1-ciphers"
"""Logs."""

MODES = ("plain", "ecb", "cbc", "ctr")
BLOCK_BYTES = 16

_COLUMNS: dict[str, tuple[str, list[str]]] = {
    "length": (HASHING, ["hash", "input_bytes", "output_bytes"]),
    "avalanche": (HASHING, ["bits", "changed"]),
    "preimage": (HASHING, ["bits", "tries"]),
    "collision": (HASHING, ["bits", "tries"]),
    "pair": (HASHING, ["first", "second"]),
    "stored": (HASHING, ["site", "user", "salt", "hash"]),
    "cipher": (CIPHERS, ["cipher", "one_byte_becomes", "key_bits", "used_bits"]),
    "answer": (CIPHERS, ["cipher", "key", "plain", "found"]),
}
"""Fact, and table → log and columns. Lists become one row per value."""

_LISTS = ("changed", "tries")


def read(data: ScenarioData, announced: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A table for each kind of fact, and ``pictures`` (`mode`, `width`, `height`, `octets`)."""
    logs = {log: steps.json_logs(data, announced, log) for log in (HASHING, CIPHERS)}
    found = {}
    for fact, (log, columns) in _COLUMNS.items():
        rows = logs[log]
        rows = rows[rows["fact"] == fact] if "fact" in rows else rows.iloc[:0]
        table = rows.reindex(columns=columns)
        for column in set(columns) & set(_LISTS):
            table = table.explode(column)
        found[fact] = table.infer_objects().reset_index(drop=True)
    return {**found, "pictures": _pictures(data.path / PICTURES, logs[CIPHERS])}


def _pictures(folder: Path, rows: pd.DataFrame) -> pd.DataFrame:
    columns = ["mode", "width", "height", "octets"]
    stated = rows[rows["fact"] == "picture"] if "fact" in rows else rows.iloc[:0]
    if stated.empty:
        return pd.DataFrame(columns=columns)
    size = int(stated["width"].iloc[0]), int(stated["height"].iloc[0])
    found = [(m, *size, (folder / m).read_bytes()) for m in MODES if (folder / m).is_file()]
    return pd.DataFrame(found, columns=columns)


def picture(tables: Tables, mode: str) -> bytes:
    """The picture, or what a mode made of it.

    Raises:
        MissingDataError: it is not there, or not whole.
    """
    row = first(tables.of("pictures", mode=mode), f"picture '{mode}'")
    octets = bytes(row["octets"])
    if not octets or len(octets) % BLOCK_BYTES:
        raise MissingDataError(f"picture '{mode}' has {len(octets)} bytes, not whole blocks")
    return octets


def blocks(octets: bytes) -> list[bytes]:
    """The blocks of a ciphertext."""
    return [octets[at : at + BLOCK_BYTES] for at in range(0, len(octets), BLOCK_BYTES)]
