"""How a program inside tells the user how far it is."""

from __future__ import annotations

import os
import time

from testbed.guest_init import PROGRESS_FD


def report(message: str) -> None:
    """Shows `message` next to the run's clock; cheap, and without effect outside a run."""
    line = f"{time.monotonic():.3f} {' '.join(message.split())}\n"
    try:
        os.write(PROGRESS_FD, line.encode())
    except OSError:
        return  # not inside, or nobody listens: progress is a courtesy
