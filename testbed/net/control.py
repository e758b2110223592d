"""Controllers: Mininet's `Controller` next to the switches, `RemoteController` on the machine."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from testbed.core.errors import ConfigError
from testbed.net import owned, rtnl
from testbed.net.mininet_api import log
from testbed.net.mininet_api import node as mininet_node
from testbed.net.node import NodeMixin
from testbed.net.relay import Relay

PORTS = (6653, 6633)
"""OpenFlow ports: IANA's, and the one used before."""

_INSTALL = "sudo apt-get install openvswitch-testcontroller"
_CONNECT_WITHIN_S = 1.0
_BACKLOG = 128


def is_listening(ip: str, port: int) -> bool:
    """Whether a TCP connection can be made, from the calling thread's network namespace."""
    try:
        socket.create_connection((ip, port), timeout=_CONNECT_WITHIN_S).close()
    except OSError:
        return False
    return True


class Controller(NodeMixin, mininet_node.Controller):  # type: ignore[misc]
    """A controller started by the network, in the switches' namespace.

    Where its program is not installed it only stands there, and switches learn by themselves.
    """

    command: str

    @property
    def stands_in(self) -> bool:
        """Whether there is no program that it could start."""
        return shutil.which(self.command) is None

    def start(self) -> None:
        """Starts its program."""
        if self.stands_in:
            log.warn(
                f"controller {self.name}: {self.command} is not installed, so switches learn by "
                f"themselves ({_INSTALL})\n"
            )
        else:
            super().start()

    def stop(self, *args: Any, **options: Any) -> None:
        """Stops its program."""
        if not self.stands_in:
            super().stop(*args, **options)

    @cached_property
    def _folder(self) -> Path:
        """Where Open vSwitch's test controller has its socket."""
        folder = owned.new_folder(self.engine.rooms.run_id, self.name)
        self.engine.at_close(lambda: shutil.rmtree(folder, ignore_errors=True))
        return folder

    def _popen(self, cmd: Sequence[str], **params: Any) -> subprocess.Popen[Any]:
        env = {**(params.pop("env", None) or os.environ), "OVS_RUNDIR": str(self._folder)}
        return super()._popen(cmd, env=env, **params)

    port: int | None

    def _listens_inside(self) -> bool:
        port = self.port
        return port is not None and self.engine.inside(
            self.namespace, lambda: is_listening(self.ip, port)
        )

    def checkListening(self) -> None:
        """Refuse a port that another controller of this network uses."""
        if not self.stands_in and self._listens_inside():
            raise ConfigError(
                f"controller {self.name}: port {self.port} is another controller's; set port="
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.IP()}:{self.port}> "


class RemoteController(Controller, mininet_node.RemoteController):  # type: ignore[misc]
    """An external controller on the machine (or further away), reached through a relay.

    The default is Mininet's: 127.0.0.1, at the first of `PORTS` where something listens.
    """

    stands_in = False

    def __init__(
        self, name: str, ip: str = "127.0.0.1", port: int | None = None, **params: Any
    ) -> None:
        if port is None and ":" in ip:
            ip, _, given = ip.partition(":")
            port = int(given)
        try:
            ip = socket.gethostbyname(ip)  # the switches' namespace has no resolver
        except OSError as error:
            raise ConfigError(f"controller {name}: ip {ip!r}: {error}") from error
        mininet_node.RemoteController.__init__(self, name, ip=ip, port=port, **params)
        self._relayed = False

    def checkListening(self) -> None:
        """Find the port; warn if nothing listens yet."""
        ports = PORTS if self.port is None else (self.port,)
        found = next((port for port in ports if self.isListening(self.ip, port)), None)
        self.port = found or ports[0]
        if found is None:
            log.warn(f"Unable to contact the remote controller at {self.ip}:{self.port}\n")

    def isListening(self, ip: str, port: int) -> bool:
        """Whether something listens, in the switches' namespace or on the machine."""
        inside = self.engine.inside(self.namespace, lambda: is_listening(ip, port))
        return inside or is_listening(ip, port)

    def start(self) -> None:
        """Relay the switches to the machine's port, unless something listens next to them."""
        port = self.port
        if port is None or self._relayed or self.engine.rooms.closed or self._listens_inside():
            return
        if not ipaddress.ip_address(self.ip).is_loopback:
            own = ipaddress.ip_interface(self.ip)
            self.engine.request(
                self.namespace, rtnl.add_address(rtnl.LOOPBACK_INDEX, own, self.name)
            )
        self.engine.flush()
        listening = self.engine.inside(
            self.namespace, lambda: socket.create_server((self.ip, port), backlog=_BACKLOG)
        )
        self.engine.at_close(Relay(listening, self.ip, port).close)
        self._relayed = True

    def stop(self, *_args: Any, **_options: Any) -> None:
        """It runs outside of the network."""
