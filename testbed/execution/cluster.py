"""``--cluster``: who does jobs. Processes of this machine, or workers of Dask wherever they are.

Dask (the extra ``cluster``) has the scheduler, the transport, TLS and the ways to start workers:
`LocalCluster`, and dask-jobqueue for Slurm and PBS. A scheduler executes what clients send it, so
whoever reaches its port can run programs: it listens on the loopback alone unless the user names an
interface, and what leaves the machine is TLS.
"""

from __future__ import annotations

import gc
import ipaddress
import logging
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from testbed.core import files
from testbed.core.errors import (
    ConfigError,
    MissingPrerequisiteError,
    nearest,
)
from testbed.execution import extras
from testbed.execution.dask_engine import DaskEngine
from testbed.execution.engine import Engine, LocalEngine
from testbed.lifetime import guard, sweeper

EXTRA = "cluster"
LOOPBACK = "127.0.0.1"
_HTTP = f"{LOOPBACK}:0"
"""Dask's web pages: any port of the loopback."""

QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster"}
"""Batch systems, and the classes of dask-jobqueue for them."""

_SUBMITS = {
    "slurm": ("sbatch", "apt-get install slurm-client"),
    "pbs": ("qsub", "the client programs of PBS"),
}
"""Programs that submit jobs, and what has them."""

_JOB = {"cores": 1, "memory": "2GB", "walltime": "01:00:00"}
_JOB_OPTIONS = (*_JOB, "queue", "account", "shared_temp_directory", "job_extra_directives")
_TLS_FILES = ("ca.pem", "cert.pem", "key.pem")

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
        where: empty, ``local``, ``tcp://HOST:PORT``, ``tls://HOST:PORT``, ``slurm`` or ``pbs``.
        count: number of workers; 0: one per processor of this machine.
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

    def check(self, *, submit: bool = True) -> None:
        """Refuses what cannot be; `submit`: jobs will be submitted.

        Raises:
            ConfigError: names the option.
            MissingPrerequisiteError: Dask is not installed.
        """
        kind = _kind(self.where)
        self._check_options(kind)
        if self.tls is not None:
            for name in _TLS_FILES:
                if not (self.tls / name).is_file():
                    raise ConfigError(f"--tls {self.tls}: has no {name}")
        if kind == "tcp" and not _is_loopback(urlsplit(self.where).hostname or ""):
            raise ConfigError(
                f"--cluster {self.where}: a scheduler on another machine executes what it is sent;"
                " use tls://HOST:PORT and --tls FOLDER"
            )
        if kind == "tls" and self.tls is None:
            raise ConfigError(
                f"--cluster {self.where}: needs --tls FOLDER ({', '.join(_TLS_FILES)})"
            )
        if kind:
            extras.require([EXTRA], f"--cluster {self.where}")
        if submit and kind in _SUBMITS and shutil.which(_SUBMITS[kind][0]) is None:
            raise MissingPrerequisiteError(*_SUBMITS[kind], f"--cluster {self.where}")

    def _check_options(self, kind: str) -> None:
        if self.job and kind not in QUEUES:
            raise ConfigError("--job: only jobs of slurm and pbs have such options")
        if self.interface and kind not in QUEUES:
            raise ConfigError("--interface: only with --cluster slurm or pbs")
        if self.tls is not None and kind in {"", "tcp"}:
            raise ConfigError("--tls: only with --cluster local, tls://HOST:PORT, slurm or pbs")
        for name in self.job:
            if name not in _JOB_OPTIONS:
                known = f"{nearest(name, _JOB_OPTIONS)}; known: {', '.join(_JOB_OPTIONS)}"
                raise ConfigError(f"--job {name}: unknown{known}")
        if not self.job.get("cores", "1").isdecimal():
            raise ConfigError(f"--job cores={self.job['cores']}: is not a whole number")
        known_interfaces = [name for _, name in socket.if_nameindex()]
        if self.interface and self.interface not in known_interfaces:
            raise ConfigError(
                f"--interface {self.interface}: is not here; known: {', '.join(known_interfaces)}"
            )

    @property
    def workers(self) -> int:
        """Number of workers that can be expected; 0: not known."""
        known = _kind(self.where) in {"", "local", *QUEUES}
        return self.count or (guard.processors() if known else 0)

    def start(self, held: Sequence[int] = ()) -> Engine:
        """Starts the workers, or finds them; `held`: see `LocalEngine`."""
        if not self.where:
            return LocalEngine(self.workers, held)
        return DaskEngine(self._opened(), self.where)

    def script(self) -> str:
        """The script of a batch system's job; empty elsewhere."""
        if _kind(self.where) not in QUEUES:
            return ""
        absent = [path for path in (self.logs, self.logs.parent) if not path.exists()]
        try:
            files.make_folder(self.logs)
            with guard.folder(within=self.logs) as shared, _configured():
                text = self._script(shared)
                gc.collect()  # it removes its certificates when nobody refers to them
                return text
        finally:
            for path in absent:  # dask-jobqueue makes the folder of logs at once
                with suppress(OSError):
                    path.rmdir()

    def _script(self, shared: Path) -> str:
        with self._queue(0, shared) as made:
            return str(made.job_script())

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
            started = self._started(kind)
            with started as made, Client(made) as client:
                # Dask submits a lost job again when the number of workers is set
                yield client, partial(made.scale, self.workers) if kind in QUEUES else _nothing

    def _started(self, kind: str) -> Any:
        """What Dask has for a kind of workers.

        Raises:
            ConfigError: Dask refuses an option, or cannot start it.
        """
        try:
            if kind == "local":
                return self._local()
            return self._queue(self.workers, self._certificates())
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"--cluster {self.where}: {error}") from None

    def _certificates(self) -> Path:
        """A folder that jobs see, too; it is removed however this command ends."""
        files.make_folder(self.logs)
        path = Path(tempfile.mkdtemp(prefix=guard.WORK, dir=self.logs))
        sweeper.note(path)
        return path

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

    def _queue(self, count: int, shared: Path) -> Any:
        import dask_jobqueue

        at = {"interface": self.interface} if self.interface else {"host": LOOPBACK}
        options: dict[str, Any] = {"shared_temp_directory": str(shared), **_JOB, **self.job}
        if directives := self.job.get("job_extra_directives"):
            options["job_extra_directives"] = directives.split(";")
        options["cores"] = int(options["cores"])
        return getattr(dask_jobqueue, QUEUES[_kind(self.where)])(
            n_workers=count,
            processes=1,
            python=sys.executable,
            protocol="tls://",
            security=self._files() or _new_certificates(),
            scheduler_options={"dashboard_address": _HTTP, **at},
            worker_extra_args=["--nthreads", "1", *_listening(self.interface)],
            log_directory=str(self.logs),
            local_directory=str(shared),  # Dask leaves a folder behind; this one is removed
            **({"interface": self.interface} if self.interface else {}),
            **options,
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
    own = {"temporary-directory": str(guard.own_folder("dask"))}  # a scheduler's, too
    with dask.config.set({**_CONFIG, **own}):
        yield


def _kind(where: str) -> str:
    """``tcp`` of ``tcp://host:1``; the word itself of others."""
    kind = where.partition(":")[0]
    known = ("local", "tcp", "tls", *QUEUES)
    if where and (kind not in known or (kind in {"tcp", "tls"}) != ("://" in where)):
        shown = "local, tcp://HOST:PORT, tls://HOST:PORT, slurm, pbs"
        raise ConfigError(f"--cluster {where}: unknown{nearest(kind, known)}; known: {shown}")
    return kind


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
