"""Runs inside: never ends by itself, and has processes that do not either."""

import subprocess
import sys
import time
from pathlib import Path


def main(folder: Path) -> None:
    subprocess.Popen(["sleep", "1000000"])
    subprocess.Popen(["setsid", "sh", "-c", "trap '' HUP INT TERM; sleep 1000000"])
    (folder / "started").touch()
    while True:
        (folder / "alive").write_text(str(time.monotonic()))
        time.sleep(0.5)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
