"""Works out from what a run left behind how it ended, in one line."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path

from testbed.execution.isolation import CANNOT_START
from testbed.execution.runtime.outcome import Status
from testbed.guest_init import CONSOLE, EXIT_FILE

Ending = tuple[Status, str, int | None, float]
"""Status, reason, the program's exit code, the run's clock at the end in s."""

_PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
_OUT_OF_MEMORY = re.compile(r"Out of memory|System is deadlocked on memory|invoked oom-killer")
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT})
_OUT_OF_MEMORY_REASON = "the guest ran out of memory (give it more)"
_TIMELESS = re.compile(
    r"no time passes: (?P<calls>\d+) system calls, the last one (?:__se_)?sys_(?P<call>\w+)\S* "
    r"by (?P<program>.*) \((?P<pid>\d+)\)"
)
"""What the guest's kernel reports about programs that never stop working (patch 0009)."""
_TAIL_BYTES = 64 * 1024


def ending_of(folder: Path, ended: str, returncode: int, wall_limit_s: float) -> Ending:
    """How a run ended.

    Args:
        folder: the scenario's, with the console's log and the exit file.
        ended: why we stopped it: ``time_limit``, ``interrupted``, a limit, or nothing.
        returncode: of the isolating process; negative for a signal.
        wall_limit_s: its limit of wall time, in s.
    """
    if ended == "interrupted":
        return "interrupted", "interrupted", None, 0.0
    if ended == "cpu_limit":
        return "cpu_limit", "exceeded its processor time", None, 0.0
    if ended == "disk_limit":
        return "disk_limit", "exceeded its disk limit", None, 0.0
    if ended:
        return (
            "time_limit",
            f"not finished after {wall_limit_s:g} s of wall time (raise --wall-limit-s)"
            f"{_busy(folder)}",
            None,
            0.0,
        )
    if (folder / EXIT_FILE).is_file():
        return _of_program(folder)
    return _of_kernel(folder, returncode)


def _busy(folder: Path) -> str:
    """The program that kept the virtual clock from advancing, if the kernel named one."""
    found = list(_TIMELESS.finditer(_tail(folder / CONSOLE)))
    if not found:
        return ""
    last = found[-1]
    return (
        f"; the virtual clock stood still during {last['calls']} system calls, the last of them "
        f"{last['call']}() by '{last['program']}' (process {last['pid']})"
    )


def _of_program(folder: Path) -> Ending:
    """The program ended, and process 1 saw how."""
    seen = json.loads((folder / EXIT_FILE).read_text(encoding="utf-8"))
    code, clock_s = int(seen["exit_code"]), float(seen["clock_s"])
    if seen["lost"]:
        return "failed", f"the run directory could not be written: {seen['lost']}", code, clock_s
    if code == 0:
        return "complete", "", 0, clock_s
    if code == -signal.SIGKILL and seen.get("oom_kills"):
        return "out_of_memory", _OUT_OF_MEMORY_REASON, code, clock_s
    if code < 0:
        reason = f"the program inside was killed by {_signal(-code)}"
        return "failed", reason, code, clock_s
    return "failed", seen["reason"] or _own_reason(folder, code), code, clock_s


def _own_reason(folder: Path, code: int) -> str:
    """The reason that the program recorded, or its last output."""
    path = folder / "outcome.json"
    if path.is_file() and (reason := json.loads(path.read_text(encoding="utf-8")).get("reason")):
        return str(reason)
    lines = [x for x in _tail(folder / CONSOLE).splitlines() if x.strip() and x[0] != "["]
    last = f": {lines[-1].strip()} (see {CONSOLE})" if lines else ""
    return f"the program inside ended with {code}{last}"


def _of_kernel(folder: Path, returncode: int) -> Ending:
    """The guest, or its isolation, ended without a report from process 1."""
    tail = _tail(folder / CONSOLE)
    lines = [line for line in tail.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else "no output"
    number = -returncode if returncode < 0 else returncode - 128 if returncode > 128 else 0
    # a guest in which a program ran out of memory may go on, and be killed from outside later
    told = None if number in _FROM_OUTSIDE else _from_console(tail)
    status, reason = told or _from_signal(number, last)
    if shutil.disk_usage(folder).free == 0:
        status, reason = "failed", "the run directory could not be written: its disk is full"
    if returncode == CANNOT_START:
        status, reason = "failed", f"the run could not be started: {last}"
    return status, reason, None, 0.0


def _from_console(tail: str) -> tuple[Status, str] | None:
    if _OUT_OF_MEMORY.search(tail):
        return "out_of_memory", _OUT_OF_MEMORY_REASON
    if panic := _PANIC.search(tail):
        return "panic", f"the guest kernel panicked: {panic[1]} (see {CONSOLE})"
    return None


def _from_signal(number: int, last: str) -> tuple[Status, str]:
    if number in _FROM_OUTSIDE:
        return "killed", f"the run was killed from outside by {_signal(number)}"
    if number:
        return "panic", f"the guest kernel crashed with {_signal(number)}: {last}"
    return "killed", f"the run shut down before its end: {last} (see {CONSOLE})"


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
