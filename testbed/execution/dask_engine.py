"""Workers of a Dask scheduler as an engine; `testbed.execution.cluster` starts or finds them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from testbed.core.errors import RunIncompleteError, TestbedError
from testbed.execution.engine import Ended, Job, call

_REPLACE_S = 20.0
"""How often lost jobs of a batch system are submitted again."""


def _do(work: Callable[[Job], Any], job: Job) -> tuple[str, Any, TestbedError | None]:
    """In a worker of Dask."""
    from distributed import get_worker

    return (get_worker().address, *call(work, job))


class DaskEngine:
    """Workers of a Dask scheduler.

    Args:
        opened: gives a client.
        where: what errors call it.
    """

    def __init__(self, opened: Any, where: str) -> None:
        self._opened, self._where = opened, where
        self._futures: dict[Any, int] = {}
        self._replaced_s = time.monotonic()

    def __enter__(self) -> Self:
        try:
            self._client, self._replace_lost = self._opened.__enter__()
        except (OSError, TimeoutError) as error:
            raise RunIncompleteError(
                f"--cluster {self._where}: no scheduler answers: {error}"
            ) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError, TimeoutError):  # a scheduler that is gone
            self._client.cancel(list(self._futures), force=True)
        self._futures.clear()
        self._opened.__exit__(kind, error, trace)

    def workers(self) -> list[str]:
        """See `Engine.workers`."""
        try:
            return list(self._client.nthreads())
        except (OSError, TimeoutError) as error:
            raise self._gone() from error

    def submit(
        self, ticket: int, work: Callable[[Job], Any], job: Job, avoid: Collection[str] = ()
    ) -> None:
        """See `Engine.submit`."""
        others = [name for name in self.workers() if name not in avoid] if avoid else []
        future = self._client.submit(
            _do,
            work,
            job,
            key=f"testbed-{ticket}-{uuid.uuid4().hex}",
            pure=False,
            workers=others or None,
            allow_other_workers=bool(others),  # if these leave, the job must not wait for them
        )
        self._futures[future] = ticket

    def ended(self, timeout_s: float) -> list[Ended]:
        """See `Engine.ended`."""
        from distributed import wait
        from distributed.client import FuturesCancelledError

        if time.monotonic() - self._replaced_s > _REPLACE_S:
            self._replaced_s = time.monotonic()
            self._replace_lost()
        if not self._futures:
            time.sleep(timeout_s)
            return []
        try:
            done = wait(list(self._futures), timeout=timeout_s, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            return []
        except FuturesCancelledError:
            raise self._gone() from None
        return [self._of(future) for future in done]

    def _of(self, future: Any) -> Ended:
        from distributed.scheduler import KilledWorker

        ticket = self._futures.pop(future)
        if future.status == "finished":
            worker, result, error = future.result()
            return Ended(ticket, worker, result, error)
        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                worker = str(getattr(error.last_worker, "address", error.last_worker))
                return Ended(ticket, worker, died="was killed", deaths=error.allowed_failures + 1)
            said = " ".join(str(error).split())
            return Ended(ticket, died=f"failed ({type(error).__name__}: {said})")
        raise self._gone()

    def doing(self, ticket: int) -> list[str]:
        """See `Engine.doing`."""
        found = [future for future, number in self._futures.items() if number == ticket]
        return [name for names in self._client.who_has(found).values() for name in names] or [
            worker
            for worker, keys in self._client.processing().items()
            if any(future.key in keys for future in found)
        ]

    def _gone(self) -> RunIncompleteError:
        return RunIncompleteError(
            f"--cluster {self._where}: the scheduler is gone; start it, and run the same command"
            " again: it resumes where it stopped"
        )
