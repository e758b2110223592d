"""What a worker does: it makes one run, and hands over what is kept of it, whole or not at all.

Where the worker sees the sweep's folder, the run is made there under a temporary name and renamed.
Elsewhere it is made in a temporary folder and sent back.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from testbed.author.experiment import load
from testbed.core import files, parameters
from testbed.core.errors import ConfigError, RunIncompleteError
from testbed.core.rundir import REPORT, RUN, RunDir
from testbed.execution import plan, runner
from testbed.execution.runtime import choose, cpus
from testbed.lifetime import guard
from testbed.sweep.inputs import OtherVersionsError, Task, refuse_other_versions, versions

RUNS, FAILED = "runs", "failed"
"""In a sweep's folder: finished runs by their keys, and the last try of those that fail."""


@dataclass(frozen=True)
class Done:
    """A run that was made.

    Attributes:
        wall_s: how long that took.
        size_bytes: of what is kept.
        fingerprint: of a virtual-clock run, else empty.
        packed: files that are kept, by path, if the worker does not see the sweep's folder.
    """

    wall_s: float
    size_bytes: int
    fingerprint: str
    packed: Mapping[str, bytes] = field(default_factory=dict)


def make(task: Task) -> Done:
    """Makes a run.

    Raises:
        OtherVersionsError: this machine would make it differently.
        TestbedError: it could not be made; what it left is in the sweep's folder `FAILED`.
    """
    began_s = time.monotonic()
    cpus.stay()
    _refuse_other_versions(task)
    home = task.home.folder if task.home.is_seen else None
    guard.use_own_folder()
    with guard.folder("sweep", within=home and files.make_folder(home / RUNS)) as scratch:
        try:
            draw = task.keep == "all" and not task.check
            run = runner.run(replace(task.request, out=scratch), draw=draw).run
        except RunIncompleteError as error:
            left = _keep_failed(task, scratch, home)
            raise RunIncompleteError(_without_folders(str(error), left)) from None
        fingerprint = str(run.meta().get("fingerprint") or "")
        if task.check:
            return Done(time.monotonic() - began_s, 0, fingerprint)
        _remove_rest(run, task.keep)
        size_bytes = sum(p.stat().st_size for p in run.path.rglob("*") if p.is_file())
        packed = {} if home else _packed(run.path)
        if home:
            place(run.path, home, task.key)
    return Done(time.monotonic() - began_s, size_bytes, fingerprint, packed)


def _refuse_other_versions(task: Task) -> None:
    request = task.request
    try:
        cls = load(request.experiment)
    except ConfigError as error:
        said = f"worker {socket.gethostname()}: cannot load the experiment: {error}"
        raise OtherVersionsError(said) from None
    runtime = choose(request.runtime, clock=request.clock, image=request.image)
    params: Any = parameters.build(cls.Parameters, request.parameters)
    programs = plan.programs_of(cls, plan.scenarios_of(cls, params, request.only))
    refuse_other_versions(
        task.versions, versions(cls, runtime, programs), f"worker {socket.gethostname()}"
    )


def _remove_rest(run: RunDir, keep: str) -> None:
    """Removes what is not kept."""
    if keep == "tables":  # of scenarios: what they were, and how they ended
        for path in run.path.glob("scenarios/*/*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix != ".json":
                path.unlink()
    if keep != "all":
        shutil.rmtree(run.plots, ignore_errors=True)
        (run.path / REPORT).unlink(missing_ok=True)


def _keep_failed(task: Task, scratch: Path, home: Path | None) -> Path | None:
    """Keeps the newest failed try where it can be looked at."""
    runs = [path.parent for path in scratch.glob(f"*/{RUN}")]
    if home is None or task.check or not runs:
        return None
    target = files.make_folder(home / FAILED) / task.key
    with suppress(OSError):
        shutil.rmtree(target, ignore_errors=True)
        runs[0].rename(target)
    return target


def _without_folders(reason: str, left: Path | None) -> str:
    """A run's reason without the temporary folder's name."""
    said = reason.partition(" (run directory: ")[0]
    return f"{said} ({left})" if left else said


# ---- handing over


def place(run: Path, home: Path, key: str) -> None:
    """Gives a run its place; the first one that gets there counts."""
    target = home / RUNS / key
    with files.refused(target):
        try:
            run.rename(target)
        except OSError:
            if not (target / RUN).is_file():
                raise


def _packed(folder: Path) -> dict[str, bytes]:
    """All files of a folder, by their paths in it."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def unpack(packed: Mapping[str, bytes], home: Path, key: str) -> None:
    """Puts a run that was sent in its place; the first one that gets there counts."""
    if not has(home, key):
        files.write_tree(home / RUNS / key, packed, frozenset())


def remove_leftovers(home: Path) -> None:
    """Removes what workers were making when somebody ended them; nobody else uses the sweep."""
    for path in (home / RUNS).glob(f"{guard.WORK}*"):
        guard.remove(path)


def fingerprint_of(home: Path, key: str) -> str:
    """The fingerprint of a run that is there; empty: it has none."""
    return str(RunDir(home / RUNS / key).meta().get("fingerprint") or "")


def has(home: Path, key: str) -> bool:
    """Whether a run is there; runs appear complete."""
    return os.path.exists(home / RUNS / key / RUN)  # noqa: PTH110 (many of them)
