"""Processes that grade, one a processor; each has loaded the lab once and does one after another.

Not threads: a guest's measuring is Python. Not plain forks: the parent may have threads.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from testbed.core.errors import RunIncompleteError
from testbed.execution.runtime.outcome import Stop
from testbed.grading import library
from testbed.grading.library import LabFolder

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

Job = TypeVar("Job")
Done = TypeVar("Done")

_PARENT_ENDS = 1  # PR_SET_PDEATHSIG
_IMPORTED_ONCE = [
    "testbed.grading.grade",
    "testbed.grading.pages",
    "testbed.author.steps",
    "pandas",
]
"""What all need, imported before they are forked."""

_lab: LabFolder
_stop: Event


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


class Pool:
    """So many processes."""

    def __init__(self, lab: Path, workers: int) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_IMPORTED_ONCE)
        self._stop = context.Event()
        self._pool = ProcessPoolExecutor(workers, context, _begin, (lab, self._stop))

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    def each(
        self, work: Callable[[LabFolder, Job, Stop], Done], jobs: Sequence[Job]
    ) -> Iterator[Done]:
        """What `work`, a function of a module's, gives for each job, in the order of their ends.

        Raises:
            RunIncompleteError: a process was ended from outside.
        """
        futures = [self._pool.submit(_call, work, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise RunIncompleteError(
                "a grading process was ended from outside (out of memory?); run the same command"
                " again: it goes on where it stopped"
            ) from None


def _begin(lab: Path, stop: Event) -> None:
    """A worker's start: Ctrl-C is the parent's to hear, and nobody outlives it."""
    global _lab, _stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PARENT_ENDS, signal.SIGKILL, 0, 0, 0)
    _lab, _stop = library.open_folder(lab), stop


def _call(work: Callable[[LabFolder, Job, Stop], Done], job: Job) -> Done:
    return work(_lab, job, _stop)
