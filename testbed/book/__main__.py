"""``python -m testbed.book``: runs the experiments whose run the book lacks, one after another."""

from __future__ import annotations

import testbed.lifetime.early  # noqa: F401  # isort: skip
import sys

from testbed.lifetime import guard, start


def main() -> int:
    """Runs what is missing; a claim that fails is a result, and is shown in the book as such."""
    from testbed.book.runs import outdated
    from testbed.core.errors import ExitCode

    names = outdated()
    if not names:
        sys.stdout.write("every experiment has a run of its present file\n")
    for number, name in enumerate(names, 1):
        sys.stdout.write(f"[{number}/{len(names)}] {name}\n")
        sys.stdout.flush()
        code = guard.run([sys.executable, "-m", "testbed", "run", name])
        if code not in (ExitCode.PASS, ExitCode.CLAIM_FAILED, ExitCode.INCONCLUSIVE):
            return code
    return 0


if __name__ == "__main__":
    start.command("book", lambda: sys.exit(main()))
