"""The argument of an experiment's `run`: the running network and its recorders.

    def run(self, net):
        net.capture("r1-eth1")
        net.trace("tcp_probe")
        server = net.start("rx1", "iperf3", "-s")
        net.exec("tx1", "iperf3", "-c", net.address("rx1"), "-t", "10")

Times are seconds of the run's clock; on the virtual clock, waiting costs nothing.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, TypeVar

from testbed.author import capture_stats
from testbed.author.process import Process
from testbed.core.errors import (
    CommandError,
    ConfigError,
    ConvergenceError,
    MissingPrerequisiteError,
    OutputError,
    nearest,
)
from testbed.core.rundir import write_json
from testbed.machine.prerequisites import install_command
from testbed.net.tracing import Tracer

if TYPE_CHECKING:
    from testbed.net import Intf, Network
    from testbed.net.monitor import Monitor
    from testbed.net.shape import LinkShape

Result = TypeVar("Result")

_DEVICES = ("lo", "any")
"""Capture points in every node, by their names there."""

_LISTED = 12
"""Number of nodes listed when an unknown one is requested."""

_MOST_SNAPLEN_BYTES, _MOST_BUFFER_MB = 262_144, 1024
_CAPTURE_DRAIN_S = 1.1
"""tcpdump's ring buffer delivers a block when it is full or after one second."""


class RunningNetwork:
    """A running network, with captures, kernel events, programs and a log of events.

    Attributes:
        network: the network; ``net.network["h1"]`` is a node as Mininet knows it.
        path: the scenario's folder, as seen inside (``/run/lab`` in a guest, whatever the
            scenario); only raw artefacts go there.
        scenario: the scenario's name, as `Experiment.scenarios` gave it.
    """

    def __init__(self, net: Network, path: Path, scenario: str = "") -> None:
        self.network, self.path, self.scenario = net, path, scenario
        self._processes: list[Process] = []
        self._captures: dict[str, Process] = {}
        self._capture_stats: dict[str, dict[str, int | str]] = {}
        self._tracer: Tracer | None = None
        self._monitor: Monitor | None = None
        self._state: Path | None = None
        for folder in ("captures", "logs"):
            (path / folder).mkdir(exist_ok=True)
        self._events: IO[str] = (path / "events.jsonl").open("a", encoding="utf-8", buffering=1)
        self._t0_s = time.monotonic()

    def __enter__(self) -> RunningNetwork:
        self._t0_s = time.monotonic()
        self.event("start", monotonic_ns=time.monotonic_ns())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.event("end", monotonic_ns=time.monotonic_ns())
        if self._monitor and (lost := self._monitor.close()):
            self.event("watch-lost", nodes=lost)
        for process in reversed(self._processes):
            process.send_signal(process.stop_signal)
        for process in reversed(self._processes):
            process.stop()
        self.stop_captures()
        if self._tracer:
            self._tracer.close()
        self._events.close()
        if self._state:
            shutil.rmtree(self._state)

    # ---- time and events

    @property
    def time_s(self) -> float:
        """Seconds since `run` began."""
        return time.monotonic() - self._t0_s

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(max(0.0, seconds))

    def sleep_until(self, time_s: float) -> None:
        """Waits until `time_s` after the start; returns at once if that has passed."""
        self.sleep(time_s - self.time_s)

    def event(self, event: str, **data: Any) -> None:
        """Records that something happened now, with data for `measure`."""
        row = {"time_ns": time.time_ns(), "event": event, **data}
        self._events.write(json.dumps(row, ensure_ascii=False) + "\n")

    def wait_until(
        self,
        what: str,
        predicate: Callable[[], Any],
        timeout_s: float,
        *,
        every_s: float = 0.05,
        state: Callable[[], str] = lambda: "still not so",
    ) -> Any:
        """Waits until `predicate` returns something true, and returns that.

        Raises:
            ConvergenceError: not within `timeout_s`; carries `what` and the last `state`.
        """
        deadline = time.monotonic() + timeout_s
        while not (result := predicate()):
            if time.monotonic() >= deadline:
                raise ConvergenceError(what, timeout_s, state())
            time.sleep(every_s)
        return result

    # ---- nodes and programs

    def address(self, node: str) -> str:
        """The node's IPv4 address, without prefix length.

        Raises:
            ConfigError: no such node in this topology, or it has no IPv4 address.
        """
        address = self._node(node).IP()
        if not address:
            raise ConfigError(f"node '{node}': has no IPv4 address")
        return str(address)

    def _node(self, name: str) -> Any:
        if name not in self.network:
            known = list(self.network.keys())
            others = nearest(name, known) or f"; there are: {', '.join(known[:_LISTED])}"
            raise ConfigError(f"node '{name}': not in this topology{others}")
        return self.network[name]

    def inside(self, node: str, function: Callable[[], Result]) -> Result:
        """What a function returns that opens sockets or files in a node, e.g. `socket.socket`."""
        found: Result = self.network.engine.inside(self._node(node).namespace, function)
        return found

    def start(
        self,
        node: str,
        *argv: str,
        log: str = "",
        stdout: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Starts a program in a node and returns; it is stopped when the experiment ends.

        Args:
            node: the node's name.
            argv: the program and its arguments, without a shell.
            log: name of its log; default ``<node>-<program>``, numbered.
            stdout: where its standard output goes instead of the log.
            environment: variables in addition to the run's.

        Raises:
            MissingPrerequisiteError: the program is not installed.
        """
        program = argv[0]
        if shutil.which(program) is None:
            raise MissingPrerequisiteError(program, install_command(program))
        popen_in = self._node(node).popen
        path = self._log_path(log or f"{node}-{Path(program).name}")
        with path.open("w") as out:
            popen = popen_in(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=stdout or out,
                stderr=out,
                env={**os.environ, **(environment or {})},
            )
        process = Process(node, list(argv), popen, path)
        self._processes.append(process)
        return process

    def exec(self, node: str, *argv: str, timeout_s: float = 600.0, log: str = "") -> str:
        """Runs a program in a node until it ends and returns its output.

        Raises:
            CommandError: its exit code is not 0.
            ConvergenceError: it did not end within `timeout_s`.
        """
        return self.start(node, *argv, log=log).check(timeout_s)

    def _log_path(self, name: str) -> Path:
        path, number = self.path / "logs" / f"{name}.log", 1
        while path.exists():
            number += 1
            path = self.path / "logs" / f"{name}-{number}.log"
        return path

    def state_folder(self, node: str) -> Path:
        """A folder for sockets, PIDs and the like of a node's programs; not kept.

        Its path is short (a Unix socket's is limited to 107 bytes) and on a local file system.
        """
        if self._state is None:
            self._state = Path(f"/run/daemons-{self.network.engine.rooms.run_id}")
            self._state.mkdir()
        path = self._state / node
        path.mkdir(exist_ok=True)
        return path

    # ---- the network, changed while it runs

    def shape(self, interface: str) -> LinkShape:
        """What the link does to packets that leave by an interface."""
        return self.network.shape(interface)

    def reshape(self, interface: str, shape: LinkShape) -> None:
        """Changes, from now on, what the link does to packets that leave by an interface."""
        self.network.reshape(interface, shape)
        self.event("reshape", interface=interface, shape=shape.as_dict())

    def sysctl(self, node: str, name: str, value: str | int) -> None:
        """Sets a sysctl such as ``net.ipv4.tcp_ecn`` in a node."""
        self._node(node)
        self.network.sysctl(node, name, value)

    def cut(self, interface: str) -> None:
        """Unplugs the cable: both ends of the link go down, and notice it."""
        self._plug(interface, "down")

    def mend(self, interface: str) -> None:
        """Plugs the cable in again."""
        self._plug(interface, "up")

    def _plug(self, interface: str, state: str) -> None:
        self.event("link", interface=interface, state=state)
        for end in self._ends(interface):
            end.ifconfig(state)
            # at an interface that is down, libpcap checks every millisecond whether it still exists
            if capture := self._captures.get(end.name):
                capture.send_signal(signal.SIGSTOP if state == "down" else signal.SIGCONT)

    def _ends(self, interface: str) -> tuple[Intf, Intf]:
        """An interface and the one at the other end of its link."""
        intf = self.network.interface(interface)
        if intf.link is None:
            raise ConfigError(f"interface '{interface}': is not attached to a link")
        return intf, intf.link.other(intf)

    def silence(self, interface: str, *, both_ways: bool = True) -> None:
        """The wire loses every packet from now on, and neither end notices.

        Args:
            interface: the sending end, e.g. ``r1-eth0``.
            both_ways: packets from the other end are lost, too.
        """
        for end in self._ends(interface)[: 1 + both_ways]:
            self.reshape(end.name, replace(self.shape(end.name), loss_percent=100.0))

    # ---- recorders

    def capture(self, *interfaces: str, snaplen_bytes: int = 0, filter: str = "") -> None:
        """Captures packets at interfaces into ``captures/<interface>.pcap``, in ns.

        An outgoing packet is captured when it leaves the queue, an incoming one when it arrives.

        Args:
            interfaces: names such as ``r1-eth0``; ``r1-lo`` is r1's loopback, ``r1-any``
                all of its interfaces (with Linux's own header instead of Ethernet's).
            snaplen_bytes: bytes kept of each packet, up to 262,144; 0: all.
            filter: a tcpdump expression.

        Raises:
            ConfigError: no such interface, or already captured; a number is too large.
        """
        _within("snaplen_bytes", snaplen_bytes, 0, _MOST_SNAPLEN_BYTES)
        started = [self._start_capture(i, snaplen_bytes, filter) for i in interfaces]
        for process in started:
            self.wait_until(
                f"tcpdump listening in {process.node}",
                lambda p=process: "listening on" in p.output() or not p.running,  # type: ignore[misc]
                timeout_s=20,
                every_s=0.01,
            )
            if not process.running:
                raise CommandError(
                    process.node, process.argv, process.popen.returncode, process.output()
                )
        now_ns = capture_stats.about_now_ns()
        for interface in interfaces:
            self._capture_stats[interface] = {"start_ns": now_ns, "filter": filter}

    def _start_capture(self, interface: str, snaplen_bytes: int, expression: str) -> Process:
        if interface in self._captures:
            raise ConfigError(f"capture '{interface}': is already running")
        device = next((d for d in _DEVICES if interface.endswith(f"-{d}")), interface)
        if device == interface:
            port = self.network.interface(interface)
            node, device = port.node.name, port.name
        else:
            node = interface.rsplit("-", 1)[0]
        # to standard output: it would chown a file it opens itself to root, which it may not in an
        # ordinary user's guest
        argv = ["tcpdump", "-i", device, "-n", "-w", "-", "-Z", "root"]
        argv += ["--time-stamp-precision=nano", "-B", "16384", "-s", str(snaplen_bytes)]
        log = f"tcpdump-{interface}"
        with (self.path / "captures" / f"{interface}.pcap").open("wb") as out:
            process = self.start(node, *argv, *expression.split(), log=log, stdout=out)
        self._processes.remove(process)  # ends after all programs, in its own way
        self._captures[interface] = process
        return process

    def stop_captures(self) -> None:
        """Ends all captures, so that `run` can read them; their files are complete then."""
        if self._captures:
            for process in self._captures.values():
                process.send_signal(signal.SIGCONT)  # of a link that was cut
            self.sleep(_CAPTURE_DRAIN_S)
        now_ns = capture_stats.about_now_ns()
        for process in self._captures.values():
            if process.running:
                process.popen.send_signal(signal.SIGINT)
        for interface, process in self._captures.items():
            process.stop(signal.SIGINT)
            output = process.output()
            if os.strerror(errno.ENOSPC) in output:
                raise OutputError(f"captures/{interface}.pcap: cannot be written: the disk is full")
            stats = self._capture_stats.setdefault(interface, {})
            stats.update(end_ns=now_ns, **capture_stats.counted(output))
        self._captures.clear()
        write_json(self.path / "captures" / "captures.json", self._capture_stats)

    def watch(self, *kinds: str) -> None:
        """Records changes of ``routes``, ``neighbours`` or ``links`` in every node; call it once.

        See `testbed.net.monitor` for the files.
        """
        from testbed.net.monitor import Monitor

        self._monitor = Monitor(self.network, self.path, kinds)

    @property
    def calm_s(self) -> float:
        """How long nothing that is watched has changed, in seconds; see `watch`."""
        if self._monitor is None:
            raise ConfigError("calm_s: nothing is watched; call net.watch first")
        return self._monitor.calm_s

    def trace(self, *events: str, buffer_mb: int = 32) -> None:
        """Records kernel events such as ``tcp_probe`` or ``inet_sock_set_state``.

        If the kernel cannot trace, none are recorded and the run says so; claims that need them
        become INCONCLUSIVE.

        Args:
            events: their names.
            buffer_mb: of each processor's ring buffer, 1 to 1024.

        Raises:
            ConfigError: the kernel knows no such event, or the buffer is too small or too large.
        """
        _within("buffer_mb", buffer_mb, 1, _MOST_BUFFER_MB)
        self._tracer = Tracer.start(self.path / "traces", events, buffer_mb)
        if self._tracer is None:
            self.event("no-tracing", events=list(events))


def _within(what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{what}: {value} is out of range; allowed: {low} to {high}")
