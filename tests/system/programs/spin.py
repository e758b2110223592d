"""Runs inside a guest: asks the kernel over and over whether another process has ended."""

import json
import os
import sys
import time
from pathlib import Path

SLEEP_S = 0.2


def main(folder: Path) -> None:
    began_s, child = time.monotonic(), os.fork()
    if not child:
        time.sleep(SLEEP_S)
        os._exit(0)
    asked = 0
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        asked += 1
    (folder / "spin.json").write_text(
        json.dumps({"asked": asked, "took_s": time.monotonic() - began_s})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
