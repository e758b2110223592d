"""What a guest kernel is made of: its options and patches, and the key over them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_HERE = Path(__file__).parent
CONFIG = _HERE / "uml.config"
PATCHES = _HERE / "patches"
ESSENTIAL_PATCHES = (
    "0001-hz",
    "0002-seeded-random",
    "0003-clock-read",
    "0010-only-frames-cross",
)
"""Without the first three, runs are not reproducible; without the last, a queue behind a switch
holds its senders back. The others hide the host; an older kernel may lack them, and its record says
so."""


def options() -> list[str]:
    """Names of the requested options, without ``CONFIG_``."""
    return re.findall(r"^CONFIG_(\w+)=", CONFIG.read_text(encoding="utf-8"), re.MULTILINE)


def recipe_key() -> str:
    """A hash over options and patches: a kernel built from others is out of date.

    Comments in the options and prose above a patch do not count.
    """
    digest = hashlib.sha256()
    lines = CONFIG.read_text(encoding="utf-8").splitlines()
    settings = [x for x in lines if x.startswith("CONFIG_") or x.endswith(" is not set")]
    digest.update("\n".join(sorted(settings)).encode())
    for path in sorted(PATCHES.glob("*.patch")):
        text = path.read_text(encoding="utf-8")
        digest.update(text[text.index("--- a/") :].encode())
    return digest.hexdigest()[:12]
