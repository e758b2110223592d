"""What the guest kernel's build takes from an empty cache: processor time, wall time, size.

    python bench/kernel_build.py [REVISION]

The working tree's recipe; with a revision of the repository, that one's before it.

Processor time is what to compare: it hardly depends on what else the machine does.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build(project: Path, cache: Path) -> tuple[float, float, int]:
    """Builds a kernel; returns processor time in s, wall time in s, and the kernel's size in bytes.

    Raises:
        SystemExit: it could not be built; says why.
    """
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "testbed.machine.kernel", "build"],
        cwd=project,
        env={**os.environ, "TESTBED_CACHE": str(cache)},
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.returncode)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    [kernel] = cache.glob("kernels/*/linux")
    return cpu_s, time.monotonic() - began_s, kernel.stat().st_size


def at_revision(revision: str, folder: Path) -> Path:
    """The repository's files at a revision, under `folder`."""
    folder.mkdir()
    packed = subprocess.run(
        ["git", "archive", revision, "testbed"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return folder


def main(words: list[str]) -> None:
    """Builds and prints one line per kernel."""
    with tempfile.TemporaryDirectory(prefix="testbed-bench-") as name:
        folder = Path(name)
        projects = {word: at_revision(word, folder / "before") for word in words[:1]}
        projects["working tree"] = ROOT
        taken_s = []
        for number, (title, project) in enumerate(projects.items()):
            cpu_s, wall_s, size_bytes = build(project, folder / f"cache{number}")
            taken_s.append(cpu_s)
            print(
                f"{title:>14}: {cpu_s:6.0f} s of processors, {wall_s:6.0f} s, "
                f"{size_bytes / 1e6:.1f} MB"
            )
        if len(taken_s) == 2:
            print(f"{'ratio':>14}: {taken_s[1] / taken_s[0]:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
