"""The program behind `testbed packetdrill`: plays each script in a node of its own.

``python -m testbed.execution.inside_packetdrill FOLDER`` plays the plans in the folder's ``plans``;
what the player prints is in ``logs`` under the same name.
"""

from __future__ import annotations

import sys
from pathlib import Path

from testbed import peers
from testbed.author.running_network import RunningNetwork
from testbed.author.topo import Topo
from testbed.core.errors import ConvergenceError, TestbedError
from testbed.net import Network

PLANS = "plans"
_RMEM_MAX = Path("/proc/sys/net/core/rmem_max")
_RECEIVE_BUFFER_BYTES = 4 << 20
"""The guest's limit. It is Linux's default, for which public scripts were written: the window scale
that TCP offers depends on it."""

LONGEST_S = 3600.0
"""A script that takes longer, on the run's clock, is stopped."""


class Nodes(Topo):
    """Hosts without links: each script brings a device of its own."""

    def build(self, hosts: int = 1) -> None:
        """Adds the hosts."""
        for number in range(hosts):
            self.addHost(f"h{number + 1}")


def main(folder: Path) -> int:
    """Plays all plans, one after the other; returns the exit code."""
    plans = sorted((folder / PLANS).glob("*.json"))
    try:
        network = Network(Nodes(hosts=len(plans)))
        with network, RunningNetwork(network, folder) as net:
            _RMEM_MAX.write_text(str(_RECEIVE_BUFFER_BYTES), encoding="ascii")
            for number, path in enumerate(plans):
                process = net.start(f"h{number + 1}", *peers.argv(str(path)), log=path.stem)
                try:
                    process.wait(LONGEST_S)
                except ConvergenceError:
                    process.stop()
    except TestbedError as error:
        sys.stdout.write(f"error: {error}\n")
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
