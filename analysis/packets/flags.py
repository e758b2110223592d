"""TCP flags by name."""

from __future__ import annotations

import numpy as np
import pandas as pd

from testbed.core.errors import ConfigError, nearest

FLAGS = {
    "FIN": 1,
    "SYN": 2,
    "RST": 4,
    "PSH": 8,
    "ACK": 16,
    "URG": 32,
    "ECE": 64,
    "CWR": 128,
    "AE": 256,
}
"""Bits of `tcp_flags` (RFC 9293 §3.1; AE: RFC 9768)."""


def bits(names: str) -> int:
    """The bits of flags named like ``SYN ACK`` (or ``SYN,ACK``).

    Raises:
        ConfigError: a name is not a TCP flag.
    """
    value = 0
    for name in names.upper().replace(",", " ").split():
        if name not in FLAGS:
            raise ConfigError(f"TCP flag: '{name}' is unknown{nearest(name, FLAGS)}")
        value |= FLAGS[name]
    return value


def has_flags(packets: pd.DataFrame, names: str, without: str = "") -> pd.Series[bool]:
    """True for segments with all of the named flags and none of `without`; False if not TCP."""
    value = packets["tcp_flags"].fillna(0).to_numpy(np.uint16)
    must, not_any = bits(names), bits(without)
    known = packets["tcp_flags"].notna().to_numpy()
    match = known & ((value & must) == must) & ((value & not_any) == 0)
    return pd.Series(match, index=packets.index)


def flag_names(value: int) -> str:
    """`SYN,ACK` for 18; `none` if no bit is set."""
    return ",".join(name for name, bit in FLAGS.items() if value & bit) or "none"
