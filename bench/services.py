"""What the experiments on services cost with warm caches: each alone, then side by side.

The targets, on two quiet processors: at most 10 s of wall time each, all side by side at most 45 s.
On a busy machine look at the CPU time: half of its sum is the least that two processors need.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
NAMES = ("arp", "dhcp", "dns", "icmp", "fragmentation", "addressing", "layers", "dns_spoofing")
TOGETHER = NAMES[:7]


def main() -> None:
    """Prints one line an experiment, and one for all together."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'experiment':16}{'wall s':>8}{'CPU s':>8}")
        for name in NAMES:
            report(name, *timed([name], folder))
        report("side by side", *timed(TOGETHER, folder))


def report(name: str, wall_s: float, cpu_s: float) -> None:
    """One line."""
    print(f"{name:16}{wall_s:8.1f}{cpu_s:8.1f}", flush=True)


def timed(names: tuple[str, ...] | list[str], folder: str) -> tuple[float, float]:
    """Wall and CPU time of experiments that start together."""
    before, began = os.times(), time.perf_counter()
    argv = [sys.executable, "-m", "testbed.cli.main", "run"]
    running = [
        subprocess.Popen(
            [*argv, name, "--out", folder],
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name in names
    ]
    if any(process.wait() for process in running):
        sys.exit(f"one of {', '.join(names)} failed")
    after = os.times()
    cpu_s = sum(after[2:4]) - sum(before[2:4])
    return time.perf_counter() - began, cpu_s


if __name__ == "__main__":
    main()
