"""Python's compiled files, made before a run: inside, nothing is compiled and nothing is kept.

A file compiled in a guest costs time on every run, and its absence or presence would show in it.
"""

from __future__ import annotations

import compileall
import functools
import importlib.util
import os
import subprocess
from pathlib import Path

from testbed.errors import ConfigError
from testbed.image import native

PACKAGES = ("testbed", "topologies", "experiments", "analysis", "controller")


_MAGIC = "import importlib.util; print(importlib.util.MAGIC_NUMBER.hex())"


@functools.cache
def compile_project(root: Path, image_root: Path | None = None) -> None:
    """Compiles what is new or changed of the project's packages, once per process.

    Args:
        root: the project's.
        image_root: that of an image whose Python will run inside; None: the host's will.

    Raises:
        ConfigError: what an image's Python needs cannot be written. Compiling inside shifts what
            follows by microseconds, so the run would not be the same as elsewhere.
    """
    if image_root is None and not os.access(root / "testbed", os.W_OK):
        return
    folders = [root / name for name in PACKAGES if (root / name).is_dir()]
    if image_root is None or _python(image_root, "-c", _MAGIC) == importlib.util.MAGIC_NUMBER.hex():
        for folder in folders:
            compileall.compile_dir(folder, quiet=2, maxlevels=10)
    else:
        _python(image_root, "-m", "compileall", "-q", *map(str, folders))


def _python(image_root: Path, *arguments: str) -> str:
    """Runs an image's Python on the host; what it prints.

    Raises:
        ConfigError: it ended badly.
    """
    argv = native.argv(image_root, "usr/bin/python3", "-sSP", *arguments)
    environment = native.environment(image_root)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr + done.stdout).strip().splitlines()[-1:] or [str(done.returncode)]
        raise ConfigError(
            f"the project's Python files cannot be compiled by the image's Python: {last[0]}; "
            "make the project's folder writable for this first run"
        )
    return done.stdout.strip()
