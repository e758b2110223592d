"""Runs inside a guest: programs that work, and the virtual time each of them takes."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

NUMBERS = "\n".join(str(n * 7919 % 100_003) for n in range(100_000)) + "\n"
PROGRAMS = {
    "dd": ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=100000"],
    "sort": ["sort", "-n", "numbers"],
    "gzip": ["gzip", "-kf", "numbers"],
    "python": [
        sys.executable,
        "-c",
        "import os; f = os.open('numbers', 0)\nwhile os.read(f, 1): pass",
    ],
    "sqlite3": [
        "sqlite3",
        "t.db",
        "pragma journal_mode=off; create table t (n);"
        "insert into t select value from generate_series(1, 50000); select sum(n) from t;",
    ],
    "git": ["git", "-c", "init.defaultBranch=main", "init", "-q", "repository"],
    "cc": ["gcc", "-O2", "-c", "program.c"],
}


def main(folder: Path) -> None:
    os.chdir("/tmp")
    Path("numbers").write_text(NUMBERS)
    Path("program.c").write_text('#include <stdio.h>\nint main(void) { return puts(""); }\n')
    took_s = {}
    for name, argv in PROGRAMS.items():
        if shutil.which(argv[0]) is None:
            continue
        began_s = time.monotonic()
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
        took_s[name] = time.monotonic() - began_s
    (folder / "work.json").write_text(json.dumps(took_s))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
