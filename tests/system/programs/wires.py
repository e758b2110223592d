"""Runs inside a guest: what links really do to packets, as captures at both ends show it."""

import json
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from testbed import programs
from testbed.author.topo import Topo
from testbed.net import Network
from testbed.net.shape import LinkShape

FRAME_BYTES = 1514
BURST_PKTS = 200
SHAPES = {
    "fifo": LinkShape(rate_mbps=10, delay_ms=5, queue_pkts=20),
    "fifo-bytes": LinkShape(rate_mbps=10, delay_ms=5, queue_bytes=10 * FRAME_BYTES),
    "one": LinkShape(rate_mbps=10, queue_pkts=1),
    "fast": LinkShape(rate_mbps=100, delay_ms=1, queue_pkts=100),
    "slow": LinkShape(rate_mbps=1, delay_ms=0.001, queue_pkts=3),
    "codel": LinkShape(rate_mbps=10, queue_pkts=20, qdisc="codel"),
    "delay": LinkShape(delay_ms=7),
    "jitter": LinkShape(delay_ms=5, jitter_ms=2),
    "loss": LinkShape(delay_ms=1, loss_percent=20),
    "duplicate": LinkShape(delay_ms=1, duplicate_percent=20),
    "reorder": LinkShape(delay_ms=5, reorder_percent=20),
    "plain": LinkShape(),
}

SEND = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
for i in range(int(sys.argv[1])):
    s.sendto(i.to_bytes(4, "big") + bytes(1476), ("10.0.0.2", 0))
    if float(sys.argv[2]):
        time.sleep(float(sys.argv[2]))
"""


class Pair(Topo):
    def build(self, shape: LinkShape) -> None:
        self.addLink(self.addHost("h1"), self.addHost("h2"), shape1=shape)


def captured(net: Network, send: list[str], bpf: str) -> dict[str, list[tuple[int, int, int]]]:
    """Packets at both ends as (time in ns, frame length, first four bytes behind the IP header)."""
    dumps = {}
    for host in ("h1", "h2"):
        argv = ["tcpdump", "-Z", "root", "-i", f"{host}-eth0", "-w", f"/tmp/{host}.pcap"]
        argv += [
            "--time-stamp-precision=nano",
            "--immediate-mode",
            "-s",
            "100",
            "-Q",
            "out" if host == "h1" else "in",
        ]
        argv.append(bpf)
        dumps[host] = net[host].popen(argv)
        line = b""
        while b"listening on" not in line:
            line = dumps[host].stderr.readline()
            assert line, dumps[host].wait()
    net["h1"].popen(send, stdout=subprocess.DEVNULL).wait()
    time.sleep(3)
    for dump in dumps.values():
        dump.terminate()
        dump.wait()
    return {host: pcap(Path(f"/tmp/{host}.pcap")) for host in dumps}


def pcap(path: Path) -> list[tuple[int, int, int]]:
    data, at, rows = path.read_bytes(), 24, []
    while at < len(data):
        seconds, nanoseconds, kept, length = struct.unpack_from("<IIII", data, at)
        number = struct.unpack_from(">I", data, at + 16 + 34)[0]
        rows.append((seconds * 10**9 + nanoseconds, length, number))
        at += 16 + kept
    return rows


def burst(shape: LinkShape, apart_s: float = 0) -> dict[str, object]:
    with Network(Pair(shape), seed=3, autoStaticArp=True) as net:
        time.sleep(10)  # IPv6 has said what it has to say
        send = [sys.executable, "-c", SEND, str(BURST_PKTS), str(apart_s)]
        ends = captured(net, send, "ip proto 253")
        return {"sent": ends["h1"], "received": ends["h2"], "qdiscs": net.qdiscs()}


def tcp(shape: LinkShape) -> dict[str, object]:
    with Network(Pair(shape), seed=3) as net:
        receive = programs.argv("bulk", "receive", "5201")
        server = net["h2"].popen(receive, stdout=subprocess.DEVNULL)
        time.sleep(1)
        # not a time: no link limits it
        send = programs.argv("bulk", "send", "--bytes", "500000", net["h2"].IP(), "5201")
        ends = captured(net, send, "tcp")
        server.wait()
        return {"largest_bytes": max(length for _, length, _ in ends["h1"])}


def reshaped() -> dict[str, object]:
    shape = LinkShape(rate_mbps=10, delay_ms=5)
    rtts = []
    with Network(Pair(shape)) as net:
        for delay_ms in (5, 50, 5):
            net.reshape("h1-eth0", replace(shape, delay_ms=delay_ms))
            net["h1"].cmd("ping -c1 10.0.0.2")
            rtts.append(float(net["h1"].cmd("ping -c1 10.0.0.2").split("time=")[1].split()[0]))
        net.reshape("h1-eth0", replace(shape, loss_percent=100))
        lost = "100% packet loss" in net["h1"].cmd("ping -c2 10.0.0.2")
    with Network(Pair(LinkShape())) as net:
        net.reshape("h1-eth0", LinkShape(delay_ms=30))
        net["h1"].cmd("ping -c1 10.0.0.2")
        late = float(net["h1"].cmd("ping -c1 10.0.0.2").split("time=")[1].split()[0])
    return {"rtts_ms": rtts, "lost": lost, "plain_rtt_ms": late}


def main(folder: Path) -> None:
    found = {name: burst(shape) for name, shape in SHAPES.items()}
    found["spaced"] = burst(SHAPES["jitter"], apart_s=0.02)
    sizes = {name: tcp(SHAPES[name]) for name in ("fast", "delay", "plain")}
    result = {"bursts": found, "tcp": sizes, "reshaped": reshaped()}
    (folder / "wires.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
