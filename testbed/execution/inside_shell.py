"""The program behind `testbed shell`: builds a topology and opens Mininet's command line.

``python -m testbed.execution.inside_shell FOLDER`` reads ``shell.json`` in the folder, and FRR
configurations for its routers if there are any; captures go there.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
import termios
from pathlib import Path
from typing import Any

from testbed.author import named_topologies
from testbed.author.routing import configurations, topology_of
from testbed.author.running_network import RunningNetwork
from testbed.core.errors import TestbedError
from testbed.core.rundir import read_json
from testbed.daemons import frr
from testbed.daemons.base import place_of
from testbed.net import Network
from testbed.net.commandline import CLI

REQUEST = "shell.json"
"""In the folder: ``topology`` as the user wrote it, ``routing``, ``captures``, ``runtime``."""

SCRIPT = "script.txt"
"""In the folder, where commands come from a file: one per line."""

_MANY_NODES = 100
"""Number of nodes from which the command says that starting them takes a while."""

GUEST_TERMINAL = "/dev/tty2"


def main(folder: Path) -> int:
    """Runs the command line until the user leaves it; returns the exit code."""
    request = read_json(folder / REQUEST)
    take_terminal(GUEST_TERMINAL if request["runtime"] == "guest" else None)
    try:
        topo = topology_of(folder, lambda: named_topologies.load(request["topology"]))
        if len(topo.nodes()) > _MANY_NODES:
            _say(f"starting {len(topo.nodes())} nodes, which takes a while")
        network = Network(topo, routing=request["routing"])
        with network, RunningNetwork(network, folder) as net:
            if request["captures"]:
                net.capture(*request["captures"])
            if configs := configurations(folder):
                frr.start(net, configs)
            _command_line(net, request["topology"], folder / SCRIPT)
    except TestbedError as error:
        _say(f"error: {error}")
        return int(error.exit_code)
    return 0


class CommandLine(CLI):
    """Mininet's command line, with FRR's shell."""

    def __init__(self, net: RunningNetwork, **options: Any) -> None:
        self.net = net
        super().__init__(net.network, **options)

    def do_vtysh(self, line: str) -> None:
        """FRR's shell on a router: vtysh r1, or vtysh r1 show ip route."""
        name, _, command = line.strip().partition(" ")
        if name not in self.mn:
            _say(f"vtysh: no node '{name}'; usage: vtysh ROUTER [COMMAND]")
            return
        argv = frr.vtysh_argv(place_of(self.net, name), *([command] if command else []))
        self.mn[name].sendCmd(shlex.join(argv))
        self.waitForNode(self.mn[name])


def _command_line(net: RunningNetwork, topology: str, script: Path) -> None:
    if script.is_file():
        CommandLine(net, script=str(script))
        return
    names = " ".join(node.name for node in net.network.values())
    _say(f"{topology}: {names}. Type help, or leave with Ctrl-D.")
    CommandLine(net)


def take_terminal(path: str | None) -> None:
    """Makes the terminal ours, so that Ctrl-C reaches only what runs in it."""
    if path is not None:
        terminal = os.open(path, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(terminal, number)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
