"""The contract between a daemon and the testbed, and the function that starts daemons.

    class Dnsmasq(Daemon):
        name, program, package = "dnsmasq", "/usr/sbin/dnsmasq", "dnsmasq-base"

        def files(self, place):                 # rendered, readable, kept in the run directory
            return {"dnsmasq.conf": f"pid-file={place.state}/pid\\n..."}

        def argv(self, place):                  # the start-up line: stays in the foreground
            return [self.program, "--no-daemon", f"--conf-file={place.configs}/dnsmasq.conf"]

        def ready(self, place, process):        # polled until true
            return "started" in process.output()

        def dry_run(self, place):               # must end with 0 before anything starts
            return [self.program, "--test", f"--conf-file={place.configs}/dnsmasq.conf"]

    running = start(net, {"r1": [Dnsmasq()]})

All daemons of all nodes start in parallel; one that `needs` others of its node waits for them.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from testbed.core.errors import (
    CommandError,
    ConfigError,
    ConvergenceError,
    MissingPrerequisiteError,
)

if TYPE_CHECKING:
    from testbed.author.process import Process
    from testbed.author.running_network import RunningNetwork

START_BUDGET_S = 60.0
"""How long all daemons of a network may take to answer."""

_POLL_S = 0.02


@dataclass(frozen=True)
class Place:
    """Where one node's daemons keep their files.

    Attributes:
        node: the node's name.
        configs: rendered files; kept in the run directory as ``configs/<node>/``.
        state: sockets, PIDs, leases: private to the node, removed with the run, with a path short
            enough for a Unix socket.
    """

    node: str
    configs: Path
    state: Path


class Daemon:
    """One daemon of one node. Subclasses render files and a start-up line; they start nothing.

    Attributes:
        name: as people call it; unique within a node.
        program: absolute path of the program, or its name on the PATH.
        package: Debian package that contains the program.
        also: what else must be installed: programs, or paths of files, with their Debian packages.
        needs: names of daemons of the same node that must be ready first, if they run.
        stop_signal: the signal that ends it when the experiment is over.
        owner: user who owns the state folder; for daemons that drop root.
        environment: its own variables.
        timer_slack_ns: how late the kernel may wake it; 0: as exact as possible.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    package: ClassVar[str]
    also: ClassVar[Mapping[str, str]] = {}
    needs: ClassVar[tuple[str, ...]] = ()
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    owner: ClassVar[str] = ""
    environment: ClassVar[Mapping[str, str]] = {}
    timer_slack_ns: ClassVar[int] = 0

    def files(self, place: Place) -> dict[str, str]:
        """The files it reads, by name: written to `place.configs` before it starts."""
        return {}

    def folders(self, place: Place) -> dict[str, Path]:
        """Folders that it uses by fixed paths: path → the folder its node sees there."""
        return {}

    def argv(self, place: Place) -> list[str]:
        """The start-up line; the program must stay in the foreground."""
        raise ConfigError(f"daemon '{self.name}': does not implement argv()")

    def ready(self, place: Place, process: Process) -> bool:
        """True once it answers. Called repeatedly; must not block."""
        raise ConfigError(f"daemon '{self.name}': does not implement ready()")

    def dry_run(self, place: Place) -> list[str] | None:
        """A command that checks the files, changes nothing and exits with 0 if they are valid."""
        return None


@dataclass(frozen=True)
class Running:
    """A daemon that was started."""

    daemon: Daemon
    place: Place
    process: Process


def answers(path: Path) -> bool:
    """True if a program listens on the Unix stream socket `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def listens(process: Process, port: int, kind: str = "tcp") -> bool:
    """True if a socket in the process's network namespace waits at this port.

    For programs that do not say when they are ready.

    Args:
        process: a running program.
        port: the local port.
        kind: ``tcp`` or ``udp``, over IPv4 or IPv6.
    """
    state = {"tcp": "0A", "udp": "07"}[kind]  # LISTEN; not connected
    for table in (kind, f"{kind}6"):
        with contextlib.suppress(OSError):  # it has ended, or there is no IPv6
            for line in Path(f"/proc/{process.popen.pid}/net/{table}").read_text().splitlines():
                fields = line.split()
                if fields[1].endswith(f":{port:04X}") and fields[3] == state:
                    return True
    return False


def require(daemon: Daemon) -> None:
    """Raises MissingPrerequisiteError if something that the daemon uses is not installed."""
    wanted = {daemon.program: daemon.package, **daemon.also}
    missing = [what for what in wanted if not shutil.which(what) and not Path(what).exists()]
    if missing:
        packages = " ".join(dict.fromkeys(wanted[what] for what in missing))
        raise MissingPrerequisiteError(", ".join(missing), f"sudo apt-get install {packages}")


def write_files(daemon: Daemon, place: Place) -> None:
    """Renders the daemon's files into `place.configs`."""
    place.configs.mkdir(parents=True, exist_ok=True)
    for name, text in daemon.files(place).items():
        file = place.configs / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")


def check(daemon: Daemon, place: Place) -> None:
    """The dry run: makes the daemon's own checker read its rendered files, outside any network.

    Raises:
        ConfigError: what the checker reported, with node and daemon.
    """
    argv = daemon.dry_run(place)
    if argv is None:
        return
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip() or f"ended with {done.returncode}"
        raise ConfigError(f"{place.node}: {daemon.name}: {said}")


def start(
    net: RunningNetwork,
    daemons: Mapping[str, Sequence[Daemon]],
    *,
    budget_s: float = START_BUDGET_S,
) -> dict[tuple[str, str], Running]:
    """Starts daemons in their nodes and waits until each answers.

    Args:
        net: the running network.
        daemons: node → its daemons.
        budget_s: for all of them together, in seconds of the run's clock.

    Returns:
        (node, daemon's name) → the running daemon.

    Raises:
        MissingPrerequisiteError: a program is not installed.
        ConfigError: a daemon ended, since its own checker refuses its files.
        CommandError: a daemon ended for another reason; carries its output.
        ConvergenceError: one does not answer in time.
    """
    waiting = [(place_of(net, node, kinds), d) for node, kinds in daemons.items() for d in kinds]
    for place, daemon in waiting:
        require(daemon)
        write_files(daemon, place)
        for path, folder in daemon.folders(place).items():
            net.network[place.node].show(folder, path)
    running: dict[tuple[str, str], Running] = {}
    unready: list[Running] = []
    deadline_s = net.time_s + budget_s
    while waiting or unready:
        unready = [r for r in unready if not is_ready(r)]
        if net.time_s > deadline_s:
            names = ", ".join(f"{r.daemon.name} in {r.place.node}" for r in unready)
            raise ConvergenceError("daemons answering", budget_s, f"no answer from {names}")
        busy = {(r.place.node, r.daemon.name) for r in unready}
        busy |= {(place.node, daemon.name) for place, daemon in waiting}
        free = [w for w in waiting if not any((w[0].node, n) in busy for n in w[1].needs)]
        waiting = [w for w in waiting if w not in free]
        for place, daemon in free:
            log = f"{place.node}-{daemon.name}"
            argv, environment = daemon.argv(place), daemon.environment
            process = net.start(place.node, *argv, log=log, environment=environment)
            process.stop_signal = daemon.stop_signal
            if daemon.timer_slack_ns:
                _allow_slack(process, daemon.timer_slack_ns)
            unready.append(Running(daemon, place, process))
            running[place.node, daemon.name] = unready[-1]
        if not free:
            net.sleep(_POLL_S)
    return running


def _allow_slack(process: Process, slack_ns: int) -> None:
    """Threads that the program starts from now on have the same slack."""
    with contextlib.suppress(OSError):  # it has ended: `_is_ready` reports it
        Path(f"/proc/{process.popen.pid}/timerslack_ns").write_text(str(slack_ns))


def place_of(net: RunningNetwork, node: str, daemons: Sequence[Daemon] = ()) -> Place:
    """The place of a node's daemons in a running network; creates its folders."""
    place = Place(node, net.path / "configs" / node, net.state_folder(node))
    for owner in {d.owner for d in daemons if d.owner}:
        shutil.chown(place.state, owner)
    return place


def is_ready(running: Running) -> bool:
    """Whether a daemon answers; raises what `start` raises if it has ended."""
    if not running.process.running:
        check(running.daemon, running.place)  # its checker names file and place
        raise ended(running.process)
    return running.daemon.ready(running.place, running.process)


def ended(process: Process) -> CommandError:
    """The error for a daemon that ended by itself: its last output, and where the rest is."""
    last = (process.output().strip().splitlines() or ["no output"])[-1]
    words = f"{last} (see logs/{process.log.name})"
    return CommandError(process.node, process.argv, process.popen.returncode, "", words)
