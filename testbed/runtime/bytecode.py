"""Python's compiled files, made before a run: inside, nothing is compiled and nothing is kept.

A file compiled in a guest costs time on every run, and its absence or presence would show in it.
"""

from __future__ import annotations

import compileall
import functools
import os
from pathlib import Path

PACKAGES = ("testbed", "topologies", "experiments", "analysis", "controller")


@functools.cache
def compile_project(root: Path) -> None:
    """Compiles what is new or changed of the project's packages, once per process.

    A project that cannot be written stays uncompiled: slower, with the same results.
    """
    if not os.access(root / "testbed", os.W_OK):
        return
    for package in PACKAGES:
        folder = root / package
        if folder.is_dir():
            compileall.compile_dir(folder, quiet=2, maxlevels=10)
