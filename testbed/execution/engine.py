"""Where jobs are done: by processes of this machine, or (`testbed.execution.cluster`) on many.

An `Engine` takes jobs one by one, and says what became of each. It knows nothing of what they are.

The processes of `LocalEngine` are not threads, because measuring is done in Python. Not forks,
because the parent has threads. Not Python's own pools of fresh processes, because their semaphores
are files that remain when all are killed.
"""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from testbed.core import files
from testbed.core.errors import OutputError, RunIncompleteError, TestbedError
from testbed.execution.runtime import cpus
from testbed.lifetime import guard, sweeper

Job = TypeVar("Job")
Result = TypeVar("Result")

_BEGIN = """
import sys
sys.path[:] = {path!r}
from testbed.execution import engine
engine.serve({fd}, {of})
"""


@dataclass(frozen=True)
class Ended:
    """What became of a job.

    Attributes:
        ticket: the job's number, as it was submitted.
        worker: who did it.
        result: what the work returned.
        error: what it raised instead.
        died: how its worker ended instead of answering.
        deaths: how many workers ended so, if the engine tried again by itself.
    """

    ticket: int
    worker: str = ""
    result: Any = None
    error: TestbedError | None = None
    died: str = ""
    deaths: int = 1


class Engine(AbstractContextManager["Engine"], Protocol):
    """Does jobs, as many at a time as it has slots."""

    def workers(self) -> list[str]:
        """Names of those who do jobs now; each does one at a time."""

    def submit(
        self, ticket: int, work: Callable[[Job], Any], job: Job, avoid: Collection[str] = ()
    ) -> None:
        """Has a job done.

        Args:
            ticket: a number for it, not used before.
            work: a function of a module.
            job: its argument.
            avoid: workers that do not get it while there are others.
        """

    def ended(self, timeout_s: float) -> list[Ended]:
        """What ended since the last call; waits for something to end, but no longer than that."""

    def doing(self, ticket: int) -> list[str]:
        """The worker that does a job, if it is known."""


def each(engine: Engine, work: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
    """Results of `work`, a module-level function, for each job, in order of completion.

    Raises:
        RunIncompleteError: a worker was killed from outside.
        TestbedError: what `work` raised.
    """
    waiting = iter(enumerate(jobs))
    under_way = 0
    while True:
        while under_way < max(1, len(engine.workers())) and (following := next(waiting, None)):
            engine.submit(following[0], work, following[1])
            under_way += 1
        if not under_way:
            return
        for ended in engine.ended(1.0):
            under_way -= 1
            if ended.died:
                raise RunIncompleteError(
                    f"a worker {ended.died} (out of memory?); run the same command again:"
                    " it resumes where it stopped"
                )
            if ended.error is not None:
                raise ended.error
            yield ended.result


def call(work: Callable[[Job], Any], job: Job) -> tuple[Any, TestbedError | None]:
    """In a worker: what `work` returns, or what it raises on purpose.

    Raises:
        Exception: any other; it is our bug, and ends the worker.
    """
    try:
        return work(job), None
    except TestbedError as error:
        if type(error).__module__.startswith("testbed."):
            return None, error
        said = TestbedError(str(error))  # of an experiment's own module, say
        said.exit_code = error.exit_code
        return None, said
    except OSError as error:
        if error.errno not in files.ENVIRONMENT:
            raise
        return None, OutputError(f"{error.filename or 'file'}: {files.reason(error)}")


# ---- processes of this machine


class _DiedError(Exception):
    """A worker ended without an answer."""


@dataclass(frozen=True)
class _Worker:
    """A process, and our end of its connection."""

    process: subprocess.Popen[bytes]
    line: Connection[Any, Any]

    @property
    def name(self) -> str:
        return f"{socket.gethostname()}:{self.process.pid}"

    def ask(self, work: Callable[[Job], Any], job: Job) -> tuple[Any, TestbedError | None]:
        """What the worker answered."""
        try:
            self.line.send((work, job))
            answer: tuple[Any, TestbedError | None] = self.line.recv()
        except (EOFError, ConnectionError) as error:
            code = self.process.wait()
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise _DiedError(how) from error
        return answer


class LocalEngine:
    """Processes that end with this one; one that dies is replaced.

    Args:
        count: how many.
        held: descriptors that they keep open, too, so that a lock is released only when all have
            ended.
        pinned: each stays on a processor of its own, and so does the guest that it runs.
    """

    def __init__(self, count: int, held: Sequence[int] = (), *, pinned: bool = False) -> None:
        self._held, self._pinned = held, pinned
        self._changed = threading.Condition()
        self._threads = ThreadPoolExecutor(count)
        self._workers: list[_Worker] = []
        for _ in range(count):
            self._workers.append(_start(held, pinned))
        self._free = list(self._workers)
        self._doing: dict[int, str] = {}
        self._closing = False
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        for worker in self._workers:  # what is still done is not wanted any more
            if error is not None or worker.name in self._doing.values():
                worker.process.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.line.close()
            worker.process.wait()

    def workers(self) -> list[str]:
        """See `Engine.workers`."""
        return [worker.name for worker in self._workers]

    def submit(
        self, ticket: int, work: Callable[[Job], Any], job: Job, avoid: Collection[str] = ()
    ) -> None:
        """See `Engine.submit`."""
        self._threads.submit(self._do, ticket, work, job, avoid)

    def ended(self, timeout_s: float) -> list[Ended]:
        """See `Engine.ended`."""
        try:
            return [self._ended.get(timeout=timeout_s)]
        except queue.Empty:
            return []

    def doing(self, ticket: int) -> list[str]:
        """See `Engine.doing`."""
        return [name for number, name in list(self._doing.items()) if number == ticket]

    def _do(
        self, ticket: int, work: Callable[[Job], Any], job: Job, avoid: Collection[str]
    ) -> None:
        worker = self._take(avoid)
        name = self._doing[ticket] = worker.name
        try:
            result, error = worker.ask(work, job)
            ended = Ended(ticket, name, result, error)
        except _DiedError as died:
            ended = Ended(ticket, name, died=str(died))
            worker = worker if self._closing else self._replace(worker)
        with self._changed:
            self._free.append(worker)
            self._changed.notify_all()
        del self._doing[ticket]
        self._ended.put(ended)

    def _take(self, avoid: Collection[str]) -> _Worker:
        """A free worker, and not one to avoid if there are others."""

        def fitting() -> _Worker | None:
            others = any(worker.name not in avoid for worker in self._workers)
            found = (w for w in self._free if not others or w.name not in avoid)
            return next(found, None)

        with self._changed:
            self._changed.wait_for(lambda: fitting() is not None)
            worker = fitting()
            assert worker is not None
            self._free.remove(worker)
            return worker

    def _replace(self, dead: _Worker) -> _Worker:
        dead.line.close()
        fresh = _start(self._held, self._pinned)
        with self._changed:
            self._workers[self._workers.index(dead)] = fresh
        return fresh


def _start(held: Sequence[int], pinned: bool) -> _Worker:
    ours, theirs = Pipe()
    of = (os.getpid(), pinned, sweeper.handed_down())
    code = _BEGIN.format(path=sys.path, fd=theirs.fileno(), of=of)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=2,
        pass_fds=(theirs.fileno(), *held, *sweeper.handed_down()),
        start_new_session=True,
    )
    theirs.close()
    return _Worker(process, ours)


def serve(descriptor: int, of: tuple[int, bool, tuple[int, ...]]) -> None:
    """A worker's main loop: receives jobs and sends results until the connection closes.

    Args:
        descriptor: of the connection.
        of: the number of the process that started this one, whether to stay on one processor, and
            the sweeper.
    """
    parent, pinned, sweepers = of
    guard.end_with(parent)
    sweeper.take(sweepers)
    if pinned:
        cpus.stay()
    line: Connection[Any, Any] = Connection(descriptor)
    while True:
        try:
            work, job = line.recv()
        except EOFError:
            return
        line.send(call(work, job))
