"""From what a run left behind to how it ended, in one line."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

from testbed.jail import CANNOT_START
from testbed.runtime.outcome import Status
from testbed.world import EXIT_FILE

Verdict = tuple[Status, str, int | None, float]
"""Status, reason, the program's exit code, the run's clock at the end in s."""

_PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
_OUT_OF_MEMORY = re.compile(r"Out of memory|System is deadlocked on memory|invoked oom-killer")
_TAIL_BYTES = 64 * 1024


def judge(folder: Path, ended: str, returncode: int, wall_limit_s: float) -> Verdict:
    """How a run ended.

    Args:
        folder: the scenario's, with the console's log and the exit file.
        ended: why we ended it: ``time_limit``, ``interrupted`` or nothing.
        returncode: of the jail; negative for a signal.
        wall_limit_s: what it was given.
    """
    if ended == "interrupted":
        return "interrupted", "interrupted", None, 0.0
    if ended:
        return (
            "time_limit",
            f"not finished after {wall_limit_s:g} s of wall time (raise --wall-limit)",
            None,
            0.0,
        )
    if (folder / EXIT_FILE).is_file():
        return _of_program(folder)
    return _of_kernel(folder, returncode)


def _of_program(folder: Path) -> Verdict:
    """The program came to an end that process 1 saw."""
    seen = json.loads((folder / EXIT_FILE).read_text())
    code, clock_s = int(seen["exit_code"]), float(seen["clock_s"])
    if code == 0:
        return "complete", "", 0, clock_s
    if code == -signal.SIGKILL and seen.get("oom_kills"):
        return "out_of_memory", "the guest ran out of memory (raise its size)", code, clock_s
    if code < 0:
        reason = f"the program inside was ended by {_signal(-code)}"
        return "failed", reason, code, clock_s
    reason = seen["reason"] or _own_reason(folder) or f"the program inside ended with {code}"
    return "failed", reason, code, clock_s


def _own_reason(folder: Path) -> str:
    """What the program itself wrote down, if it did."""
    path = folder / "outcome.json"
    return str(json.loads(path.read_text()).get("reason", "")) if path.is_file() else ""


def _of_kernel(folder: Path, returncode: int) -> Verdict:
    """The guest, or its jail, ended without a word from process 1."""
    tail = _tail(folder / "console.log")
    lines = [line for line in tail.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else "no output"
    number = -returncode if returncode < 0 else returncode - 128 if returncode > 128 else 0
    if _OUT_OF_MEMORY.search(tail):
        return "out_of_memory", "the guest ran out of memory (raise its size)", None, 0.0
    if panic := _PANIC.search(tail):
        return "panic", f"the guest kernel panicked: {panic[1]} (see console.log)", None, 0.0
    if returncode == CANNOT_START:
        return "failed", f"the run could not be started: {last}", None, 0.0
    if number in {signal.SIGKILL, signal.SIGTERM, signal.SIGINT}:
        return "killed", f"the run was ended by {_signal(number)} from outside", None, 0.0
    if number:
        return "panic", f"the guest kernel crashed with {_signal(number)}: {last}", None, 0.0
    return "killed", f"the run switched off before its end: {last} (see console.log)", None, 0.0


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _tail(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return log.read().decode(errors="replace")
