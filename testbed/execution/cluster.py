"""``--cluster``: who does jobs. Processes of this machine, or workers of Dask wherever they are.

Dask (the extra ``cluster``) has the scheduler, the transport, TLS and the ways to start workers:
`LocalCluster`, dask-jobqueue for Slurm and PBS, `SSHCluster`. A scheduler executes what clients
send it, so whoever reaches its port can run programs: it listens on the loopback alone unless the
user names an interface, and what leaves the machine is TLS.
"""

from __future__ import annotations

import ipaddress
import logging
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from testbed.core.errors import ConfigError, RunIncompleteError, TestbedError, nearest
from testbed.execution import extras
from testbed.execution.engine import Ended, Engine, Job, LocalEngine, call
from testbed.lifetime import guard

EXTRA = "cluster"
LOOPBACK = "127.0.0.1"
_HTTP = f"{LOOPBACK}:0"
"""Dask's web pages: any port of the loopback."""

QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster"}
"""Batch systems, and the classes of dask-jobqueue for them."""

_JOB = {"cores": 1, "memory": "2GB", "walltime": "01:00:00"}
_JOB_OPTIONS = (*_JOB, "queue", "account", "shared_temp_directory", "job_extra_directives")
_TLS_FILES = ("ca.pem", "cert.pem", "key.pem")
_REPLACE_S = 20.0
"""How often lost jobs of a batch system are submitted again."""

_CONFIG = {
    # a job that ends its worker is ours to count
    "distributed.scheduler.allowed-failures": 0,
    # workers start processes of their own
    "distributed.worker.daemon": False,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.admin.tick.limit": "60s",
}


@dataclass(frozen=True)
class Cluster:
    """What ``--cluster`` and its options say.

    Attributes:
        where: empty, ``local``, ``tcp://HOST:PORT``, ``tls://HOST:PORT``, ``slurm``, ``pbs`` or
            ``ssh:FILE``.
        count: number of workers; 0: one per processor (of this machine), or per host.
        interface: network interface that the scheduler listens on; empty: the loopback.
        tls: folder with ``ca.pem``, ``cert.pem`` and ``key.pem``; None: made for this command.
        job: options of the batch system's jobs.
        logs: folder for the logs of the batch system's jobs.
    """

    where: str = ""
    count: int = 0
    interface: str = ""
    tls: Path | None = None
    job: dict[str, str] = field(default_factory=dict)
    logs: Path = Path("logs")

    def check(self) -> None:
        """Refuses what cannot be.

        Raises:
            ConfigError: names the option.
            MissingPrerequisiteError: Dask is not installed.
        """
        kind = _kind(self.where)
        if self.job and kind not in QUEUES:
            raise ConfigError("--job: only jobs of slurm and pbs have such options")
        for name in self.job:
            if name not in _JOB_OPTIONS:
                known = f"{nearest(name, _JOB_OPTIONS)}; known: {', '.join(_JOB_OPTIONS)}"
                raise ConfigError(f"--job {name}: unknown{known}")
        if self.tls is not None:
            for name in _TLS_FILES:
                if not (self.tls / name).is_file():
                    raise ConfigError(f"--tls {self.tls}: has no {name}")
        if kind == "tcp" and not _is_loopback(urlsplit(self.where).hostname or ""):
            raise ConfigError(
                f"--cluster {self.where}: a scheduler on another machine executes what it is sent;"
                " use tls://HOST:PORT and --tls FOLDER"
            )
        if kind in {"tls", "ssh"} and self.tls is None:
            raise ConfigError(
                f"--cluster {self.where}: needs --tls FOLDER ({', '.join(_TLS_FILES)})"
            )
        if kind == "ssh":
            _hosts(self.where)
        if kind:
            extras.require([EXTRA], f"--cluster {self.where}")

    @property
    def workers(self) -> int:
        """Number of workers that can be expected; 0: not known."""
        known = _kind(self.where) in {"", "local", *QUEUES}
        return self.count or (guard.processors() if known else 0)

    def start(self) -> Engine:
        """Starts the workers, or finds them."""
        if not self.where:
            return LocalEngine(self.workers)
        return DaskEngine(self._opened(), self.where)

    def script(self) -> str:
        """The script of a batch system's job; empty elsewhere."""
        if _kind(self.where) not in QUEUES:
            return ""
        absent = [path for path in (self.logs, self.logs.parent) if not path.exists()]
        try:
            with _configured(), self._queue(0) as made:
                return str(made.job_script())
        finally:
            for path in absent:  # dask-jobqueue makes the folder of logs at once
                with suppress(OSError):
                    path.rmdir()

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Callable[[], None]]]:
        """A client of Dask, and what replaces lost workers; what was started ends, too."""
        from distributed import Client

        with _configured():
            kind = _kind(self.where)
            if kind in {"tcp", "tls"}:
                with Client(self.where, security=self._files(), timeout="20s") as client:
                    yield client, _nothing
                return
            starters: dict[str, Callable[[], Any]] = {"local": self._local, "ssh": self._ssh}
            started = starters.get(kind, lambda: self._queue(self.workers))()
            with started as made, Client(made) as client:
                # Dask submits a lost job again when the number of workers is set
                yield client, partial(made.scale, self.workers) if kind in QUEUES else _nothing

    def _local(self) -> Any:
        from distributed import LocalCluster

        return LocalCluster(
            n_workers=self.workers,
            threads_per_worker=1,
            host=LOOPBACK,
            protocol="tls://",
            security=self._files() or _new_certificates(),
            memory_limit=0,  # guests are processes of their own
            dashboard_address=_HTTP,
            worker_dashboard_address=_HTTP,
            local_directory=str(guard.own_folder("dask")),
            silence_logs="ERROR",
        )

    def _queue(self, count: int) -> Any:
        import dask_jobqueue

        at = {"interface": self.interface} if self.interface else {"host": LOOPBACK}
        options: dict[str, Any] = {**_JOB, **self.job, "processes": 1}
        if directives := self.job.get("job_extra_directives"):
            options["job_extra_directives"] = directives.split(";")
        options["cores"] = int(options["cores"])
        return getattr(dask_jobqueue, QUEUES[_kind(self.where)])(
            n_workers=count,
            python=sys.executable,
            protocol="tls://",
            security=self._files() or _new_certificates(),
            scheduler_options={"dashboard_address": _HTTP, **at},
            worker_extra_args=["--nthreads", "1", *_listening(self.interface)],
            log_directory=str(self.logs),
            local_directory="/tmp",
            **({"interface": self.interface} if self.interface else {}),
            **options,
        )

    def _ssh(self) -> Any:
        from distributed import SSHCluster

        hosts = _hosts(self.where)
        return SSHCluster(
            [hosts[0], *hosts],
            worker_options={
                "nthreads": 1,
                "n_workers": self.count or 1,
                "dashboard_address": _HTTP,
            },
            scheduler_options={"dashboard_address": _HTTP, "allowed_failures": 0},
            remote_python=sys.executable,
            security=self._files(),
        )

    def _files(self) -> Any:
        """Certificates that the user gave; None: none."""
        from distributed.security import Security

        if self.tls is None:
            return None
        ca, cert, key = (str((self.tls / name).resolve()) for name in _TLS_FILES)
        return Security(
            tls_ca_file=ca,
            require_encryption=True,
            **{f"tls_{who}_cert": cert for who in ("client", "scheduler", "worker")},
            **{f"tls_{who}_key": key for who in ("client", "scheduler", "worker")},
        )


def _nothing() -> None:
    """Nothing to replace: nannies start workers again, and other schedulers are not ours."""


def _new_certificates() -> Any:
    from distributed.security import Security

    return Security.temporary()


def _listening(interface: str) -> list[str]:
    """Where a worker listens; with --no-dashboard its web page would be open to all."""
    return ["--dashboard-address", _HTTP, *([] if interface else ["--host", LOOPBACK])]


@contextmanager
def _configured() -> Iterator[None]:
    import dask
    import distributed

    if logging.getLogger().level > logging.DEBUG:  # it logs each connection, and each that broke
        logging.getLogger(distributed.__name__).setLevel(logging.CRITICAL)
    with dask.config.set(_CONFIG):
        yield


def _kind(where: str) -> str:
    """``tcp`` of ``tcp://host:1``, ``ssh`` of ``ssh:file``; the word itself of others."""
    kind = where.partition(":")[0]
    known = ("local", "tcp", "tls", *QUEUES, "ssh")
    if where and (kind not in known or (kind in {"tcp", "tls"}) != ("://" in where)):
        shown = "local, tcp://HOST:PORT, tls://HOST:PORT, slurm, pbs, ssh:FILE"
        raise ConfigError(f"--cluster {where}: unknown{nearest(kind, known)}; known: {shown}")
    return kind


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _hosts(where: str) -> list[str]:
    from testbed.core.files import read_input

    path = Path(where.partition(":")[2])
    text = read_input(path, what="--cluster ssh:").decode(errors="replace")
    found = [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]
    if not found:
        raise ConfigError(f"--cluster {where}: names no host; write one a line")
    return found


# ---- Dask as an engine


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
        )
        self._futures[future] = ticket

    def ended(self, timeout_s: float) -> list[Ended]:
        """See `Engine.ended`."""
        from distributed import wait
        from distributed.client import FuturesCancelledError

        if time.monotonic() - self._replaced_s > _REPLACE_S:
            self._replaced_s = time.monotonic()
            self._replace_lost()
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
            try:
                future.result()
            except KilledWorker as killed:
                worker = str(getattr(killed.last_worker, "address", killed.last_worker))
                return Ended(ticket, worker, died="was killed", deaths=killed.allowed_failures + 1)
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
