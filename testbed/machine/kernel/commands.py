"""Runs the tools a kernel build needs, so that they end with us and errors carry their reason."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from testbed.core.errors import CommandError
from testbed.lifetime import guard

_TICK_S = 0.3
_TAIL_CHARS = 4000


def environment() -> dict[str, str]:
    """The environment of the system's tools: English, with the user's proxies and apt settings."""
    kept = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy") or k == "HOME"}
    return {**kept, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def output(argv: Sequence[str]) -> str:
    """What a command prints.

    Raises:
        CommandError: it failed.
    """
    done = guard.result(argv, env=environment())
    if done.returncode != 0:
        raise CommandError("build", argv, done.returncode, done.stdout, done.stderr)
    return done.stdout


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: IO[bytes] | None = None,
    on_tick: Callable[[], None] = lambda: None,
    log: Path | None = None,
) -> None:
    """Runs a long command, which ends with us.

    Args:
        argv: the command.
        cwd: where.
        env: added to `environment`.
        stdin: what it reads; nothing by default.
        on_tick: called three times a second.
        log: a file for its output.

    Raises:
        CommandError: it failed; carries the end of its output.
    """
    with log.open("w+b") if log else tempfile.TemporaryFile() as out:
        options = {
            "cwd": cwd,
            "env": {**environment(), **(env or {})},
            "stdin": stdin or subprocess.DEVNULL,
            "stdout": out,
            "stderr": subprocess.STDOUT,
        }
        with guard.started(argv, **options) as process:
            while _still_runs(process):
                on_tick()
        if process.returncode != 0:
            out.seek(max(0, out.seek(0, os.SEEK_END) - _TAIL_CHARS))
            tail = out.read().decode(errors="replace")
            raise CommandError("build", argv, process.returncode, stderr=tail)


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_TICK_S)
    except subprocess.TimeoutExpired:
        return True
    return False
