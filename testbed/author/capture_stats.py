"""What is noted of captures: when they began and ended, and what tcpdump counted."""

from __future__ import annotations

import re
import time

_CLOCK_REALTIME_COARSE = 5  # linux/time.h; Python has no name for it


def about_now_ns() -> int:
    """The time, to a few ms: to read an exact clock would take virtual time."""
    return time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)


def counted(output: str) -> dict[str, int]:
    """Packets captured and dropped, from tcpdump's closing lines."""
    found = {
        "captured": re.search(r"^(\d+) packets? captured", output, re.M),
        "dropped": re.search(r"^(\d+) packets? dropped by kernel", output, re.M),
    }
    return {name: int(match[1]) if match else -1 for name, match in found.items()}
