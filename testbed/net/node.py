"""Nodes with Mininet's interface, but without a process each.

A node is a network namespace. A shell starts in it when somebody first calls `cmd`; `popen` needs
none. `NodeMixin` overrides what Mininet's `Node` does by commands, so that it also lifts nodes
written for stock Mininet (a subclass of `Node` that sets sysctls in `config`, say): see `adopt`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pty
import select
import shlex
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed.core.errors import ConfigError
from testbed.net import rtnl
from testbed.net.engine import Engine
from testbed.net.link import Intf, Link, move_intf
from testbed.net.mininet_api import node as mininet_node
from testbed.net.namespaces import Namespace
from testbed.net.netlink import Message
from testbed.net.rtnl import Address4or6, Network4or6

_PROMPT = chr(127)
_SHELL = ["bash", "--norc", "--noediting", "-is"]

HOST_SETTINGS = {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/all/keep_addr_on_down": "1",
}
"""Addresses follow the plan: none are learnt from routers or probed for; a link that
comes back keeps its IPv6 addresses; the machine's own settings do not show through."""

ROUTER_SETTINGS = {
    **HOST_SETTINGS,
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/forwarding": "1",
}


_engines: list[Engine] = []  # at most one: that of the newest network, or of nodes without one


def free_engine() -> Engine:
    """The engine of nodes created outside a network's own methods, as Mininet scripts do.

    That of the newest network, as long as it exists; else one that the next network takes over.
    """
    if not _engines or _engines[-1].rooms.closed:
        _engines[:] = [Engine()]
        _engines[-1].is_free = True
    return _engines[-1]


def network_engine() -> Engine:
    """The engine of a new network: that of nodes without a network, or a new one."""
    waiting = _engines and _engines[-1].is_free and not _engines[-1].rooms.closed
    if not waiting:
        _engines[:] = [Engine()]
    _engines[-1].is_free = False
    return _engines[-1]


_building: list[Engine] = []


@contextmanager
def building(engine: Engine) -> Iterator[None]:
    """Nodes created in the block belong to the engine's network."""
    _building.append(engine)
    try:
        yield
    finally:
        _building.pop()


class NodeMixin(mininet_node.Node):  # type: ignore[misc]
    """What our nodes do differently from Mininet's.

    Attributes:
        engine: of its network.
        namespace: its own, or `Engine.control` for what Mininet runs outside of namespaces
            (controllers, Open vSwitch).
        settings: sysctls of its namespace.
    """

    engine: Engine
    namespace: Namespace
    settings = HOST_SETTINGS
    _shell: subprocess.Popen[Any] | None = None
    _terminated = False
    _routes: dict[str, tuple[str, Message]]

    def __new__(cls, *_args: Any, **_params: Any) -> NodeMixin:
        """Bind the node to its network before any `__init__`, which may be only Mininet's."""
        node: NodeMixin = super().__new__(cls)
        node.engine = _building[-1] if _building else free_engine()
        node._routes = {}
        return node

    @classmethod
    def checkSetup(cls) -> None:
        """Nothing to check: no helper programs are used."""

    # The shell, started on first use.

    @property
    def shell(self) -> subprocess.Popen[Any] | None:
        """The shell process; asking for it starts it."""
        if self._shell is None and not self._terminated and hasattr(self, "namespace"):
            self._open_shell()
        return self._shell

    @shell.setter
    def shell(self, value: subprocess.Popen[Any] | None) -> None:
        self._shell = value

    @property
    def pid(self) -> int | None:
        """Process id of the shell, by which programs enter the node; starts the shell."""
        return self.shell.pid if self.shell else None

    @pid.setter
    def pid(self, value: int | None) -> None:
        pass

    @property
    def stdout(self) -> Any:
        """The shell's terminal; starts the shell."""
        return self._stdout if self.shell else None

    @stdout.setter
    def stdout(self, value: Any) -> None:
        self._stdout = value

    def startShell(self, mnopts: str | None = None) -> None:
        """Create the node's namespace; the shell itself starts when it is needed."""
        own_namespace = self.inNamespace
        if own_namespace:
            self.namespace = Namespace(
                self.name, settings=dict(self.settings), private_dirs=self._private_dirs()
            )
        else:
            self.namespace = self.engine.control
            loopback = rtnl.set_up(rtnl.LOOPBACK_INDEX, True, "loopback of the controllers")
            self.engine.request(self.namespace, loopback)
        self.engine.fd(self.namespace)

    def _private_dirs(self) -> list[str | tuple[str, str]]:
        dirs: list[str | tuple[str, str]] = []
        for item in self.privateDirs:
            dirs.append((item[0], item[1] % self.__dict__) if isinstance(item, tuple) else item)
        return dirs

    def mountPrivateDirs(self) -> None:
        """They are mounted with the node's first process."""

    def unmountPrivateDirs(self) -> None:
        """They vanish with the namespace."""

    def _open_shell(self) -> None:
        self.master, self.slave = pty.openpty()
        self._shell = self._popen(
            [*_SHELL, f"mininet:{self.name}"],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env={**os.environ, "PS1": _PROMPT},
            start_new_session=True,
        )
        self.stdin = os.fdopen(self.master, "r")
        self._stdout = self.stdin
        self.pollOut = select.poll()
        self.pollOut.register(self.stdin)
        self.outToNode[self.stdin.fileno()] = self
        self.inToNode[self.stdin.fileno()] = self
        self.readbuf, self.waiting = "", False
        while not self.read(1024).endswith(_PROMPT):
            self.pollOut.poll()
        self.cmd("unset HISTFILE; stty -echo; set +m")

    # Processes.

    def _popen(self, cmd: Sequence[str], **params: Any) -> subprocess.Popen[Any]:
        self.engine.flush()  # a program sees everything requested before it
        return self.engine.rooms.popen(self.namespace, list(cmd), **params)

    def popen(self, *args: Any, **kwargs: Any) -> subprocess.Popen[Any]:
        """Start a program in the node.

        Args:
            args: a list, one string (split at blanks, or read by a shell if ``shell=True``), or
                program and arguments.
            kwargs: as for `subprocess.Popen`; stdout and stderr are pipes unless given.
        """
        kwargs.pop("mncmd", None)
        shell = kwargs.pop("shell", False)
        if len(args) == 1 and isinstance(args[0], str):
            cmd = [args[0]] if shell else shlex.split(args[0])
        elif len(args) == 1 and isinstance(args[0], list | tuple):
            cmd = [str(a) for a in args[0]]
        else:
            cmd = [str(a) for a in args]
        if not cmd:
            raise ConfigError(f"{self.name}: popen needs a program")
        if shell:
            cmd = ["/bin/sh", "-c", " ".join(cmd)]
        return self._popen(cmd, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs})

    def show(self, folder: Path, path: str) -> None:
        """Programs started in the node from now on also see `folder` at `path`."""
        rooms = self.engine.rooms
        rooms.call(rooms.show, self.namespace, str(folder), path)

    def cmd(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command in the node's shell and return its output."""
        words = [
            str(a) for a in (args[0] if len(args) == 1 and isinstance(args[0], list) else args)
        ]
        words = words[0].split() if len(words) == 1 else words
        if len(words) == 3 and words[0] == "ifconfig" and words[2] in ("up", "down"):
            found = self.nameToIntf.get(words[1])
            if words[1] == "lo":
                up = words[2] == "up"
                self.engine.request(self.namespace, rtnl.set_up(1, up, f"{self.name}: lo"))
                return ""
            if isinstance(found, Intf):
                return found.ifconfig(words[2])
        return super().cmd(*args, **kwargs)

    def terminate(self) -> None:
        """End the shell and release the namespace."""
        if self._terminated:
            return
        self._terminated = True
        shell, self._shell = self._shell, None
        if shell:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGHUP)
            self.stdin.close()
            os.close(self.slave)
            shell.wait()
        if self.inNamespace and not self.engine.rooms.closed:
            self.engine.rooms.drop(self.namespace)

    def cleanup(self) -> None:
        """Part of `terminate`."""

    # Interfaces, addresses, routes.

    def addIntf(self, intf: Any, port: int | None = None, moveIntfFn: Any = move_intf) -> None:
        """Add an interface, moving it here if it is not in the node yet."""
        super().addIntf(intf, port=port, moveIntfFn=moveIntfFn)

    def linkTo(self, node2: Any, link: Any = None) -> Any:
        """Add a link to another node."""
        return (link or Link)(self, node2)

    def config(
        self,
        mac: str | None = None,
        ip: str | None = None,
        defaultRoute: str | None = None,
        lo: str = "up",
        **_params: Any,
    ) -> dict[str, Any]:
        """Configure the first interface, the default route and the loopback, as Mininet does."""
        results: dict[str, Any] = {}
        self.setParam(results, "setMAC", mac=mac)
        self.setParam(results, "setIP", ip=ip)
        if self.inNamespace:
            self.engine.request(
                self.namespace, rtnl.set_up(rtnl.LOOPBACK_INDEX, lo == "up", f"{self.name}: lo")
            )
        self.setParam(results, "setDefaultRoute", defaultRoute=defaultRoute)
        return results

    def setARP(self, ip: str, mac: str) -> str:
        """Add a permanent neighbour on the interface that shares its network."""
        address = ipaddress.ip_address(ip)
        for intf in self.intfList():
            own = getattr(intf, "_ipv4", None)
            if own and address in own.network:
                entry = rtnl.add_neighbour(intf.index, address, mac, self.name)
                self.engine.request(self.namespace, entry)
                return ""
        return str(super().setARP(ip, mac))

    def setHostRoute(self, ip: str, intf: Any) -> str:
        """Add a route to one address via an interface."""
        self.add_route(ipaddress.ip_network(ip), out=str(intf))
        return ""

    def setDefaultRoute(self, intf: Any = None) -> None:
        """Replace the default route: an interface, or words as ``via 10.0.0.1``, ``dev h1-eth0``.

        Raises:
            ConfigError: the words are not understood, or the next hop cannot be reached.
        """
        words = str(intf).split()
        if len(words) == 1:
            words = ["dev", *words]
        found = dict(zip(words[::2], words[1::2], strict=False))
        if len(words) % 2 or set(found) - {"via", "dev"} or len(found) * 2 != len(words):
            raise ConfigError(
                f"{self.name}: defaultRoute {intf!r} is not understood; write 'via 10.0.0.1'"
            )
        via = ipaddress.ip_address(found["via"]) if "via" in found else None
        if via and not any(
            via in a.network
            for i in self.intfList()
            for a in (getattr(i, "_ipv4", None), getattr(i, "ipv6", None))
            if a
        ):
            raise ConfigError(
                f"{self.name}: defaultRoute via {via}: no interface is on its network; "
                "give an address of a router on the same LAN"
            )
        version = via.version if via else 4
        default = ipaddress.ip_network("0.0.0.0/0" if version == 4 else "::/0")
        self.add_route(default, via=via, out=found.get("dev"))

    def add_route(
        self, destination: Network4or6, via: Address4or6 | None = None, out: str | None = None
    ) -> None:
        """Add a static route that comes back when its interface does.

        Args:
            destination: prefix.
            via: next hop.
            out: own interface's name.
        """
        index = self.intf(out).index if out else None
        message = rtnl.add_route(destination, self.name, via=via, index=index)
        self._routes[str(destination)] = (out or self._out_to(via), message)
        self.engine.request(self.namespace, message)

    def _out_to(self, via: Address4or6 | None) -> str:
        for intf in self.intfList():
            own = getattr(intf, "_ipv4", None)
            if own and via in own.network:
                return str(intf.name)
        return ""

    def restore_routes(self, out: str) -> None:
        """Add the routes via an interface again: the kernel drops them when it goes down."""
        routes = [message for name, message in self._routes.values() if name == out]
        if routes:
            self.engine.request(self.namespace, *routes)

    def __repr__(self) -> str:
        intfs = ",".join(f"{i.name}:{i.IP()}" for i in self.intfList())
        pid = self._shell.pid if self._shell else None
        return f"<{type(self).__name__} {self.name}: {intfs} pid={pid}> "


class Host(NodeMixin, mininet_node.Host):  # type: ignore[misc]
    """An end system."""


class Router(Host):
    """A host that forwards IPv4 and IPv6."""

    settings = ROUTER_SETTINGS


def adopt(cls: Any, ours: type[NodeMixin]) -> Any:
    """A node class written for Mininet, put on top of ours; our own is returned unchanged."""
    if cls is None or not isinstance(cls, type) or issubclass(cls, NodeMixin):
        return cls
    if issubclass(ours, cls):
        return ours
    return type(cls.__name__, (cls, ours), {"adopted": True})
