"""Plays the packet scripts of the folder's ``scripts`` against a server that echoes."""

import json
import sys
from pathlib import Path

from testbed.author import packet_scripts
from testbed.author.running_network import RunningNetwork
from testbed.net import Network
from topologies.single import Single


def main(folder):
    played = {}
    with Network(Single(2)) as network, RunningNetwork(network, folder) as net:
        net.capture("h2-eth0")
        net.start("h1", "socat", "TCP4-LISTEN:80,reuseaddr,fork", "EXEC:cat")
        net.sleep(0.5)
        for name in ("echo", "impatient", "gone"):
            played[name] = packet_scripts.play(net, name, "h2", "h1", ports=(40_000, 80))
            net.sleep(1)
        server = packet_scripts.start(net, "server", "h2", "h1", ports=(7, None))
        net.start("h1", "socat", "-u", "OPEN:/dev/zero,readbytes=3", "TCP4:10.0.0.2:7")
        played["server"] = server.wait(60) == 0
    (folder / "played.json").write_text(json.dumps(played))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
