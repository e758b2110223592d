"""What a run's first process leaves for those outside."""

from __future__ import annotations

import json
import os
from contextlib import suppress


def write(folder: str, name: str, data: object) -> None:
    """Writes JSON into a folder, wholly or not at all, and to the disk: a guest ends behind it."""
    part = f"{folder}/{name}.part"
    try:
        with open(part, "w") as out:
            json.dump(data, out)
            out.flush()
            os.fsync(out.fileno())
        os.rename(part, f"{folder}/{name}")
    except OSError:
        with suppress(OSError):
            os.unlink(part)
        raise
