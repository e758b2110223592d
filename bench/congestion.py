"""What `make exp-congestion` costs with warm caches, and where the time goes.

The targets: at most 30 s of wall time on two processors, at least five times faster than real time
while the network runs, replay in at most 5 s.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Runs and replays the default experiment once."""
    with tempfile.TemporaryDirectory() as folder:
        total_s, result = timed("run", "congestion", "--out", folder)
        replay_s, _ = timed("replay", result["run"])
        meta = json.loads((Path(result["run"]) / "run.json").read_text())
    virtual_s = sum(s["virtual_s"] for s in meta["scenarios"].values())
    network_s = meta["wall_s"]["network"]
    print(f"run      {total_s:6.1f} s, of it {result['wall_s']}")
    print(
        f"network  {virtual_s:.0f} s of network time, {virtual_s / network_s:.1f} times real time"
    )
    print(f"replay   {replay_s:6.1f} s")


def timed(*arguments: str) -> tuple[float, dict]:
    """Wall time of a `testbed` command, and its JSON."""
    began = time.perf_counter()
    argv = [sys.executable, "-m", "testbed.cli.main", *arguments, "--json"]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=True)
    return time.perf_counter() - began, json.loads(done.stdout)


if __name__ == "__main__":
    main()
