"""What system calls, page faults and new processes cost in a guest: before and after, in one run.

    .venv/bin/python bench/prices.py [--before KERNEL] [--after KERNEL] [--ptrace] [--rounds 5]

Both are the built kernel, unless told otherwise: before without, after with what makes them
cheaper (patches 0011 and 0012). Guests are started in turn, on one processor; each price is the
least of many short rounds, so other programs on the machine hardly change it, least of all if this
runs as root and may put itself before them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from testbed.machine.kernel import store

SOURCE = Path(__file__).with_name("cases") / "prices.c"
WITHOUT = ("idle_stubs=0", "fault_pages=1")
BOOT = (
    "mem=256M time-travel=inf-cpu lab_seed=1 norandmaps root=98:0 rootfstype=hostfs rootflags=/ ro "
    "quiet con=null con0=fd:0,fd:1 console=tty0 panic=-1"
).split()

Prices = dict[str, float]
"""Microseconds by what was done."""


def prices(argv: Sequence[str]) -> Prices:
    """What the program prints, on the machine or as the first process of a guest."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300
    )
    found = re.findall(r"^PRICE ([^:]+): (.+)$", done.stdout.replace("\r", ""), re.MULTILINE)
    if not found:
        raise SystemExit(f"{argv[0]} printed no prices: {done.stdout[-500:]}{done.stderr[-500:]}")
    return {name: float(value) for name, value in found}


def least(several: Sequence[Prices]) -> Prices:
    return {name: min(each[name] for each in several) for name in several[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--after", type=Path)
    parser.add_argument("--ptrace", action="store_true", help="as where seccomp is refused")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    built = store.find()
    if built is None and not (given.before and given.after):
        raise SystemExit(f"no guest kernel: {store.BUILD_COMMAND}")
    own = str(built.path) if built else ""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if os.geteuid() == 0:
        os.nice(-20)
    with tempfile.TemporaryDirectory(prefix="prices-") as folder:
        program = f"{folder}/prices"
        subprocess.run(["gcc", "-O2", "-static", "-o", program, str(SOURCE)], check=True)
        machine = prices([program])
        mode = "seccomp=off" if given.ptrace else "seccomp=auto"
        rest = [*BOOT, mode, f"CYCLES_PER_US={machine.pop('cycles')}", f"init={program}"]
        before = [str(given.before)] if given.before else [own, *WITHOUT]
        after = [str(given.after)] if given.after else [own]
        rounds = [(prices(before + rest), prices(after + rest)) for _ in range(given.rounds)]
    old, new = (least(several) for several in zip(*rounds, strict=True))
    print(f"{'µs, least of many':30} {'host':>9} {'before':>9} {'after':>9} {'ratio':>6}")
    for name, host in machine.items():
        ratio = new[name] / old[name]
        print(f"{name:30} {host:9.2f} {old[name]:9.2f} {new[name]:9.2f} {ratio:6.2f}")


if __name__ == "__main__":
    main()
