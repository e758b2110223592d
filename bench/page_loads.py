"""What a page load in a guest costs: start of the browser, first page, each further page.

    .venv/bin/python bench/page_loads.py [--wall-limit-s 500] [--further 5]

Four runs: the network alone, with a browser, with one page, with further ones; differences are what
each part costs. With wall times come CPU times, which other programs on the machine change less.
The guest has 1024 MB.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.speed import measured

COLD_WALL_S, FURTHER_WALL_S = 6.0, 1.5
"""Targets on 2 quiet cores."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wall-limit-s", type=float, default=500.0)
    parser.add_argument("--further", type=int, default=5, help="number of further pages")
    given = parser.parse_args()
    runs: tuple[dict[str, Any], ...] = (
        {"browser": False, "visits": 0},
        {"visits": 0},
        {"visits": 1},
        {"visits": 1 + given.further},
    )
    walls_s, cpus_s, loads = [], [], []
    for parameters in runs:
        loads.append(os.getloadavg()[0])
        _, wall_s, cpu_s = measured("page_loads", parameters, given.wall_limit_s)
        walls_s.append(wall_s)
        cpus_s.append(cpu_s)
    print(f"{'':40} {'wall s':>7} {'CPU s':>6} {'target':>8}   (load {max(loads):.1f})")
    rows: tuple[tuple[str, int, int, int, str], ...] = (
        ("guest, network and server", 0, -1, 1, "-"),
        ("start and end of the browser", 1, 0, 1, "-"),
        ("first page", 2, 1, 1, "-"),
        ("a cold page load, browser's start included", 2, 0, 1, f"≤ {COLD_WALL_S:g} s"),
        ("each further page", 3, 2, given.further, f"≤ {FURTHER_WALL_S:g} s"),
    )
    for name, one, without, count, target in rows:
        wall_s, cpu_s = (
            (found[one] - (found[without] if without >= 0 else 0)) / count
            for found in (walls_s, cpus_s)
        )
        print(f"{name:44} {wall_s:6.2f} {cpu_s:6.2f} {target:>8}")


if __name__ == "__main__":
    main()
