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
from analysis.packets.payloads import with_payloads
from analysis.packets.reader import RawPacket, read, read_chunks, read_raw, read_raw_many
from analysis.packets.tunnels import inner

__all__ = [
    "COLUMNS",
    "Column",
    "RawPacket",
    "flag_names",
    "has_flags",
    "inner",
    "read",
    "read_chunks",
    "read_raw",
    "read_raw_many",
    "to_parquet",
    "with_payloads",
]
