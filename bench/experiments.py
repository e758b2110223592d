"""What experiments cost with warm caches: each alone, then all at the same time.

    python bench/experiments.py [NAME...]

Without a name: all experiments. The targets, on two quiet processors: at most 10 s of wall time for
an experiment without TCP flows, 30 s for any; replay in at most 5 s. On a busy machine look at the
CPU time: half of its sum is the least that two processors need.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from testbed.author.experiment import experiment_files

PROJECT = Path(__file__).resolve().parent.parent
TESTBED = (sys.executable, "-m", "testbed.cli.main")


def main() -> None:
    """Prints one line per experiment, and one for all together."""
    names = sys.argv[1:] or list(experiment_files())
    print(f"{'experiment':20}{'wall s':>8}{'CPU s':>8}{'virtual s':>11}{'replay s':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            wall_s, cpu_s = timed(["run", name, "--out", f"{folder}/{name}"])
            (run,) = (path.parent for path in Path(folder, name).glob("*/run.json"))
            scenarios = json.loads((run / "run.json").read_text())["scenarios"].values()
            virtual_s = sum(scenario["virtual_s"] for scenario in scenarios)
            replay_s, _ = timed(["replay", str(run)])
            row = f"{name:20}{wall_s:8.1f}{cpu_s:8.1f}{virtual_s:11.1f}{replay_s:10.1f}"
            print(row, flush=True)
        wall_s, cpu_s = timed(*(["run", name, "--out", f"{folder}/together"] for name in names))
        print(f"{'at the same time':20}{wall_s:8.1f}{cpu_s:8.1f}")


def timed(*commands: list[str]) -> tuple[float, float]:
    """Wall and CPU time, in s, of commands of `testbed` that start together."""
    before, began_s = os.times(), time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen([*TESTBED, *line], cwd=PROJECT, **quiet) for line in commands]
    codes = [process.wait() for process in running]
    for line, code in zip(commands, codes, strict=True):
        if code:
            sys.exit(f"testbed {' '.join(line)}: exit code {code}")
    after = os.times()
    return time.perf_counter() - began_s, sum(after[2:4]) - sum(before[2:4])


if __name__ == "__main__":
    main()
