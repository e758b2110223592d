"""The order of names that people expect."""

from __future__ import annotations

import re
from typing import Any


def natural(text: Any) -> list[int | str]:
    """Sort key: h2 before h10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(text))]
