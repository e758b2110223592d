"""A command that runs a module in a runtime: what the tests kill, starve and start as others."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from testbed.execution.runtime import choose


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("module")
    parser.add_argument("--runtime", default="guest")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--memory-mb", type=int, default=512)
    parser.add_argument("--wall-limit-s", type=float, default=120.0)
    given = parser.parse_args()
    outcome = choose(given.runtime).run(
        given.folder,
        seed=given.seed,
        memory_mb=given.memory_mb,
        wall_limit_s=given.wall_limit_s,
        cpu=given.cpu,
        module=f"tests.system.programs.{given.module}",
    )
    print(json.dumps(dataclasses.asdict(outcome)))


if __name__ == "__main__":
    main()
