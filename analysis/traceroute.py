"""Traceroute as packets tell it: probes, who answered each, and what an error quotes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.packets import flag_names


def walk(packets: pd.DataFrame, source: str) -> pd.DataFrame:
    """One row a probe; its answer is the first packet to the source before the next probe.

    Args:
        packets: IPv4 packets at the source, in order, with one probe under way at a time.
        source: the address that probes.

    Returns:
        ``ttl``, ``rtt_ms`` (null: no answer), ``by`` (who answered), ``answer``: ICMP's
        type/code, or a segment's flags.
    """
    probes = packets[packets["ip_src"] == source].reset_index(drop=True)
    answers = packets[packets["ip_dst"] == source]
    ends = [*probes["frame"].iloc[1:], float("inf")]
    rows = []
    for (_, probe), end in zip(probes.iterrows(), ends, strict=True):
        found = answers[(answers["frame"] > probe.frame) & (answers["frame"] < end)]
        first = next(found.itertuples(), None)
        rows.append(
            {
                "ttl": int(probe.ip_ttl),
                "rtt_ms": (first.time_s - probe.time_s) * 1e3 if first else None,
                "by": str(first.ip_src) if first else "",
                "answer": _answer(first),
            }
        )
    return pd.DataFrame(rows, columns=["ttl", "rtt_ms", "by", "answer"])


def quoted(payload: bytes) -> tuple[int, str]:
    """Identification and destination of the packet that an ICMP error quotes."""
    identification = int.from_bytes(payload[4:6], "big")
    return identification, ".".join(str(b) for b in payload[16:20])


def _answer(packet: Any) -> str:
    if packet is None:
        return ""
    if not pd.isna(packet.icmp_type):
        return f"{int(packet.icmp_type)}/{int(packet.icmp_code)}"
    return flag_names(int(packet.tcp_flags)) if not pd.isna(packet.tcp_flags) else packet.info
