"""Grading processes, one per processor; each loads the lab once and grades one job after another.

Not threads, because measuring is done in Python. Not forks, because the parent has threads. Not
Python's own pools of fresh processes, because their semaphores are files that remain when all are
killed.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from testbed.core import files
from testbed.core.errors import OutputError, RunIncompleteError, TestbedError
from testbed.grading import library
from testbed.grading.library import LabFolder
from testbed.lifetime import guard, sweeper

Job = TypeVar("Job")
Done = TypeVar("Done")

_BEGIN = """
import sys
sys.path[:] = {path!r}
from testbed.grading import pool
pool.serve({fd}, {of})
"""


def processors() -> int:
    """Number of processors this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class _Worker:
    """A process, and our end of its connection."""

    process: subprocess.Popen[bytes]
    line: Connection[Any, Any]

    def ask(self, work: Callable[[LabFolder, Job], Done], job: Job) -> Done:
        """The result of `work` for a job in the worker; what it raises is raised here."""
        try:
            self.line.send((work, job))
            ok, result = self.line.recv()
        except (EOFError, ConnectionError):
            raise RunIncompleteError(
                "a grading process was killed from outside (out of memory?); run the same command"
                " again: it resumes where it stopped"
            ) from None
        if not ok:
            raise result
        done: Done = result
        return done


class Pool:
    """A pool of processes that end with this one.

    Args:
        lab: the lab's folder.
        workers: how many.
        held: descriptors that they keep open, too, so that a lock is released only when all have
            ended.
    """

    def __init__(self, lab: Path, workers: int, held: Sequence[int] = ()) -> None:
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(workers)
        self._workers: list[_Worker] = []
        for _ in range(workers):
            self._workers.append(_start(lab, held))
            self._free.put(self._workers[-1])

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            if error is not None:
                worker.process.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.line.close()
            worker.process.wait()

    def each(self, work: Callable[[LabFolder, Job], Done], jobs: Sequence[Job]) -> Iterator[Done]:
        """Results of `work`, a module-level function, for each job, in order of completion.

        Raises:
            RunIncompleteError: a process was killed from outside.
        """
        for future in as_completed([self._threads.submit(self._one, work, job) for job in jobs]):
            yield future.result()

    def _one(self, work: Callable[[LabFolder, Job], Done], job: Job) -> Done:
        worker = self._free.get()
        try:
            return worker.ask(work, job)
        finally:
            self._free.put(worker)


def _start(lab: Path, held: Sequence[int]) -> _Worker:
    ours, theirs = Pipe()
    of = (os.getpid(), str(lab), sweeper.handed_down())
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


def serve(descriptor: int, of: tuple[int, str, tuple[int, ...]]) -> None:
    """A worker's main loop: receives jobs and sends results until the connection closes.

    Args:
        descriptor: of the connection.
        of: the number of the process that started this one, the lab's folder, and the sweeper.
    """
    parent, lab, sweepers = of
    guard.end_with(parent)
    sweeper.take(sweepers)
    line: Connection[Any, Any] = Connection(descriptor)
    found = library.open_folder(Path(lab))
    while True:
        try:
            work, job = line.recv()
        except EOFError:
            return
        try:
            answer = (True, work(found, job))
        except TestbedError as error:
            answer = (False, TestbedError(str(error)))
            answer[1].exit_code = error.exit_code
        except OSError as error:
            if error.errno not in files.ENVIRONMENT:
                raise  # any other is our bug, and ends the worker
            answer = (False, OutputError(f"{error.filename or found.name}: {files.reason(error)}"))
        line.send(answer)
