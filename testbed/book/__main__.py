"""``python -m testbed.book``: runs the experiments whose run the book lacks, one after another."""

from __future__ import annotations

import subprocess
import sys

from testbed.book.runs import outdated
from testbed.core.errors import ExitCode


def main() -> int:
    """Runs what is missing; a claim that fails is a result, and stands in the book as such."""
    names = outdated()
    if not names:
        sys.stdout.write("every experiment has a run of its present file\n")
    for number, name in enumerate(names, 1):
        sys.stdout.write(f"[{number}/{len(names)}] {name}\n")
        sys.stdout.flush()
        line = [sys.executable, "-m", "testbed.cli.main", "run", name]
        code = subprocess.run(line, check=False).returncode
        if code not in (ExitCode.PASS, ExitCode.CLAIM_FAILED, ExitCode.INCONCLUSIVE):
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
