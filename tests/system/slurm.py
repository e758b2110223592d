"""A Slurm of one node, as ordinary processes of this user on the loopback, in a folder."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from testbed.lifetime import guard

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue", "sinfo")
_READY_S = 60.0

_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SrunPortRange={ports[2]}-{last_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName=node1 NodeAddr=127.0.0.1 NodeHostname={host} CPUs=2 RealMemory=8000
PartitionName=short Nodes=node1 Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Programs of Slurm that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Gives the environment in which ``sbatch`` and the others find it."""
    folder.mkdir(mode=0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    ports = _free_ports(3)
    configuration = folder / "slurm.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            host=socket.gethostname(),
            ports=ports,
            last_port=ports[2] + 50,
            user=getpass.getuser(),
            folder=folder,
        )
    )
    environment = {**os.environ, "PATH": _path(), "SLURM_CONF": str(configuration)}
    places = {n: f"{folder}/munge.{n}" for n in ("socket", "pid", "log", "seed")}
    munge = [f"--{n}={places[n]}" for n in ("socket",)]
    munge += [f"--{n}-file={path}" for n, path in places.items() if n != "socket"]
    daemons = (
        ["munged", "-F", "--force", f"--key-file={key}", *munge],
        ["slurmctld", "-D", "-c", "-i"],
        ["slurmd", "-D", "-c", "-N", "node1"],
    )
    with ExitStack() as stack, (folder / "daemons.log").open("wb") as log:
        for argv in daemons:
            stack.enter_context(guard.started(argv, env=environment, stdout=log, stderr=log))
            if argv[0] == "munged":
                _wait_for(folder, lambda: Path(places["socket"]).exists())
        _wait_for(folder, lambda: said(environment, "sinfo", "-h", "-o", "%T").strip() == "idle")
        yield environment


def _wait_for(folder: Path, condition) -> None:
    until_s = time.monotonic() + _READY_S
    while not condition():
        logs = {path.name: path.read_text()[-2000:] for path in folder.glob("*.log")}
        assert time.monotonic() < until_s, logs
        time.sleep(0.2)


def said(environment: dict[str, str], *argv: str) -> str:
    """What a command prints."""
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
