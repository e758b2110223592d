"""Round-trip times of a connection, and what the retransmission timer makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

SYN = 2


def estimates(segments: pd.DataFrame, source: str) -> pd.DataFrame:
    """SRTT and RTTVAR after each sample, by RFC 6298 §2; for one segment at a time.

    Args:
        segments: one connection, captured at the sender (see `analysis.conversation`).
        source: the sender's address. Its SYN gives the first sample.

    Returns:
        one row for each segment with data: time_s, sample_ms, srtt_ms, rttvar_ms; ``low``: the
        sample lies below SRTT by more than RTTVAR (Linux's); ``rttvar_linux_ms``: with such samples
        counted an eighth, of what they exceed RTTVAR by.
    """
    sent = segments[(segments["ip_src"] == source) & (segments["end"] > segments["seq"])]
    sent = sent.drop_duplicates("seq")
    back = segments[(segments["ip_dst"] == source) & segments["ack"].notna()]
    acked = back["ack"].astype("int64").cummax().to_numpy()
    at = np.searchsorted(acked, sent["end"].to_numpy())
    known = at < len(acked)
    came_s = back["time_s"].to_numpy()[np.minimum(at, len(acked) - 1)]
    samples_ms = (1e3 * (came_s - sent["time_s"].to_numpy()))[known]
    rows: list[dict[str, float]] = []
    srtt = rttvar = linux = 0.0
    for number, sample in enumerate(samples_ms):
        error = sample - srtt
        low = bool(number and error < 0 and -error > linux)
        if number == 0:
            srtt, rttvar, linux = sample, sample / 2, sample / 2
        else:
            rttvar += (abs(error) - rttvar) / 4
            linux += (abs(error) - linux) / (32 if low else 4)
            srtt += error / 8
        rows.append(
            {
                "sample_ms": sample,
                "srtt_ms": srtt,
                "rttvar_ms": rttvar,
                "rttvar_linux_ms": linux,
                "low": low,
            }
        )
    table = pd.DataFrame(rows)
    table.insert(0, "time_s", came_s[known])
    data = (sent["payload_bytes"] > 0).to_numpy()[known]
    return table[data].reset_index(drop=True)
