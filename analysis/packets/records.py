"""What a file format tells of its packets, before any header is decoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Interface:
    """One capture interface.

    Attributes:
        link_type: LINKTYPE_ number of its packets.
        name: as the file gives it, or empty.
        ticks_exponent: a tick is 10^-n s, or 2^-n s where `binary_ticks`.
        offset_s: added to every time.
        snap_bytes: capture limit; 0: none.
    """

    link_type: int
    name: str = ""
    ticks_exponent: int = 9
    binary_ticks: bool = False
    offset_s: int = 0
    snap_bytes: int = 0


@dataclass
class Records:
    """Some packets in capture order.

    Attributes:
        time_ns: since the Unix epoch.
        wire_bytes: length on the wire.
        captured_bytes: length in the file.
        start: offset of the first captured byte in the buffer.
        interface: index into the format's `interfaces`; None: all 0.
    """

    time_ns: npt.NDArray[np.int64]
    wire_bytes: npt.NDArray[np.uint32]
    captured_bytes: npt.NDArray[np.uint32]
    start: npt.NDArray[np.int64]
    interface: npt.NDArray[np.int32] | None = None
