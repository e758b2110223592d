"""Guest kernels: one folder each in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from testbed.core.cache import cache_base
from testbed.core.errors import ConfigError
from testbed.machine.kernel.recipe import recipe_key

BUILD_COMMAND = "testbed kernel build"

KERNEL, FACTS = "linux", "kernel.json"
"""Files of a kernel's folder: the kernel, and its version, hash, source and compiler."""

_PACKAGED = Path("/usr/bin/linux.uml")
_PACKAGED_MODULES = Path("/usr/lib/uml/modules")


@dataclass(frozen=True)
class GuestKernel:
    """A User-Mode Linux kernel.

    Attributes:
        path: its file.
        version: as printed by ``uname -r``.
        sha256: of the file.
        source: the Debian package it comes from, with version.
    """

    path: Path
    version: str
    sha256: str
    source: str


def cache_root() -> Path:
    """The folder of kernels in the user's cache folder."""
    return cache_base() / "kernels"


def find() -> GuestKernel | None:
    """The newest of the kernels built with today's options and patches, or None.

    Raises:
        ConfigError: the cache folder cannot be read.
    """
    root = cache_root()
    try:
        folders = [facts.parent for facts in root.glob(f"*-{recipe_key()}-*/{FACTS}")]
    except PermissionError:
        raise ConfigError(
            f"{root}: cannot be read; set TESTBED_CACHE to a folder of yours"
        ) from None
    kernels = [read_kernel(folder) for folder in folders if (folder / KERNEL).is_file()]
    return max(kernels, key=_version_key, default=None)


def find_packaged() -> GuestKernel | None:
    """Debian's own package: no virtual clock, random numbers not seeded; or None."""
    versions = sorted(p.name for p in _PACKAGED_MODULES.glob("*")) if _PACKAGED.exists() else []
    if not versions:
        return None
    digest = hashlib.sha256(_PACKAGED.read_bytes()).hexdigest()
    return GuestKernel(_PACKAGED, versions[-1], digest, "user-mode-linux")


def read_kernel(folder: Path) -> GuestKernel:
    """A kernel's folder as written by `build`."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return GuestKernel(folder / KERNEL, facts["version"], facts["sha256"], facts["source"])


def _version_key(kernel: GuestKernel) -> tuple[int, ...]:
    digits = "".join(c if c.isdigit() else " " for c in kernel.version)
    return tuple(int(n) for n in digits.split())
