"""Controllers of software-defined networks, and their connections to the switches.

    network = controller.start(net, "learning_switch", {"idle_s": 5}, delay_ms=2)

starts ``controller/learning_switch.py`` as a program of its own in the control network, points
every OpenFlow switch to it and returns when all have said hello. The application's own events are
in ``controller.jsonl``, changes of the flow tables in ``flows/<switch>.txt`` (`watch_flows`), and
what `show` asks the switches for in ``states/<label>/``.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import guest_init
from testbed.core.errors import ConfigError
from testbed.core.project import PROJECT
from testbed.daemons import applications, base
from testbed.net import Network
from testbed.net.mininet_api import node as mininet_node
from testbed.net.node import NodeMixin
from testbed.net.ovs import OpenVSwitch, OVSSwitch
from testbed.net.rtnl import LOOPBACK_INDEX
from testbed.net.shape import LinkShape
from testbed.net.traffic import wire

if TYPE_CHECKING:
    from testbed.author.process import Process
    from testbed.author.running_network import RunningNetwork
    from testbed.daemons.base import Place, Running

NODE = "c0"
"""Where controllers run: the control network, with the switches' ends of their connections."""

CONTROL_CAPTURE = f"{NODE}-lo"
"""The capture of all messages between switches and controller."""

PORT = 6653
CONTROL_FILTER = f"tcp port {PORT} and greater 67"
"""Segments with data: an empty one has 66 bytes."""

CONNECT_BUDGET_S = 30.0
MAX_BACKOFF_MS = 1000
"""Maximum time before a switch tries to connect again (Open vSwitch: 8 s)."""

RYU_SITE = PROJECT / "build" / "ryu"
"""Where ``scripts/install-ryu.sh`` puts Ryu."""


class ControlNode(NodeMixin, mininet_node.Controller):  # type: ignore[misc]
    """The node that controllers run in; starts none itself."""

    def checkListening(self) -> None:
        """Nothing listens yet."""

    def start(self) -> None:
        """Controllers are started by `start` of this module."""

    def stop(self, deleteIntfs: bool = True) -> None:
        """They end with the network."""


class Controller(base.Daemon):
    """One application on its framework.

    Attributes:
        app: its name, that of a file in ``controller/``.
        settings: its settings, by name.
        framework: ``os_ken`` or ``ryu``.
        log: file for its events; None: none.
    """

    name, program, package = "controller", "env", "coreutils"

    def __init__(
        self,
        app: str,
        settings: Mapping[str, Any] | None = None,
        framework: str = "os_ken",
        log: Path | None = None,
    ) -> None:
        self.app, self.settings = app, dict(settings or {})
        self.framework, self.log = framework, log

    def argv(self, place: Place) -> list[str]:
        """The Python that runs this program, with its packages."""
        argv = ["env", *environment(self.framework), "/usr/bin/python3", "-sSP", "-m", "controller"]
        argv += [self.app, "--listen", f"127.0.0.1:{PORT}"]
        argv += ["--log", str(self.log)] if self.log else []
        return argv + applications.words(self.settings)

    def dry_run(self, place: Place) -> list[str]:
        """The application's own check of its settings."""
        return [*self.argv(place), "--check"]

    def ready(self, place: Place, process: Process) -> bool:
        """True once it listens."""
        return " listens on " in process.output()


def environment(framework: str) -> list[str]:
    """Variables for a Python that finds the applications and their framework."""
    packages = [p for p in sys.path if "-packages" in p or p == guest_init.SITE]
    if guest_init.SITE in packages:
        packages.append(guest_init.CONTROLLERS)
    if framework == "ryu":
        packages.insert(0, str(RYU_SITE))
    path = ":".join([str(PROJECT), *packages])
    return [f"PYTHONPATH={path}", f"SDN_FRAMEWORK={framework}"]


class ControlledNetwork:
    """The switches of a running network and their controller."""

    def __init__(self, net: RunningNetwork, controller: Controller) -> None:
        self.net, self.controller = net, controller
        self.switches = [s for s in net.network.switches if isinstance(s, OVSSwitch)]
        if not self.switches:
            raise ConfigError(f"controller '{controller.app}': the topology has no OpenFlow switch")
        self.ovs = OpenVSwitch.of(net.network.engine)
        self._running: Running | None = None

    def start_controller(self) -> None:
        """Starts the controller and waits until it has all switches.

        Raises:
            CommandError: it ended; carries the last line of its traceback and the log's path.
            ConvergenceError: a switch does not connect.
        """
        log = self.controller.log
        heard = log.stat().st_size if log and log.exists() else 0
        self.net.event("controller", state="start", app=self.controller.app)
        running = base.start(self.net, {NODE: [self.controller]})
        self._running = running[NODE, self.controller.name]
        self._connect()
        self.net.wait_until(
            f"switches connected to '{self.controller.app}'",
            lambda: not self._missing(heard),
            CONNECT_BUDGET_S,
            state=lambda: f"without {', '.join(self._missing(heard))}",
        )
        self.net.event("controller", state="connected")

    def _missing(self, heard: int) -> list[str]:
        """Switches that the controller has not greeted since its log was `heard` bytes long."""
        self.check()
        greeted = set()
        if self.controller.log and self.controller.log.exists():
            for line in self.controller.log.read_bytes()[heard:].splitlines():
                row = json.loads(line)
                if row["event"] == "switch":
                    greeted.add(row["dpid"])
        return [s.name for s in self.switches if int(s.dpid, 16) not in greeted]

    def check(self) -> None:
        """Raises CommandError if the controller has ended by itself."""
        process = self._running.process if self._running else None
        if process and not process.running:
            raise base.ended(process)

    def stop_controller(self) -> None:
        """Kills the controller, as a crash would."""
        self.check()
        if self._running:
            self.net.event("controller", state="killed")
            self._running.process.popen.kill()
            self._running.process.popen.wait()
            self._running = None

    def _connect(self) -> None:
        """Points all switches to the controller, in one transaction."""
        words: list[str] = []
        for switch in self.switches:
            words += ["--", "set-controller", switch.name, f"tcp:127.0.0.1:{PORT}"]
            words += ["--", "set", "controller", switch.name, f"max_backoff={MAX_BACKOFF_MS}"]
        self.ovs.run("ovs-vsctl", *words[1:])

    def watch_flows(self, *names: str) -> None:
        """Records changes of the flow tables of switches (of all, if none is named)."""
        folder = self.net.path / "flows"
        folder.mkdir(exist_ok=True)
        for switch in self.switches:
            if not names or switch.name in names:
                process = self.net.start(
                    switch.name,
                    "ovs-ofctl",
                    "--timestamp",
                    "monitor",
                    switch.name,
                    "watch:",
                    log=f"flows-{switch.name}",
                )
                process.stop_signal = signal.SIGINT

    def show(self, label: str, *commands: str) -> None:
        """Saves what the switches answer now, as ``states/<label>/<switch>.ovs.<number>.txt``.

        Args:
            label: name of this moment.
            commands: of ovs-ofctl; ``dump-flows`` by default.
        """
        folder = self.net.path / "states" / label
        folder.mkdir(parents=True, exist_ok=True)
        self.net.event("state", label=label)
        for switch in self.switches:
            for number, command in enumerate(commands or ("dump-flows",)):
                answer = self.ovs.run("ovs-ofctl", "-O", "OpenFlow13", command, switch.name)
                (folder / f"{switch.name}.ovs.{number}.txt").write_text(answer, encoding="utf-8")

    def trace(self, label: str, switch: str, packets: Mapping[str, str]) -> None:
        """Saves the path packets would now take through a switch's tables; sends none.

        Each is in ``states/<label>/<switch>.<name>.0.txt``; `analysis.flow_tables.path` reads it.

        Args:
            label: name of this moment.
            switch: the switch's name.
            packets: name → the packet as Open vSwitch writes it: ``tcp,in_port=1,dl_src=…``.
        """
        folder = self.net.path / "states" / label
        folder.mkdir(parents=True, exist_ok=True)
        for name, packet in packets.items():
            answer = self.ovs.run("ovs-appctl", "ofproto/trace", switch, packet)
            (folder / f"{switch}.{name}.0.txt").write_text(answer, encoding="utf-8")


def start(
    net: RunningNetwork,
    app: str,
    settings: Mapping[str, Any] | None = None,
    *,
    delay_ms: float = 0.0,
    framework: str = "os_ken",
) -> ControlledNetwork:
    """Starts an application and connects every OpenFlow switch of the network to it.

    Args:
        net: the running network.
        app: the application's name.
        settings: its settings.
        delay_ms: one-way delay of the control network.
        framework: ``os_ken`` or ``ryu``.
    """
    control_node(net.network)
    if delay_ms:
        message = wire(LinkShape(delay_ms=delay_ms), LOOPBACK_INDEX, 0, "control network")
        net.network.engine.request(net.network.engine.control, message)
    controller = Controller(app, settings, framework, net.path / "controller.jsonl")
    network = ControlledNetwork(net, controller)
    network.start_controller()
    return network


def control_node(net: Network) -> ControlNode:
    """The node of controllers, created if it does not exist."""
    if NODE not in net:
        net.addController(NODE, ControlNode)
    node: ControlNode = net[NODE]
    return node
