"""Payloads of some packets of a capture, which may be too large to hold all of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

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
    frames, octets = [np.empty(0, np.int64)], []
    try:
        for chunk in read_chunks(source, ["frame", "payload"], chunk_packets=_CHUNK_PACKETS):
            here = chunk["frame"].to_numpy(np.int64)
            if len(here) == 0 or here[0] > last:
                break
            chosen = np.isin(here, wanted, assume_unique=True)
            frames.append(here[chosen])
            octets += _arrays(chunk["payload"][chosen])
            if here[-1] >= last:
                break
    except CaptureError as error:  # the first pass has reported it
        assert error.packets is not None
    found = pa.chunked_array(octets, pa.large_binary())
    column = pd.arrays.ArrowExtensionArray(_in_order(found, np.concatenate(frames), wanted))
    return packets.assign(payload=pd.Series(column, packets.index))


def _arrays(payloads: pd.Series) -> list[pa.Array]:
    octets = pa.array(payloads, pa.large_binary(), from_pandas=True)
    return list(octets.chunks) if isinstance(octets, pa.ChunkedArray) else [octets]


def _in_order(
    octets: pa.ChunkedArray, frames: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]
) -> pa.ChunkedArray:
    """The payload of each wanted frame; null for those that were not read."""
    if np.array_equal(frames, wanted):
        return octets
    if not len(frames):
        return pa.chunked_array([pa.nulls(len(wanted), pa.large_binary())])
    place = np.minimum(np.searchsorted(frames, wanted), len(frames) - 1)
    return octets.take(pa.array(place, mask=frames[place] != wanted))
