"""Students' controller apps: in the sandbox, next to the course's `controller` package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.core.project import PROJECT
from testbed.daemons.base import Place
from testbed.daemons.controller import NODE, PORT, ControlledNetwork, Controller, control_node
from testbed.grading import sandbox

if TYPE_CHECKING:
    from testbed.author.running_network import RunningNetwork

_POLL_S = 0.2


class _SandboxedController(Controller):
    """A student's app, run like one of ours."""

    def __init__(self, folder: Path, app: Path, settings: Mapping[str, Any]) -> None:
        super().__init__(app.stem, settings)
        self._folder, self._file = folder, app

    def argv(self, place: Place) -> list[str]:
        """Our start-up line in the sandbox, where the app is one of the package's modules."""
        package = {
            f"/project/controller/{p.name}": str(p)
            for p in sorted((PROJECT / "controller").glob("*.py"))
        }
        package[f"/project/controller/{self.app}.py"] = str(self._file)
        command = ["python3", "-sP", "-m", "controller", self.app, "--listen", f"127.0.0.1:{PORT}"]
        command += ["--log", f"{sandbox.OUT}/controller.jsonl"]
        command += [f"{name}={value}" for name, value in self.settings.items()]
        return sandbox.argv(
            command,
            self._folder,
            sandbox.out_folder(self.app),
            shown=package | sandbox.python_packages(),
            environment={
                "PYTHONPATH": "/project:/site:/site/controllers",
                "SDN_FRAMEWORK": self.framework,
            },
        )


class _Network(ControlledNetwork):
    """Asks the switches whether they are connected: what the app itself says proves nothing."""

    def _missing(self, heard: int) -> list[str]:
        self.check()
        said = self.ovs.run("ovs-vsctl", "--columns=target,is_connected", "list", "controller")
        connected = said.count("true")
        self.net.sleep(_POLL_S)
        return [s.name for s in self.switches[connected:]]


def start(
    net: RunningNetwork, folder: Path, app: Path, settings: Mapping[str, Any]
) -> ControlledNetwork:
    """Starts an app of the submission in `folder` and connects all switches to it."""
    control_node(net.network)
    network = _Network(net, _SandboxedController(folder, app, settings))
    network.start_controller()
    net.event("app", node=NODE)
    return network
