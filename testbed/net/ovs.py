"""Open vSwitch inside a network: private daemons, database and sockets.

No system service is used or disturbed. The kernel's data path is used where available, else the
user-space one (``datapath_type=netdev``).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from testbed.core.errors import CommandError, MissingPrerequisiteError
from testbed.net import offload, owned
from testbed.net.engine import Engine
from testbed.net.mininet_api import node as mininet_node
from testbed.net.node import NodeMixin
from testbed.net.switch import SWITCH_SETTINGS

_INSTALL = "sudo apt-get install openvswitch-switch"
_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
_COUNTS_CPUS_FROM_S = 10.0
"""Before this time since boot, ovs-vswitchd finds no processor, starts no thread for the
kernel's queries, and never forwards anything (its count is kept for 10 s, from time 0)."""

_PROGRAMS = ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl")


class OpenVSwitch:
    """The daemons of one network, started with its first Open vSwitch.

    Attributes:
        folder: database, sockets and logs; removed with the network.
        datapath_type: ``system`` (the kernel's) or ``netdev`` (user space).
        version: e.g. ``3.1``.
    """

    _running: dict[int, OpenVSwitch] = {}  # noqa: RUF012  (of each engine, by its identity)

    def __init__(self, engine: Engine) -> None:
        for program in _PROGRAMS:
            if shutil.which(program) is None:
                raise MissingPrerequisiteError(program, _INSTALL)
        self.engine, self.namespace = engine, engine.control
        self.folder = owned.new_folder(engine.rooms.run_id, "ovs")
        engine.at_close(self._remove)
        self.environment = {
            "OVS_RUNDIR": str(self.folder),
            "OVS_LOGDIR": str(self.folder),
            "OVS_DBDIR": str(self.folder),
            "OVS_SYSCONFDIR": str(self.folder),
        }
        os.environ.update(self.environment)  # for `sh ovs-ofctl` and `os.system` of the script
        database = str(self.folder / "conf.db")
        self.run("ovsdb-tool", "create", database, _SCHEMA)
        remote = f"--remote=punix:{self.folder}/db.sock"
        self._daemon("ovsdb-server", database, remote)
        self.run("ovs-vsctl", "--no-wait", "init")
        time.sleep(max(0.0, _COUNTS_CPUS_FROM_S - time.monotonic()))
        self._daemon("ovs-vswitchd", f"unix:{self.folder}/db.sock", "--disable-system-route")
        self.datapath_type = self._find_datapath()
        found = re.search(r"\d+\.\d+", self.run("ovs-vsctl", "--version"))
        self.version = found[0] if found else "3"

    @classmethod
    def of(cls, engine: Engine) -> OpenVSwitch:
        """The daemons of a network, started if they are not running."""
        key = id(engine)
        if key not in cls._running:
            cls._running[key] = cls(engine)
        return cls._running[key]

    def _remove(self) -> None:
        self._running.pop(id(self.engine), None)
        for name, value in self.environment.items():
            if os.environ.get(name) == value:
                del os.environ[name]
        shutil.rmtree(self.folder, ignore_errors=True)

    def _daemon(self, program: str, *args: str) -> None:
        """Start a daemon; it detaches when it is ready, and ends with the network."""
        log = f"--log-file={self.folder}/{program}.log"
        pid = f"--pidfile={self.folder}/{program}.pid"
        quiet = ("-vconsole:off", "--detach", "--no-chdir")
        self.run(program, *args, log, pid, *quiet)

    def run(self, *argv: str) -> str:
        """Run one of Open vSwitch's programs and return its output.

        Raises:
            CommandError: it failed.
        """
        process = self.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, err = process.communicate()
        if process.returncode:
            raise CommandError("Open vSwitch", argv, process.returncode, out, err)
        return str(out)

    def popen(self, argv: Sequence[str], **kwargs: Any) -> subprocess.Popen[Any]:
        """Start a program that talks to these daemons."""
        env = {**os.environ, **self.environment, **(kwargs.pop("env", None) or {})}
        return self.engine.rooms.popen(self.namespace, argv, env=env, **kwargs)

    def _find_datapath(self) -> str:
        """``system`` if the kernel has Open vSwitch's data path."""
        types = self.run("ovs-vsctl", "get", "Open_vSwitch", ".", "datapath_types")
        probe = ("ovs-dpctl", "add-dp", "probe")
        try:
            self.run(*probe)
        except CommandError:
            return "netdev"
        self.run("ovs-dpctl", "del-dp", "probe")
        return "system" if "system" in types else "netdev"


class OVSSwitch(NodeMixin, mininet_node.OVSSwitch):  # type: ignore[misc]
    """Mininet's `OVSSwitch` on the network's own daemons; all its options work."""

    _uuids: list[str]
    settings = SWITCH_SETTINGS

    @cached_property
    def ovs(self) -> OpenVSwitch:
        """The network's daemons."""
        return OpenVSwitch.of(self.engine)

    @classmethod
    def setup(cls) -> None:
        """No system service needs to run."""

    @classmethod
    def isOldOVS(cls) -> bool:
        """Not older than 1.10 (2013)."""
        return False

    def _popen(self, cmd: Sequence[str], **params: Any) -> subprocess.Popen[Any]:
        self.engine.flush()
        return self.ovs.popen(cmd, **params)

    def vsctl(self, *args: Any, **kwargs: Any) -> str | None:
        """Run ovs-vsctl, or keep the arguments for `batchStartup`."""
        words = " ".join(str(arg).strip() for arg in args)
        if self.batch:
            self.commands.append(words)
            return None
        return self.ovs.run("ovs-vsctl", *shlex.split(words))

    def _fill_checksums(self, port: Any) -> None:
        """Make the other end send packets with complete checksums.

        Open vSwitch's user-space data path passes on packets whose checksum the kernel left to a
        network card, so that TCP and UDP would not arrive.
        """
        if self.ovs.datapath_type == "netdev" and port.link:
            end = port.link.other(port).end
            self.engine.inside(end.namespace, lambda: offload.checksums_off(end.index))

    def attach(self, intf: Any) -> None:
        """Connect a data port; no error if it is connected."""
        self.engine.flush()
        self._fill_checksums(self.intf(intf))
        self.vsctl("--may-exist", "add-port", self, intf, self.intfOpts(intf))
        self._orphan([self.intf(intf)])

    def _orphan(self, ports: Sequence[Any]) -> None:
        """Only once Open vSwitch has the ports: it removes what it finds at their entrance.

        Its user-space data path needs this, too: what it sends would belong to its own socket.
        """
        for port in ports:
            if getattr(port, "end", None):
                self.engine.orphan(self.namespace, port.index, port.name)

    def controllerUUIDs(self, update: bool = False) -> list[str]:
        """Database rows of the switch's controllers."""
        if not self._uuids or update:
            found = self.ovs.run("ovs-vsctl", "get", "Bridge", self.name, "Controller")
            self._uuids = re.findall(r"[0-9a-f-]{36}", found)
        return list(self._uuids)

    def intfOpts(self, intf: Any) -> str:
        """Options of a port; Open vSwitch leaves its queue discipline to the link."""
        name = f"@qos{self.ports[intf]}_{self.name}"
        leave = f" -- --id={name} create QoS type=linux-noop -- set Port {intf} qos={name}"
        return str(super().intfOpts(intf)) + leave

    def start(self, controllers: Any) -> None:
        """Create the bridge in one transaction."""
        present = [c for c in controllers if not getattr(c, "stands_in", False)]
        if controllers and not present:
            self.failMode = "standalone"
        controllers = present
        self.engine.flush()  # ports must be there
        if self.ovs.datapath_type == "netdev":
            self.datapath = "user"
            for port in self.intfList():
                self._fill_checksums(port)
        super().start(controllers)
        if not self.batch:
            self._orphan(self.intfList())

    @classmethod
    def batchStartup(cls, switches: Any, run: Any = None) -> Any:
        """Start many switches in one transaction."""
        words: list[str] = []
        for switch in switches:
            for command in switch.commands:
                words += shlex.split(command)
            switch.commands, switch.batch = [], False
        if words:
            switches[0].ovs.run("ovs-vsctl", *words)
        for switch in switches:
            switch._orphan(switch.intfList())
        return switches

    @classmethod
    def batchShutdown(cls, switches: Any, run: Any = None) -> Any:
        """Stop many switches."""
        for switch in switches:
            switch.stop()
        return switches

    def stop(self, deleteIntfs: bool = True) -> None:
        """Remove the bridge and, unless asked otherwise, the ports."""
        if self.engine.rooms.closed:
            return
        self.ovs.run("ovs-vsctl", "--if-exists", "del-br", self.name)
        if deleteIntfs:
            self.deleteIntfs()

    def dpctl(self, *args: str) -> str:
        """Run ovs-ofctl on the switch."""
        return self.ovs.run("ovs-ofctl", args[0], self.name, *args[1:])


class OVSBridge(OVSSwitch, mininet_node.OVSBridge):  # type: ignore[misc]
    """An Open vSwitch that learns addresses by itself."""
