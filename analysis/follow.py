"""What both sides of a TCP connection said, in the order in which it could be read."""

from __future__ import annotations

import pandas as pd

from analysis import streams
from analysis.streams import Conversation
from testbed.core.errors import ConfigError


def connection(packets: pd.DataFrame, segments: pd.DataFrame, number: int) -> pd.DataFrame:
    """The packets of one connection.

    Args:
        packets: the capture.
        segments: of `analysis.tcp.analyse(packets)`.
        number: of the connection, from 0, as Wireshark's ``tcp.stream``.

    Raises:
        ConfigError: there is no such connection.
    """
    own = segments.index[segments["connection"] == number]
    if not len(own):
        count = segments["connection"].nunique()
        there = f"there are 0 to {count - 1}" if count else "the capture has no TCP connection"
        raise ConfigError(f"--stream {number}: no such connection; {there}")
    return packets.loc[own]


def conversation(packets: pd.DataFrame) -> Conversation | None:
    """What was said in a connection; None: nothing.

    Args:
        packets: of `connection`, with `payload`.
    """
    return next(streams.conversations(packets), None)
