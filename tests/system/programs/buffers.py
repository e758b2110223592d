"""Runs inside a guest: the module `frames` on links that carry whole buffers."""

import sys
from pathlib import Path

from tests.system.programs import frames

if __name__ == "__main__":
    Path("/sys/module/veth/parameters/wire").write_text("0")
    frames.main(Path(sys.argv[1]))
