"""What a run was made by: versions of programs and libraries, and a hash of our own sources."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

_PROGRAMS = {
    "iperf3": ["iperf3", "--version"],
    "tcpdump": ["tcpdump", "--version"],
    "frr": ["/usr/lib/frr/zebra", "--version"],
    "ovs": ["ovs-vswitchd", "--version"],
}
_LIBRARIES = ("pyroute2", "pandas", "numpy", "pyarrow", "matplotlib")
_SOURCES = ("testbed", "topologies", "analysis", "controller")
_TIMEOUT_S = 20


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    started = {
        name: subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name, argv in _PROGRAMS.items()
        if shutil.which(argv[0])
    }
    for name, process in started.items():
        try:
            text, _ = process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
        found[name] = (text.splitlines() or ["?"])[0].strip()
    for package in _LIBRARIES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def tool_versions() -> dict[str, str]:
    """First version line of each program an experiment may use, and of our main libraries."""
    return dict(_versions())


def sources_hash() -> str:
    """SHA-256 over the project's Python files, without the experiments (runs keep their own)."""
    total = hashlib.sha256()
    for path in sorted(p for folder in _SOURCES for p in (PROJECT / folder).rglob("*.py")):
        total.update(f"{path.relative_to(PROJECT)} ".encode() + path.read_bytes())
    return total.hexdigest()


def host() -> dict[str, object]:
    """The machine, as far as it can matter to a run on the real clock."""
    return {"kernel": platform.release(), "cpus": os.cpu_count()}
