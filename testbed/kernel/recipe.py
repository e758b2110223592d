"""What a guest kernel is made of: its options and patches, and the key over them."""

from __future__ import annotations

import hashlib
from pathlib import Path

_HERE = Path(__file__).parent
CONFIG = _HERE / "uml.config"
PATCHES = _HERE / "patches"


def recipe_key() -> str:
    """A hash over options and patches: a kernel built from others is not today's."""
    digest = hashlib.sha256()
    for path in (CONFIG, *sorted(PATCHES.glob("*.patch"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
