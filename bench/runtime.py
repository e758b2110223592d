"""What a guest costs: booting and ending, a flow's virtual time, guests side by side.

Wall times are medians over some runs, with nothing else on the machine.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from testbed.execution.runtime import Outcome, choose

REPEATS = 5
FLOW = "tests.system.programs.flow"


def one(module: str) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        outcome = choose("guest").run(Path(folder), seed=1, memory_mb=512, module=module)
    if not outcome.ok:
        sys.exit(f"{module}: {outcome.reason}")
    return outcome


def median_s(module: str) -> float:
    return statistics.median(one(module).wall_s for _ in range(REPEATS))


def side_by_side_s(module: str, guests: int) -> float:
    began_s = time.perf_counter()
    with ThreadPoolExecutor(guests) as pool:
        list(pool.map(one, [module] * guests))
    return time.perf_counter() - began_s


def main() -> None:
    one("this")  # warms the caches
    boot_s, flow_s = median_s("this"), median_s(FLOW)
    cpus = len(os.sched_getaffinity(0))
    together_s = side_by_side_s(FLOW, cpus)
    rows = {
        "boot, an empty program, end": f"{boot_s:.2f} s",
        "5 s TCP flow, 10 Mbit/s, lossy, captured": f"{flow_s:.2f} s",
        "  of which more than booting": f"{flow_s - boot_s:.2f} s",
        f"{cpus} such runs side by side": f"{together_s:.2f} s",
        "  against one after another": f"{cpus * flow_s / together_s:.2f} times faster",
    }
    for name, value in rows.items():
        print(f"{name:45} {value}")


if __name__ == "__main__":
    main()
