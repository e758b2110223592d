"""Payloads of some packets of a capture, which may be too large to hold all of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.packets.feed import Source
from analysis.packets.reader import read_chunks
from testbed.core.errors import CaptureError

_CHUNK_PACKETS = 1 << 15


def with_payloads(source: Source, packets: pd.DataFrame) -> pd.DataFrame:
    """Packets with their payloads, which a second pass over the capture reads.

    Args:
        source: the capture, as in `read`; a stream must be at its beginning.
        packets: some of its packets, with ``frame``, in capture order.

    Returns:
        `packets` with the column ``payload``; null where a packet has none, or where the capture is
        damaged before it.
    """
    wanted = packets["frame"].to_numpy(np.int64)
    last = int(wanted[-1]) if len(wanted) else 0
    parts = [pd.Series(dtype=object)]
    try:
        for chunk in read_chunks(source, ["frame", "payload"], chunk_packets=_CHUNK_PACKETS):
            frames = chunk["frame"].to_numpy()
            if len(frames) == 0 or frames[0] > last:
                break
            chosen = chunk[np.isin(frames, wanted, assume_unique=True)]
            parts.append(chosen.set_index("frame")["payload"].astype(object))
            if frames[-1] >= last:
                break
    except CaptureError as error:  # the first pass has reported it
        assert error.packets is not None
    found = pd.concat(parts).reindex(wanted)
    return packets.assign(payload=found.where(found.notna(), None).to_numpy())
