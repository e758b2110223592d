"""Runs inside: writes down what it sees of its world."""

import json
import os
import socket
import sys
import time
from pathlib import Path

from testbed.guest_init.progress import report


def main(folder: Path) -> None:
    report("looking")
    began_s = time.monotonic()
    time.sleep(100 if _is_guest() else 0.01)
    seen = {
        "arguments": sys.argv[1:],
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "host name": socket.gethostname(),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "user": os.getuid(),
        "began_s": began_s,
        "slept_s": time.monotonic() - began_s,
        "epoch_s": time.time(),
        "memory_kb": int(Path("/proc/meminfo").read_text().split()[1]),
        "empty": {
            p: [x.name for x in Path(p).iterdir()]
            for p in ("/home", "/root", "/tmp", "/mnt", "/var/tmp")
        },
        "owner": (folder / "console.log").stat().st_uid,
        "package": Path(json.__file__).parent.name,
        "sorted": _is_sorted("/usr/bin") and _is_sorted("/usr/share/doc"),
    }
    (folder / "seen.json").write_text(json.dumps(seen))
    Path("/etc/forgotten").write_text("in memory")


def _is_guest() -> bool:
    return "lab_seed=" in Path("/proc/cmdline").read_text()


def _is_sorted(path: str) -> bool:
    names = [entry.name for entry in os.scandir(path)]
    return names == sorted(names, key=os.fsencode)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
