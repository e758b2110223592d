"""Scripts written for Mininet, unchanged, on this engine.

    testbed mininet SCRIPT [ARGUMENT...]

The script finds our classes under Mininet's own names (``from mininet.net import Mininet``, …).
Mininet's modules themselves stay as they are: they refer to each other by these names.
"""

from __future__ import annotations

import importlib
import os
import runpy
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from testbed.core.errors import ConfigError, MissingPrerequisiteError
from testbed.guest_init import layers
from testbed.net import control, owned
from testbed.net.check import default_learns, loop_without_stp, loop_words
from testbed.net.commandline import CLI
from testbed.net.link import Intf, Link
from testbed.net.mininet_api import log
from testbed.net.mininet_api import net as mininet_net
from testbed.net.mininet_api import node as mininet_node
from testbed.net.nat import NAT
from testbed.net.network import Network
from testbed.net.node import Host, NodeMixin, adopt
from testbed.net.ovs import OVSBridge, OVSSwitch
from testbed.net.switch import Switch


@dataclass
class Session:
    """What the caller adds to the networks of a script.

    Attributes:
        seed: of the networks' random choices.
        started: called with each network when it is up; what it returns is called before it ends.
    """

    seed: int = 0
    started: Callable[[Network], Callable[[], None]] | None = None


session = Session()


class OVSController(control.Controller, mininet_node.OVSController):  # type: ignore[misc]
    """Open vSwitch's test controller."""


def find_controller(controllers: Any = (control.Controller, OVSController)) -> Any:
    """The first class of controllers whose program is installed; None if there is none."""
    return mininet_node.findController(controllers)


def default_controller(name: str, **params: Any) -> Any:
    """An installed controller; without one, Mininet's first choice, which then only stands in."""
    return (find_controller() or control.Controller)(name, **params)


class Mininet(Network):
    """`Network` with Mininet's defaults: Open vSwitch and a controller.

    Where no controller is installed, the default switches learn by themselves, as with `mn`.
    """

    def __init__(
        self,
        topo: Any = None,
        switch: Any = OVSSwitch,
        host: Any = Host,
        controller: Any = default_controller,
        link: Any = Link,
        intf: Any = Intf,
        build: bool = True,
        **options: Any,
    ) -> None:
        if switch is OVSSwitch and controller is default_controller and find_controller() is None:
            switch, controller = OVSBridge, None
        self._before_end: Callable[[], None] | None = None
        options.setdefault("seed", session.seed)
        super().__init__(topo, switch, host, controller, link, intf, build=build, **options)

    def tell_loop(self, topo: Any) -> None:
        """Warn only: a script may mend it later, with ovs-vsctl or a controller."""
        if self.switch in (Switch, OVSBridge) and (
            loop := loop_without_stp(topo, default_learns(topo))
        ):
            log.warn(f"{loop_words(loop)}\n")

    def start(self) -> None:
        """Starts it, and what `Session.started` adds."""
        super().start()
        if session.started and self._before_end is None:
            self._before_end = session.started(self)

    def stop(self) -> None:
        """Ends it, and first what `start` added."""
        before, self._before_end = self._before_end, None
        try:
            if before:
                before()
        finally:
            super().stop()


class MininetWithControlNet(mininet_net.MininetWithControlNet, Mininet):  # type: ignore[misc]
    """Mininet's network for ``mn --innamespace``, of ours."""

    def configureControlNetwork(self, *args: Any, **params: Any) -> None:
        """Connects switches and controller.

        Raises:
            ConfigError: there is no controller, which is the centre of such a network.
        """
        if not self.controllers:
            raise ConfigError("--innamespace: needs a controller, so not --controller none")
        super().configureControlNetwork(*args, **params)


def cleanup() -> None:
    """Cleans up after dead runs; Mininet's own would kill other people's programs by name."""
    owned.remove(owned.leftovers())


class Cleanup:
    """Mininet's, as far as scripts use it."""

    cleanup = staticmethod(cleanup)
    callbacks: list[Any] = []  # noqa: RUF012  (as Mininet's: of the class)

    @classmethod
    def addCleanupCallback(cls, callback: Any) -> None:
        """Accepted, and never called: our processes end by themselves."""
        cls.callbacks.append(callback)


class CPULimitedHost(Host):
    """Mininet's, without its limits: each that a script sets is named once, and has no effect."""

    _told: set[str] = set()  # noqa: RUF012  (of the class: once, not once per host)

    @classmethod
    def init(cls) -> None:
        """Nothing to prepare: no control groups are used."""

    def config(self, *args: Any, cpu: float | None = -1, cores: Any = None, **params: Any) -> Any:
        """As a host's."""
        if cpu is not None and cpu >= 0:
            self._tell("cpu=")
        if cores:
            self._tell("cores=")
        return super().config(*args, **params)

    def setCPUFrac(self, *_args: Any, **_params: Any) -> None:
        """Has no effect."""
        self._tell("setCPUFrac")

    def setCPUs(self, *_args: Any, **_params: Any) -> None:
        """Has no effect."""
        self._tell("setCPUs")

    def _tell(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            log.warn(
                f"host {self.name}: {what} has no effect: processors are not limited here "
                "(on the virtual clock computation takes no time)\n"
            )


def _ours(name: str) -> type:
    """One of Mininet's classes of controllers or hosts, on top of ours."""
    cls = getattr(mininet_node, name)
    base = control.Controller if issubclass(cls, mininet_node.Controller) else Host
    made: type = adopt(cls, base)
    return made


NAMES: dict[str, dict[str, Any]] = {
    "net": {"Mininet": Mininet, "MininetWithControlNet": MininetWithControlNet},
    "node": {
        "Node": NodeMixin,
        "Host": Host,
        "CPULimitedHost": CPULimitedHost,
        "OVSSwitch": OVSSwitch,
        "OVSKernelSwitch": OVSSwitch,
        "OVSBridge": OVSBridge,
        "Controller": control.Controller,
        "OVSController": OVSController,
        "RemoteController": control.RemoteController,
        "DefaultController": default_controller,
        "findController": find_controller,
        "DefaultControllers": (control.Controller, OVSController),
        **{name: _ours(name) for name in ("NOX", "Ryu")},
    },
    "nodelib": {"LinuxBridge": Switch, "NAT": NAT, "Node": NodeMixin},
    "link": {
        "Intf": Intf,
        "TCIntf": Intf,
        "Link": Link,
        "TCLink": Link,
        "TCULink": Link,
        "OVSLink": Link,
    },
    "cli": {"CLI": CLI},
    "clean": {"cleanup": cleanup, "Cleanup": Cleanup},
}
"""Module of Mininet's → name in it → what a script gets."""


def install() -> None:
    """Make this process find our classes in Mininet's modules."""
    package = importlib.import_module("mininet")
    for name, replaced in NAMES.items():
        original = importlib.import_module(f"mininet.{name}")
        shim = ModuleType(original.__name__, original.__doc__)
        shim.__dict__.update({**original.__dict__, **replaced})
        sys.modules[original.__name__] = shim
        setattr(package, name, shim)


def folders_to_keep(folders: Sequence[Path]) -> list[Path]:
    """Folders of the user's, resolved.

    Raises:
        ConfigError: one belongs to the system, or does not exist.
    """
    kept = [folder.resolve() for folder in folders]
    for folder in kept:
        if not folder.is_dir():
            raise ConfigError(f"--keep {folder}: no such folder; create it first")
        if not layers.may_be_kept(str(folder)):
            raise ConfigError(
                f"--keep {folder}: belongs to the system; choose a folder of your own"
            )
    return kept


def enter_layers(keep: Sequence[Path] = ()) -> layers.Layers:
    """Make this process, and all that it starts, write to layers over the machine's files.

    Files written to the working directory are kept, unless that is a system folder.

    Args:
        keep: more folders whose files are kept.

    Raises:
        MissingPrerequisiteError: the caller is not root.
    """
    if os.geteuid() != 0:
        raise MissingPrerequisiteError("root", "sudo testbed mininet ...", "it creates networks")
    kept = [str(folder) for folder in keep]
    here = str(Path.cwd())
    kept += [here] if layers.may_be_kept(here) else []
    made = layers.enter(kept)
    os.chdir(here)
    return made


def find_script(script: str) -> str:
    """The path of a script: a file, or a program such as ``mn``.

    Raises:
        ConfigError: there is no such script.
    """
    path = script if Path(script).is_file() else shutil.which(script)
    if path is None:
        raise ConfigError(f"script '{script}': no such file or program")
    return path


def run(path: str, arguments: list[str]) -> None:
    """Run a script as Python does; see `find_script`."""
    install()
    log.lg.propagate = False  # Mininet's messages are shown by its own handler, once
    sys.argv = [path, *arguments]
    sys.path.insert(0, str(Path(path).resolve().parent))
    runpy.run_path(path, run_name="__main__")
