"""Makes a sweep's runs with an engine: what to give to whom, and what follows from how it ends."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median

from testbed.core.errors import ExitCode, RunIncompleteError, TestbedError
from testbed.execution.engine import Ended, Engine
from testbed.sweep import work
from testbed.sweep.inputs import OtherVersionsError, Task
from testbed.sweep.jobs import NOT_COMPARED, Jobs, Row, State
from testbed.sweep.work import Done

MOST_DEATHS = 3
"""A run that ended this many workers is set aside."""

MOST_FAILURES = 3
"""A run that failed with this many workers has failed; a failure of its own counts at once."""

SAME, DIFFERENT = "same", "different"
"""What comparing two runs with the same inputs showed."""

_WAIT_S = 1.0
_GRACE_S = 30.0
"""How long to wait for another worker once all that are there were refused."""

_ALONE_S, _ALONE_AGAIN_S = 30.0, 600.0
"""How long no worker is there until that is said, and until it is said again."""

_SLOW = 4.0
"""A run is taken over by an idle worker if it takes this many times the median…"""
_SLOW_S = 30.0
"""… and at least this."""


class Watcher:
    """Receives a sweep's progress; the command line overrides what it shows."""

    def began(self, how: str, workers: int, to_do: int, of: int) -> None:
        """The first runs are about to start: how, by how many, how many, of how many."""

    def made(self, row: Row, worker: str, wall_s: float) -> None:
        """A run is there."""

    def went_wrong(self, row: Row, reason: str, state: State) -> None:
        """A try failed; `state` is what the job is now."""

    def note(self, text: str) -> None:
        """Something that concerns no single run."""


@dataclass
class _UnderWay:
    """A task that an engine has."""

    task: Task
    began_s: float = 0.0
    first: Row | None = None
    """Of a second run for comparison: the first one."""


class Drive:
    """Makes all runs of a sweep that are to be made.

    Args:
        engine: who makes them.
        jobs: the table.
        tasks: by key, of all jobs.
        watcher: receives the progress.
        verify_percent: share of the runs that are made twice, those made earlier included.
    """

    def __init__(
        self,
        engine: Engine,
        jobs: Jobs,
        tasks: Mapping[str, Task],
        watcher: Watcher,
        verify_percent: float = 0.0,
    ) -> None:
        self._engine, self._jobs, self._watcher = engine, jobs, watcher
        self._verify, self._over = verify_percent, set[str]()
        self._rows = {row.key: row for row in jobs.rows()}
        self._waiting = deque(_UnderWay(tasks[row.key]) for row in jobs.rows(State.TO_DO))
        self._checks = deque(
            _UnderWay(tasks[row.key].again(), first=row)
            for row in to_verify(jobs.rows(State.DONE), verify_percent)
        )
        self._out: dict[int, _UnderWay] = {}
        self._avoid: dict[str, set[str]] = {}
        self._refused: dict[str, str] = {}
        self._lasted_s: list[float] = []
        self._tickets = 0
        self._alone_since_s = self._refused_s = time.monotonic()

    def run(self) -> None:
        """Makes them.

        Raises:
            OtherVersionsError: no worker is left that would do the work as this machine does.
            OutputError: this machine's disk is full, say.
        """
        while self._waiting or self._checks or any(map(self._is_awaited, self._out.values())):
            self._hand_out()
            for ended in self._engine.ended(_WAIT_S):
                if (one := self._out.pop(ended.ticket, None)) is not None:
                    self._take(one, ended)

    def _is_awaited(self, one: _UnderWay) -> bool:
        """Not a run that somebody else has made meanwhile."""
        return one.first is not None or one.task.key not in self._over

    # ---- handing out

    def _hand_out(self) -> None:
        workers = self._engine.workers()
        if workers:
            self._alone_since_s = time.monotonic()
        elif time.monotonic() - self._alone_since_s > _ALONE_S:
            self._watcher.note("no worker is there; waiting")
            self._alone_since_s = time.monotonic() + _ALONE_AGAIN_S
        usable = set(workers) - self._refused.keys()
        if workers and not usable and time.monotonic() - self._refused_s >= _GRACE_S:
            raise OtherVersionsError(next(iter(self._refused.values())))
        while len(self._out) < (len(usable) if workers else 1):
            if self._waiting:
                self._submit(self._waiting.popleft())
            elif self._checks and usable:
                self._check(self._checks.popleft(), usable)
            elif (slow := self._slow()) is not None:
                self._avoid.setdefault(slow.task.key, set()).update(self._doing(slow))
                self._submit(_UnderWay(slow.task))
            else:
                return

    def _check(self, one: _UnderWay, usable: set[str]) -> None:
        """Has a second run made by another worker, if there is one."""
        assert one.first is not None
        if usable - {one.first.worker}:
            self._submit(one)
        else:
            self._not_compared(one, "no worker but the one that made it is there")

    def _submit(self, one: _UnderWay) -> None:
        self._tickets += 1
        one.began_s = time.monotonic()
        self._out[self._tickets] = one
        avoid = self._avoid.get(one.task.key, set()) | self._refused.keys()
        if one.first is not None:
            avoid |= {one.first.worker}
        self._engine.submit(self._tickets, work.make, one.task, avoid)

    def _slow(self) -> _UnderWay | None:
        """A run that takes much longer than others and that nobody else makes yet."""
        if not self._lasted_s:
            return None
        limit_s = max(_SLOW_S, _SLOW * median(self._lasted_s))
        keys = [one.task.key for one in self._out.values()]
        now_s = time.monotonic()
        for one in self._out.values():
            alone = one.first is None and keys.count(one.task.key) == 1
            if alone and now_s - one.began_s > limit_s:
                return one
        return None

    def _doing(self, one: _UnderWay) -> Iterable[str]:
        ticket = next(number for number, other in self._out.items() if other is one)
        return self._engine.doing(ticket)

    # ---- what became of it

    def _take(self, one: _UnderWay, ended: Ended) -> None:
        key = one.task.key
        if isinstance(ended.error, OtherVersionsError):
            self._refuse(one, ended.worker, str(ended.error))
        elif one.first is not None:
            self._compare(one, ended)
        elif key in self._over:
            return  # somebody else was faster
        elif ended.died:
            why = f"its worker {ended.worker} {ended.died}".replace("  ", " ")
            state = self._jobs.died(key, why, MOST_DEATHS, ended.deaths)
            self._wrong(one, ended.worker, why, state)
        elif ended.error is not None:
            why = str(ended.error)
            self._wrong(one, ended.worker, why, self._jobs.failed(key, why, _tries(ended.error)))
        else:
            self._made(one, ended)

    def _made(self, one: _UnderWay, ended: Ended) -> None:
        done: Done = ended.result
        task = one.task
        if done.packed:
            work.unpack(done.packed, task.request.out, task.key)
        self._over.add(task.key)
        self._lasted_s.append(done.wall_s)
        made = (done.wall_s, done.size_bytes, done.fingerprint)
        self._jobs.done(task.key, ended.worker, *made)
        self._watcher.made(self._rows[task.key], ended.worker, done.wall_s)
        first = replace(
            self._rows[task.key], worker=ended.worker, fingerprint=done.fingerprint, verified=""
        )
        for row in to_verify([first], self._verify):
            self._checks.append(_UnderWay(task.again(), first=row))

    def _wrong(self, one: _UnderWay, worker: str, why: str, state: State) -> None:
        key = one.task.key
        self._watcher.went_wrong(self._rows[key], why, state)
        if any(other.task.key == key for other in self._out.values()):
            return  # somebody else makes it, too
        if state is State.TO_DO:
            self._avoid.setdefault(key, set()).add(worker)
            self._waiting.append(_UnderWay(one.task))
        else:
            self._over.add(key)

    def _refuse(self, one: _UnderWay, worker: str, why: str) -> None:
        if worker not in self._refused:
            self._watcher.note(f"{why}; it gets no more work")
        self._refused[worker], self._refused_s = why, time.monotonic()
        (self._checks if one.first else self._waiting).appendleft(one)

    def _compare(self, one: _UnderWay, ended: Ended) -> None:
        """Notes what a second run showed; a second run that failed shows nothing."""
        assert one.first is not None
        where = f"{one.first.worker} and {ended.worker}"
        if ended.died or ended.error is not None:
            self._not_compared(one, ended.died or str(ended.error))
        elif ended.worker == one.first.worker:
            self._not_compared(one, "the other workers left")
        elif not (one.first.fingerprint and ended.result.fingerprint):
            self._not_compared(one, "only runs with the virtual clock have fingerprints")
        elif ended.result.fingerprint == one.first.fingerprint:
            self._jobs.verified(one.task.key, f"{SAME}: {where}")
        else:
            self._watcher.note(f"run {one.task.key}: its fingerprints differ: {where}")
            self._jobs.verified(one.task.key, f"{DIFFERENT}: {where}")

    def _not_compared(self, one: _UnderWay, why: str) -> None:
        self._jobs.verified(one.task.key, f"{NOT_COMPARED}: {why}")


def _tries(error: TestbedError) -> int:
    """How often a run is tried that ends so: one that ends by itself would end so again."""
    if error.exit_code is not ExitCode.ENVIRONMENT:
        return 1
    return MOST_FAILURES - 1 if isinstance(error, RunIncompleteError) else MOST_FAILURES


def comparisons(rows: Iterable[Row]) -> dict[str, int]:
    """How many runs second runs showed to be the `same` or `different`, or `not compared`."""
    found = Counter(row.verified.partition(":")[0] for row in rows if row.verified)
    return {what: found[what] for what in (SAME, DIFFERENT, NOT_COMPARED) if found[what]}


def to_verify(rows: Iterable[Row], percent: float) -> list[Row]:
    """Those of the runs that are in the sample to be made twice, and were not compared yet."""
    return [row for row in rows if _is_sampled(row.key, percent) and not row.verified]


def _is_sampled(key: str, percent: float) -> bool:
    """Whether a run is in the sample that is made twice: its hash decides."""
    return int(key[:8], 16) < percent / 100 * 16**8
