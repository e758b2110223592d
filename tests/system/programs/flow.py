"""Runs inside a guest: a TCP flow over a lossy link, captured, with what the guest can see."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from testbed.author.topo import LinkShape, Topo
from testbed.guest_init.progress import report
from testbed.net import Network

DURATION_S = 5


class Pair(Topo):
    def build(self) -> None:
        shape = LinkShape(rate_mbps=10, delay_ms=5, jitter_ms=1, loss_percent=1, queue_pkts=50)
        self.addLink(self.addHost("h1"), self.addHost("h2"), shape=shape)


def seen() -> dict[str, object]:
    """What a program can see of its surroundings."""
    return {
        "environment": dict(sorted(os.environ.items())),
        "host name": os.uname().nodename,
        "command line": Path("/proc/cmdline").read_text(),
        "cpuinfo": Path("/proc/cpuinfo").read_text(),
        "memory": Path("/proc/meminfo").read_text().splitlines()[0],
        "urandom": os.urandom(16).hex(),
        "random": random.random(),
        "hash": hash("hash"),
        "folder": sorted(p.name for p in Path("/run").iterdir()),
        "mounts": sorted(x.split()[1] for x in Path("/proc/mounts").read_text().splitlines()),
        "order": [p.name for p in Path("/usr/lib").iterdir()],
        "path": sys.path,
        "time_s": time.time(),
    }


def main(folder: Path) -> None:
    (folder / "seen.json").write_text(json.dumps(seen(), indent=1))
    with Network(Pair(), seed=1) as net:
        h1, h2 = net["h1"], net["h2"]
        capture = ["tcpdump", "-Z", "root", "-i", "h2-eth0", "-s", "96", "-w", f"{folder}/h2.pcap"]
        tcpdump = h2.popen(capture, stderr=subprocess.DEVNULL)
        server = h2.popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        report("the flow starts")
        client = ["iperf3", "-c", h2.IP(), "-t", str(DURATION_S), "-J"]
        with (folder / "iperf3.json").open("w") as out:
            code = h1.popen(client, stdout=out).wait()
        server.wait()
        tcpdump.terminate()
        tcpdump.wait()
    sys.exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
