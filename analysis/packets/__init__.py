"""Captures to pandas: one row a packet, one typed column a header field.

    from analysis import packets
    df = packets.read("run/r1-eth0.pcap")
    df[(df.ip_src == "10.0.0.1") & packets.has_flags(df, "SYN")]

`COLUMNS` says what each column holds; docs/packet-columns.md is made from it.
"""

from __future__ import annotations

from analysis.packets.columns import COLUMNS, Column
from analysis.packets.export import to_parquet
from analysis.packets.flags import flag_names, has_flags
from analysis.packets.reader import read, read_chunks

__all__ = ["COLUMNS", "Column", "flag_names", "has_flags", "read", "read_chunks", "to_parquet"]
