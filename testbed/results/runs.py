"""All runs of a folder: their state, verdicts and size; and how to remove some.

A repetition (``--repeat``) is one row. Reads ``run.json`` and ``verdicts.json`` alone.
"""

from __future__ import annotations

import re
import shutil
import time
from calendar import timegm
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from testbed.core.errors import ConfigError, OutputError, ParseError
from testbed.core.files import reason
from testbed.core.rundir import REPETITION, REPORT, RUN, SEED, VERDICTS, RunDir, State, read_json

DAMAGED = "damaged"
"""The state of a run whose ``run.json`` is missing or cannot be read."""

LATER = "of a later version"
"""The state of a run in a format that this program does not know; never pruned as unfinished."""

SESSION = "shell session"
"""The state of the captures and logs of a `testbed shell` that has ended."""

_SESSIONS = "shell"
_NEW_S = 60.0
"""A folder without ``run.json`` that is younger may be a run that is about to begin."""

UNFINISHED = frozenset({State.FAILED, State.INTERRUPTED, DAMAGED})
_NAME = re.compile(r".+-\d{8}-\d{6}(-\d+)?(-x\d+)?")
"""What `RunDir.create` calls a run, and `testbed.execution.repeat` a repetition."""

_DAY_S = 86400.0
_STARTED = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Row:
    """A run, or a repetition.

    Attributes:
        path: its folder.
        experiment: the experiment's name; empty where it cannot be read.
        state: a `State`, or `DAMAGED`.
        started: UTC, as in ``run.json``; empty where it cannot be read.
        fingerprint: of a virtual-clock run; empty for others and for repetitions.
        size_bytes: of all its files.
        runs: how many runs it holds.
        reason: why it is not finished.
        verdicts: number of claims by status (of a repetition: over its seeds).
    """

    path: Path
    experiment: str
    state: str
    started: str
    fingerprint: str
    size_bytes: int
    runs: int = 1
    reason: str = ""
    verdicts: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {**vars(self), "path": str(self.path)}

    @property
    def age_s(self) -> float:
        """Seconds since it started (of a damaged one: since its folder was changed)."""
        with suppress(ValueError):
            return time.time() - timegm(time.strptime(self.started, _STARTED))
        return time.time() - self.path.stat().st_mtime


def rows(runs: Path) -> list[Row]:
    """All runs and repetitions of a folder, oldest first."""
    seeds = {path.parent.parent for path in runs.glob(f"*/{SEED}*/{RUN}")}
    found = [_run(RunDir(path.parent)) for path in runs.glob(f"*/{RUN}")]
    found += [_repetition(path) for path in seeds]
    found += [_without_record(path) for path in runs.glob("*-*") if _lacks_record(path, seeds)]
    return sorted(found, key=lambda row: (-row.age_s, row.path.name))


def _run(run: RunDir) -> Row:
    size_bytes = _size_bytes(run.path)
    try:
        meta, state = run.meta(), run.state
    except ParseError as error:
        unread = LATER if run.is_of_later_version else DAMAGED
        return Row(run.path, "", unread, "", "", size_bytes, reason=str(error))
    return Row(
        run.path,
        str(meta.get("experiment", "")),
        state,
        str(meta.get("started", "")),
        str(meta.get("fingerprint") or ""),
        size_bytes,
        reason=_why(state, meta),
        verdicts=_verdicts(run.path / VERDICTS) if state is State.FINISHED else {},
    )


def _lacks_record(path: Path, repetitions: set[Path]) -> bool:
    """Whether it is a run's folder, by its name, without a ``run.json``."""
    return (
        bool(_NAME.fullmatch(path.name))
        and path.is_dir()
        and path not in repetitions
        and not (path / RUN).exists()
    )


def _without_record(path: Path) -> Row:
    """A shell session, or a run that was killed before its first record."""
    session = path.name.startswith(f"{_SESSIONS}-")
    row = Row(
        path,
        _SESSIONS if session else "",
        SESSION if session else DAMAGED,
        _started_by_name(path.name),
        "",
        _size_bytes(path),
        reason="" if session else f"has no {RUN}",
    )
    under_way = RunDir(path).under_way or (not session and row.age_s < _NEW_S)
    return replace(row, state=State.UNDER_WAY, reason="") if under_way else row


def _started_by_name(name: str) -> str:
    """When a run's folder was made, from its name."""
    day, clock = re.findall(r"-(\d{8})-(\d{6})(?=-|$)", name)[-1]
    try:
        return time.strftime(_STARTED, time.strptime(day + clock, "%Y%m%d%H%M%S"))
    except ValueError:  # digits that are no date
        return ""


def _why(state: State, meta: dict[str, Any]) -> str:
    return str(meta.get("reason") or "") if state in UNFINISHED else ""


def _repetition(path: Path) -> Row:
    """A repetition is finished once its report, the last of all, is there."""
    folders = sorted(path.glob(f"{SEED}*/{RUN}"))
    first = _run(RunDir(folders[0].parent))
    state = State.INTERRUPTED
    if first.state == State.UNDER_WAY:  # its parent is locked
        state = State.UNDER_WAY
    elif all((path / name).is_file() for name in (REPETITION, REPORT)):
        state = State.FINISHED
    verdicts: dict[str, int] = {}
    if state is State.FINISHED:
        with suppress(ParseError, KeyError, TypeError):
            verdicts = Counter(c["status"] for c in read_json(path / REPETITION)["claims"])
    return Row(
        path,
        first.experiment,
        state,
        first.started,
        "",
        _size_bytes(path),
        len(folders),
        verdicts=dict(verdicts),
    )


def _verdicts(path: Path) -> dict[str, int]:
    with suppress(ParseError, KeyError, TypeError):
        return dict(Counter(row["status"] for row in read_json(path)))
    return {}


def _size_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # of a run that is under way a file may vanish
            total += path.lstat().st_size
    return total


# ---- removing


def to_prune(
    found: Iterable[Row], *, older_than_days: float | None, keep: int | None, unfinished: bool
) -> Iterator[Row]:
    """The runs that the given conditions name, all of which must hold; never one under way.

    Nor what may be somebody else's: a link, or a folder whose ``run.json`` is not one of ours and
    whose name is not, either.

    Args:
        found: all runs.
        older_than_days: only those that started before that.
        keep: not the newest `keep` of each experiment.
        unfinished: only those that failed, were interrupted or are damaged.
    """
    seen: Counter[str] = Counter()
    for row in sorted(found, key=lambda row: row.age_s):
        foreign = row.state == DAMAGED and not _NAME.fullmatch(row.path.name)
        if row.state == State.UNDER_WAY or row.path.is_symlink() or foreign:
            continue
        seen[row.experiment] += 1
        young = older_than_days is not None and row.age_s < older_than_days * _DAY_S
        kept = keep is not None and seen[row.experiment] <= keep
        if not (young or kept or (unfinished and row.state not in UNFINISHED)):
            yield row


def remove(path: Path) -> None:
    """Removes a run or a repetition. One that was removed in part counts as interrupted.

    Raises:
        ConfigError: it is under way, or a link.
        OutputError: it cannot be removed.
    """
    if path.is_symlink():
        raise ConfigError(f"{path}: is a link; what it leads to is not removed")
    run = RunDir(path)
    with run.in_use():
        if (path / RUN).is_file():
            with suppress(ParseError, OutputError):  # a full disk is why one removes runs
                run.set_state(State.INTERRUPTED, "it was being removed")
        try:
            last = {RUN: 2, REPETITION: 0}
            for child in sorted(path.iterdir(), key=lambda p: last.get(p.name, 1)):
                if child.is_dir() and not child.is_symlink():
                    shutil.rmtree(child)
                else:
                    child.unlink()
            path.rmdir()
        except OSError as error:
            raise OutputError(f"{path}: cannot be removed: {reason(error)}") from error
