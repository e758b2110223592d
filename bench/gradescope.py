"""What Gradescope's smallest container does with an autograder: 768 MB of memory, half a processor.

    python bench/gradescope.py [LAB …]

Needs root and control groups (version 1 or 2), for the limits; without, nothing is measured.
Tells for each lab the score of the solution, the peak of memory of all processes (the guest's
included) and the wall time; ends with 1 if a solution does not get all points within the limits.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.grading import export, gradescope, library

MEMORY_BYTES, PERIOD_US, SHARE = 768_000_000, 100_000, 0.5
STUDENT, SECRET = "ada@uni.edu", b"the secret of the bench"
ROOT = Path("/sys/fs/cgroup")
JOIN = 'for group in $GROUPS_TO_JOIN; do echo $$ > "$group/cgroup.procs"; done; exec "$@"'


@dataclass(frozen=True)
class Group:
    """Control groups with the platform's limits: one (version 2), or one for each controller."""

    folders: tuple[Path, ...]
    peak: Path

    def run(self, *argv: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a program in the groups."""
        env = {**os.environ, **environment, "GROUPS_TO_JOIN": " ".join(map(str, self.folders))}
        line = ["sh", "-c", JOIN, "sh", *argv]
        return subprocess.run(line, env=env, capture_output=True, text=True, check=False)


@contextmanager
def limited() -> Iterator[Group]:
    """Makes the groups, and removes them."""
    quota_us, name = int(SHARE * PERIOD_US), f"testbed-bench-{os.getpid()}"
    if (ROOT / "cgroup.controllers").is_file():
        folder = ROOT / name
        group = Group((folder,), folder / "memory.peak")
        limits = {
            "memory.max": str(MEMORY_BYTES),
            "memory.swap.max": "0",
            "cpu.max": f"{quota_us} {PERIOD_US}",
        }
        written = {folder / file: value for file, value in limits.items()}
    else:
        memory, cpu = ROOT / "memory" / name, ROOT / "cpu" / name
        group = Group((memory, cpu), memory / "memory.max_usage_in_bytes")
        written = {
            memory / "memory.limit_in_bytes": str(MEMORY_BYTES),
            cpu / "cpu.cfs_period_us": str(PERIOD_US),
            cpu / "cpu.cfs_quota_us": str(quota_us),
        }
    made: list[Path] = []
    try:
        for folder in group.folders:
            folder.mkdir()
            made.append(folder)
        for path, value in written.items():
            if path.name != "memory.swap.max" or path.exists():
                path.write_text(value)
    except OSError as error:
        for folder in made:
            folder.rmdir()
        print(f"not measured: control groups cannot be made here ({error}); run as root")
        sys.exit()
    try:
        yield group
    finally:
        for folder in made:
            folder.rmdir()


def measure(name: str) -> tuple[float, float, float, float]:
    """Score, points, peak in MB and wall time in s of grading a lab's solution."""
    lab = library.open_lab(name)
    with tempfile.TemporaryDirectory(prefix="gradescope-") as scratch, limited() as group:
        root = Path(scratch)
        files = gradescope.bundle(lab, SECRET)
        export.write(files, root / "source", gradescope.executables(files))
        (root / "source" / "venv").symlink_to(Path(sys.prefix))
        solution = lab.solution(lab.variant(STUDENT, SECRET), STUDENT)
        export.write(solution, root / "submission")
        metadata = {"users": [{"email": STUDENT}]}
        (root / "submission_metadata.json").write_text(json.dumps(metadata))
        began_s = time.perf_counter()
        done = group.run(root / "source" / "run_autograder", AUTOGRADER=str(root))
        wall_s = time.perf_counter() - began_s
        if done.returncode != 0:
            sys.exit(f"{name}: run_autograder ended with {done.returncode}: {done.stderr[-2000:]}")
        results = json.loads((root / "results" / "results.json").read_text())
        peak_mb = int(group.peak.read_text()) / 1e6
    return results.get("score", -1.0), lab.manifest.points, peak_mb, wall_s


def main() -> None:
    """Measures the labs named, or all."""
    print(f"limits: {MEMORY_BYTES / 1e6:.0f} MB, {SHARE} processors")
    print("lab         score  peak memory  wall time")
    short = []
    for name in sys.argv[1:] or library.names():
        score, points, peak_mb, wall_s = measure(name)
        score_text = f"{score:g}/{points:g}"
        print(f"{name:11} {score_text:>6} {peak_mb:8.0f} MB {wall_s:8.0f} s", flush=True)
        if score < points:
            short.append(name)
    if short:
        sys.exit(f"solutions without all points: {', '.join(short)}")


if __name__ == "__main__":
    main()
