"""Controllers, measured on the real clock: flow set-ups per second and packet-in latency.

An emulated OpenFlow switch (as cbench's) connects over the loopback and sends packet-ins between
hosts that all have spoken, so that each brings a flow and a packet back. Then a fat tree in a
guest: up, discovered, all pairs reachable, wall time.

    python bench/sdn.py [SECONDS]
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
RYU_SITE = PROJECT / "build" / "ryu"
PORT = 16653
HELLO, ECHO_REQUEST, ECHO_REPLY, FEATURES_REQUEST, PACKET_IN, PACKET_OUT = 0, 2, 3, 5, 10, 13
MULTIPART_REQUEST, MULTIPART_REPLY = 18, 19
HOSTS = 100
WINDOW = 32
"""Packet-ins under way at a time when counting; one when timing."""


class Switch:
    """Just enough of an OpenFlow 1.3 switch to ask a controller."""

    def __init__(self) -> None:
        self.sock = socket.create_connection(("127.0.0.1", PORT), timeout=10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self._send(HELLO, b"", 0)
        while True:
            kind, xid, _ = self.receive()
            if kind == FEATURES_REQUEST:
                self._send(6, (1).to_bytes(8, "big") + bytes(16), xid)
                break
        while self.receive()[0] != MULTIPART_REQUEST:
            pass
        time.sleep(0.3)  # until the controller has taken the answer
        for host in range(HOSTS):
            self.ask(host, (host + 1) % HOSTS)
            self.answer()

    def _send(self, kind: int, body: bytes, xid: int) -> None:
        self.sock.sendall(struct.pack("!BBHI", 4, kind, 8 + len(body), xid) + body)

    def receive(self) -> tuple[int, int, bytes]:
        """The next message: type, transaction, body."""
        while len(self.pending) < 8 or len(self.pending) < self._length():
            data = self.sock.recv(1 << 16)
            if not data:
                raise ConnectionError("the controller hung up")
            self.pending += data
        length = self._length()
        raw, self.pending = self.pending[:length], self.pending[length:]
        kind, xid = raw[1], int.from_bytes(raw[4:8], "big")
        if kind == ECHO_REQUEST:
            self._send(ECHO_REPLY, raw[8:], xid)
        elif kind == MULTIPART_REQUEST:  # for its ports: it lists none
            self._send(MULTIPART_REPLY, raw[8:10] + bytes(6), xid)
        return kind, xid, raw[8:]

    def _length(self) -> int:
        return int.from_bytes(self.pending[2:4], "big")

    def ask(self, source: int, target: int) -> None:
        """A packet-in from host `source` (at port source + 1) to host `target`."""
        frame = bytes((2, 0, 0, 0, 0, target, 2, 0, 0, 0, 0, source)) + b"\x08\x00" + bytes(46)
        match = struct.pack("!HHIIxxxx", 1, 12, 0x80000004, source + 1)
        head = struct.pack("!IHBBQ", 0xFFFFFFFF, len(frame), 0, 0, 0)
        self._send(PACKET_IN, head + match + b"\0\0" + frame, 0)

    def answer(self) -> None:
        """Waits for the packet-out: the flow has come before it."""
        while self.receive()[0] != PACKET_OUT:
            pass


@contextlib.contextmanager
def controller(framework: str) -> Iterator[None]:
    """The learning switch, running."""
    path = [str(PROJECT)] + [str(RYU_SITE)] * (framework == "ryu")
    environment = {
        **os.environ,
        "PYTHONPATH": ":".join(path),
        "SDN_FRAMEWORK": framework,
        "PYTHONWARNINGS": "ignore",
    }
    argv = [sys.executable, "-m", "controller", "learning_switch", "--listen", f"127.0.0.1:{PORT}"]
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        if "listens" not in process.stdout.readline():
            raise SystemExit(f"{framework}: the controller did not start")
        time.sleep(0.5)
        yield
    finally:
        process.kill()
        process.wait()


def measure(framework: str, seconds: float) -> tuple[float, list[float]]:
    """Flow set-ups per second, and latencies in ms."""
    with controller(framework):
        switch = Switch()
        latencies_ms = []
        for number in range(500):
            began = time.perf_counter()
            switch.ask(number % HOSTS, (number + 7) % HOSTS)
            switch.answer()
            latencies_ms.append((time.perf_counter() - began) * 1e3)
        for number in range(WINDOW):
            switch.ask(number, number + 1)
        done, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            switch.answer()
            done += 1
            switch.ask(done % HOSTS, (done + 3) % HOSTS)
        return done / (time.perf_counter() - began), latencies_ms


def fat_tree() -> float:
    """Wall time of a fat tree with k=4 in a guest, in s; raises if a pair does not reach."""
    command = [sys.executable, "-m", "testbed.cli.main", "run", "bench/sdn_fat_tree.py"]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run(
            [*command, "--out", out], cwd=PROJECT, check=False, capture_output=True, text=True
        )
    if done.returncode:
        raise SystemExit(f"fat tree: {done.stdout[-2000:]}{done.stderr[-500:]}")
    return time.perf_counter() - began


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    for framework in ("os_ken", "ryu"):
        if framework == "ryu" and not RYU_SITE.is_dir():
            print("ryu      not installed (scripts/install-ryu.sh)")
            continue
        rate, latencies_ms = measure(framework, seconds)
        cuts = statistics.quantiles(latencies_ms, n=100)
        print(
            f"{framework:8} {rate:8.0f} flow set-ups/s   packet-in latency "
            f"median {cuts[49]:.2f} ms, 99 % {cuts[98]:.2f} ms"
        )
    print(f"fat tree k=4 (20 switches, 16 hosts), all pairs: {fat_tree():.1f} s of wall time")


if __name__ == "__main__":
    main()
