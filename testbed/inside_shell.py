"""The program behind `testbed shell`: builds a topology and gives Mininet's command line.

``python -m testbed.inside_shell FOLDER`` reads ``shell.json`` in the folder; captures go there.
"""

from __future__ import annotations

import fcntl
import os
import sys
import termios
from pathlib import Path

from testbed import topologies
from testbed.errors import TestbedError
from testbed.lab import Lab
from testbed.net import Network
from testbed.net.mininet_api import cli
from testbed.rundir import read_json

REQUEST = "shell.json"
"""In the folder: ``topology`` as the user wrote it, ``routing``, ``captures``, ``runtime``."""

SCRIPT = "script.txt"
"""In the folder, where commands come from a file: one a line."""

_GUEST_TERMINAL = "/dev/tty0"


def main(folder: Path) -> int:
    """Gives the command line until it is left; returns the exit code."""
    request = read_json(folder / REQUEST)
    _take_terminal(_GUEST_TERMINAL if request["runtime"] == "guest" else None)
    try:
        topo = topologies.load(request["topology"])
        with Network(topo, routing=request["routing"]) as net, Lab(net, folder) as lab:
            if request["captures"]:
                lab.capture(*request["captures"])
            _command_line(net, request["topology"], folder / SCRIPT)
    except TestbedError as error:
        _say(f"error: {error}")
        return int(error.exit_code)
    return 0


def _command_line(net: Network, topology: str, script: Path) -> None:
    if script.is_file():
        cli.CLI(net, script=str(script))
        return
    names = " ".join(node.name for node in net.values())
    _say(f"{topology}: {names}. Type help, or leave with Ctrl-D.")
    cli.CLI(net)


def _take_terminal(path: str | None) -> None:
    """Makes the terminal ours, so that Ctrl-C reaches what runs in it, and only that."""
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
