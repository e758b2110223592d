"""Where the testbed keeps what it makes once: kernels, images, copies of the sources."""

from __future__ import annotations

import os
from pathlib import Path


def cache_base() -> Path:
    """The user's cache folder; ``TESTBED_CACHE`` overrides."""
    given = os.environ.get("TESTBED_CACHE")
    return Path(given) if given else _user_cache() / "network-testbed"


def _user_cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else Path.home() / ".cache"
