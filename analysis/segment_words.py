"""What a TCP segment says, with numbers that count from the beginning of its connection."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis import tcp
from analysis.packets import flag_names
from analysis.packets.flags import FLAGS


def described(packets: pd.DataFrame, *, windows: bool = False) -> pd.DataFrame:
    """Packets of one or more captures, with TCP segments described in ``info``.

    ``PSH,ACK 1:101 ack 1``: flags, numbers of the first byte and of the one behind the last where
    the segment occupies any, and the acknowledgement; then urgent data and SACK blocks.

    Args:
        packets: with ``capture``, ``info`` and the columns `analysis.tcp.NEEDED`.
        windows: add the receive window in bytes, ``win 17376``.
    """
    parts = []
    for _, seen in packets.groupby("capture", sort=False):
        found = tcp.analyse(seen)
        whole = seen.loc[found.index].assign(seq=found["seq"], ack=found["ack"])
        if windows:
            whole["window_bytes"] = found["window_bytes"]
        words = [_words(row) for row in whole.to_dict("records")]
        info = pd.Series(words, index=found.index, dtype="string")
        parts.append(seen.assign(info=info.reindex(seen.index).fillna(seen["info"])))
    return pd.concat(parts) if parts else packets


def _words(row: dict[Any, Any]) -> str:
    flags, seq = int(row["tcp_flags"]), int(row["seq"])
    occupied = int(row["tcp_payload_bytes"]) + bool(flags & (FLAGS["SYN"] | FLAGS["FIN"]))
    text = f"{flag_names(flags)} {seq}" + (f":{seq + occupied}" if occupied else "")
    if flags & FLAGS["ACK"] and not pd.isna(row["ack"]):
        text += f" ack {int(row['ack'])}"
        text += f" win {int(row['window_bytes'])}" if "window_bytes" in row else ""
        text += _blocks(row, int(row["tcp_ack"]) - int(row["ack"]))
    if flags & FLAGS["URG"] and not pd.isna(row.get("tcp_urgent")):
        text += f" urgent up to {seq + int(row['tcp_urgent'])}"
    return text


def _blocks(row: dict[Any, Any], base: int) -> str:
    """SACK blocks, in the numbers of the acknowledgement."""
    count = 0 if pd.isna(row["tcp_sack_count"]) else min(3, int(row["tcp_sack_count"]))
    blocks = [
        tuple((int(row[f"tcp_sack{n}_{edge}"]) - base) % (1 << 32) for edge in ("left", "right"))
        for n in range(1, count + 1)
    ]
    return " SACK " + ", ".join(f"{left}:{right}" for left, right in blocks) if blocks else ""
