"""Virtual seconds per wall second: an idle RIP network, and TCP flows with and without captures.

    .venv/bin/python bench/speed.py [--wall-limit-s 500]

Wall time is that of the guest, from its start to its end: boot, network, programs and shutdown
included; measuring and plotting are not. With it come the CPU time, which other programs on the
machine change less, and the machine's load.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from testbed.core.rundir import RunDir
from testbed.execution.provenance import tool_versions
from testbed.execution.runner import Request, run

CASES = Path(__file__).with_name("cases")

EIGHT = {"flows": 8, "rate_mbps": 100.0, "queue_pkts": 330, "duration_s": 20.0, "probe": False}
ROWS: tuple[tuple[str, float | None, str, dict[str, Any]], ...] = (
    ("idle network of 10 RIP routers", 200.0, "rip_idle", {"duration_s": 3600.0}),
    ("one CUBIC flow, 10 Mbit/s, captures and tcp_probe", 10.0, "speed", {"duration_s": 60.0}),
    ("eight CUBIC flows, 100 Mbit/s, captures", None, "speed", EIGHT),
    ("eight CUBIC flows, 100 Mbit/s, no captures", None, "speed", EIGHT | {"capture": False}),
)
"""What, the target in virtual seconds per wall second, the case and its parameters."""


def children_cpu_s() -> float:
    """CPU time of all our ended programs, guests included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(
    case: str,
    parameters: dict[str, Any],
    wall_limit_s: float,
    look: Callable[[RunDir], object] = lambda _: None,
) -> tuple[float, float, float]:
    """Virtual, wall and CPU seconds of one run; `look` sees what it left, afterwards."""
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        request = Request(
            str(CASES / f"{case}.py"),
            parameters,
            out=Path(folder),
            runtime="guest",
            wall_limit_s=wall_limit_s,
        )
        tool_versions()  # once, not in the measurement
        before_s = children_cpu_s()
        made = run(request).run
        cpu_s = children_cpu_s() - before_s
        scenario = made.meta()["scenarios"]["main"]
        look(made)
    return float(scenario["virtual_s"]), float(scenario["wall_s"]), cpu_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wall-limit-s", type=float, default=500.0)
    given = parser.parse_args()
    print(
        f"{'':50} {'virtual s':>9} {'wall s':>7} {'CPU s':>6} {'ratio':>7} {'of CPU':>7} "
        f"{'target':>7} {'load':>5}"
    )
    for name, target, case, parameters in ROWS:
        load = os.getloadavg()[0]
        virtual_s, wall_s, cpu_s = measured(case, parameters, given.wall_limit_s)
        wanted = f"≥ {target:g}" if target else "-"
        print(
            f"{name:50} {virtual_s:9.1f} {wall_s:7.2f} {cpu_s:6.2f} {virtual_s / wall_s:7.1f} "
            f"{virtual_s / cpu_s:7.1f} {wanted:>7} {load:5.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
