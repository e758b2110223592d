"""What a run was made by: versions of programs and libraries, and a hash of our own sources."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from testbed.machine.prerequisites import find

if TYPE_CHECKING:
    from testbed.machine.image.store import Image

from testbed.core.project import PROJECT

_PROGRAMS = {
    "iperf3": ["iperf3", "--version"],
    "tcpdump": ["tcpdump", "--version"],
    "frr": ["/usr/lib/frr/zebra", "--version"],
    "ovs": ["ovs-vswitchd", "--version"],
}
_IN_IMAGE = {
    "iperf3": "iperf3",
    "tcpdump": "tcpdump",
    "frr": "frr",
    "ovs": "openvswitch-switch",
    "python": "python3",
}
"""Program → its package in an image."""

_LIBRARIES = ("pyroute2", "pandas", "numpy", "pyarrow", "matplotlib")
_SOURCES = ("testbed", "topologies", "analysis", "controller")
_TIMEOUT_S = 20


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    started = {
        name: subprocess.Popen(
            [path, *argv[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for name, argv in _PROGRAMS.items()
        if (path := find(argv[0]))
    }
    for name, process in started.items():
        try:
            text, _ = process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
        found[name] = (text.splitlines() or ["?"])[0].strip()
    return found | _libraries()


def _libraries() -> dict[str, str]:
    found = {}
    for package in _LIBRARIES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def tool_versions(image: Image | None = None) -> dict[str, str]:
    """First version line of each program an experiment may use, and of our main libraries.

    Args:
        image: where programs and the guest side's libraries come from; None: from the host.
    """
    if image is None:
        return dict(_versions())
    told = image.manifest.data
    programs = {n: told["packages"][p] for n, p in _IN_IMAGE.items() if p in told["packages"]}
    return {**_libraries(), **programs, **told["libraries"]}


def sources_hash() -> str:
    """SHA-256 over the project's Python and C, without the experiments (runs keep their own)."""
    total = hashlib.sha256()
    found = (p for folder in _SOURCES for p in (PROJECT / folder).rglob("*.[pc]*"))
    for path in sorted(p for p in found if p.suffix in {".py", ".c"}):
        total.update(f"{path.relative_to(PROJECT)} ".encode() + path.read_bytes())
    return total.hexdigest()


def host() -> dict[str, object]:
    """The machine, as far as it can matter to a run on the real clock."""
    return {"kernel": platform.release(), "cpus": os.cpu_count()}
