"""How fast networks come and go: ours, stock Mininet's, and the kernel's own limit, in one run.

    sudo .venv/bin/python bench/engine.py [--large 1000] [--no-stock]

Each row is measured in a process of its own, from the call to the network standing and then gone.
``removed`` is when the program may go on; ``settled`` when the kernel has finished behind it, which
it does by itself. The kernel's limit is a loop that sends ready-made requests and nothing else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SETTLE_WITHIN_S = 300.0
GUEST_REQUEST = "engine.json"


class Watch:
    """Tells when the kernel has removed a namespace: a link from it to a namespace of ours ends."""

    def __init__(self, target_fd: int) -> None:
        from testbed.net import rtnl
        from testbed.net.engine import Engine

        self.engine = Engine()
        own = self.engine.wires
        ends = [
            rtnl.VethEnd(
                namespace_fd=fd, name="watch", index=index, mac=f"06:00:00:00:00:0{index % 8}"
            )
            for fd, index in ((self.engine.fd(own), 900_001), (target_fd, 900_002))
        ]
        self.engine.link(rtnl.new_veth(*ends))

    def settle(self) -> float:
        """Seconds until the namespace is gone."""
        from testbed.net import rtnl

        began = time.monotonic()
        while time.monotonic() - began < SETTLE_WITHIN_S:
            found = self.engine.ask(self.engine.wires, lambda s: [x.name for x in rtnl.links(s)])
            if "watch" not in found:
                break
            time.sleep(0.02)
        self.engine.close()
        return time.monotonic() - began


def ours(name: str, count: int) -> dict[str, float]:
    from mininet.topo import LinearTopo

    from testbed.net import Network

    topo, memory_kb, before_kb = LinearTopo(count), own_memory_kb(), kernel_memory_kb()
    began = time.perf_counter()
    net = Network(topo)
    net.start()
    up = time.perf_counter() - began
    grown_kb, kernel_kb = own_memory_kb() - memory_kb, kernel_memory_kb() - before_kb
    watch = Watch(net.hosts[-1].namespace.fd)
    began_down = time.perf_counter()
    net.stop()
    total = up + time.perf_counter() - began_down
    return {
        "up_s": up,
        "removed_s": total,
        "settled_s": total + watch.settle(),
        "own_kb_per_host": grown_kb / count,
        "kernel_kb_per_host": kernel_kb / count,
    }


def stock(name: str, count: int) -> dict[str, float]:
    from mininet.net import Mininet
    from mininet.nodelib import LinuxBridge
    from mininet.topo import LinearTopo

    topo = LinearTopo(count)
    began = time.perf_counter()
    net = Mininet(topo, switch=LinuxBridge, controller=None)
    net.start()
    up = time.perf_counter() - began
    with Path(f"/proc/{net.hosts[-1].pid}/ns/net").open() as namespace:
        watch = Watch(namespace.fileno())
    began_down = time.perf_counter()
    net.stop()
    total = up + time.perf_counter() - began_down
    return {"up_s": up, "removed_s": total, "settled_s": total + watch.settle()}


def kernel(name: str, count: int) -> dict[str, float]:
    """The same links, bridges and addresses from messages made beforehand."""
    import ipaddress

    from testbed.net import rtnl
    from testbed.net.engine import Engine
    from testbed.net.namespaces import Namespace
    from testbed.net.node import HOST_SETTINGS
    from testbed.net.switch import SWITCH_SETTINGS

    engine = Engine()
    hosts = [Namespace(f"h{i}", settings=HOST_SETTINGS) for i in range(count)]
    switches = [Namespace(f"s{i}", settings=SWITCH_SETTINGS) for i in range(count)]
    engine.fd(engine.wires)
    before_kb = kernel_memory_kb()
    began = time.perf_counter()
    engine._learn_fresh({**HOST_SETTINGS, **SWITCH_SETTINGS})
    for namespace in (*hosts, *switches):
        engine.rooms.call(engine.rooms.create, namespace, engine._fresh)
    spaces = time.perf_counter() - began
    requests = []
    for i in range(count):
        links = [((hosts[i], "eth0", 10), (switches[i], "eth1", 11))]
        if i:
            links.append(((switches[i], "eth2", 12), (switches[i - 1], "eth3", 13)))
        for number, (one, two) in enumerate(links):
            ends = [
                rtnl.VethEnd(
                    namespace_fd=end[0].fd or 0,
                    name=end[1],
                    index=end[2],
                    mac=f"02:{number:02x}:{side:02x}:00:{i >> 8:02x}:{i & 255:02x}",
                )
                for side, end in enumerate((one, two))
            ]
            engine._links.append(rtnl.new_veth(*ends))
        address = ipaddress.ip_interface((int(ipaddress.IPv4Address("10.0.0.1")) + i, 8))
        own = [rtnl.add_address(10, address, "x"), rtnl.set_up(1, True, "x")]
        ports = [rtnl.set_up(index, True, "x") for index in ((11, 13) if i + 1 < count else (11,))]
        indexes = [11] + ([12] if i else []) + ([13] if i + 1 < count else [])
        bridge = rtnl.new_bridge("s", 20, f"02:ff:00:00:{i >> 8:02x}:{i & 255:02x}", False, 0)
        ports += [bridge, *(rtnl.set_master(index, 20, "x") for index in indexes)]
        requests += [(hosts[i], own), (switches[i], ports)]
    began = time.perf_counter()
    engine.rooms.call(engine._do, engine._links, requests)
    up = spaces + time.perf_counter() - began
    kernel_kb = kernel_memory_kb() - before_kb
    watch = Watch(hosts[-1].fd or 0)
    began_down = time.perf_counter()
    engine.close()
    total = up + time.perf_counter() - began_down
    return {
        "up_s": up,
        "removed_s": total,
        "settled_s": total + watch.settle(),
        "kernel_kb_per_host": kernel_kb / count,
    }


def guest(name: str, count: int) -> dict[str, float]:
    """The same network in a guest, real clock; `whole_s` has the guest's boot and end in it."""
    import tempfile

    from testbed.execution.runtime import choose

    with tempfile.TemporaryDirectory() as folder:
        request = Path(folder, GUEST_REQUEST)
        request.write_text(str(count), encoding="utf-8")
        outcome = choose("guest", clock="real").run(
            Path(folder), seed=1, wall_limit_s=120, module="bench.engine"
        )
        if not outcome.ok:
            raise SystemExit(f"{outcome.reason}: {Path(folder, 'console.log').read_text()[-500:]}")
        found: dict[str, float] = json.loads(request.read_text(encoding="utf-8"))
    return {**found, "whole_s": outcome.wall_s}


def in_guest(folder: Path) -> None:
    """What `guest` has done inside."""
    from mininet.topo import LinearTopo

    from testbed.net import Network

    request = folder / GUEST_REQUEST
    topo = LinearTopo(int(request.read_text(encoding="utf-8")))
    began = time.perf_counter()
    net = Network(topo)
    net.start()
    up = time.perf_counter() - began
    net.stop()
    found = {"up_s": up, "removed_s": time.perf_counter() - began}
    request.write_text(json.dumps(found), encoding="utf-8")


def pings(name: str, count: int) -> dict[str, float]:
    """Ping of all pairs in tree,2,8: 64 hosts, 4032 pings."""
    from mininet.topolib import TreeTopo

    topo = TreeTopo(2, count)
    if name == "stock":
        from mininet.net import Mininet
        from mininet.nodelib import LinuxBridge

        net = Mininet(topo, switch=LinuxBridge, controller=None)
    else:
        from testbed.net import Network

        net = Network(topo)
    net.start()
    began = time.perf_counter()
    lost = net.pingAll()
    took = time.perf_counter() - began
    net.stop()
    return {"pingall_s": took, "lost_percent": lost}


def own_memory_kb() -> int:
    """Resident memory of this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0])


def kernel_memory_kb() -> int:
    """What the kernel keeps for itself: slabs, per-processor data, stacks, page tables."""
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    fields = [line.split() for line in lines]
    kept = {"Slab:", "Percpu:", "KernelStack:", "PageTables:"}
    return sum(int(field[1]) for field in fields if field[0] in kept)


WORK: dict[str, Callable[[str, int], dict[str, float]]] = {
    "ours": ours,
    "stock": stock,
    "kernel": kernel,
    "pings": pings,
    "guest": guest,
}


def measure(work: str, name: str, count: int) -> dict[str, float]:
    """One measurement in a fresh process."""
    argv = [sys.executable, __file__, "--one", work, name, str(count)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{work} {name} {count}: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    cells = "  ".join(f"{key} {value:8.3f}" for key, value in found.items())
    print(f"{work:7} {name:8} {count:5}  {cells}", flush=True)
    return found


def guest_is_built() -> bool:
    """Whether the guest's kernel is built."""
    from testbed.machine import kernel as guest_kernel

    return guest_kernel.find() is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=3, metavar=("WORK", "NAME", "COUNT"))
    parser.add_argument("--large", type=int, default=1000, help="hosts of the largest network")
    parser.add_argument("--no-stock", action="store_true", help="leave stock Mininet out")
    given = parser.parse_args()
    if given.one:
        work, name, count = given.one
        print(json.dumps(WORK[work](name, int(count))))
        return
    fast = {n: measure("ours", "linear", n) for n in (20, 100, given.large)}
    limit = {n: measure("kernel", "linear", n) for n in (100, given.large)}
    if guest_is_built():
        measure("guest", "linear", 100)
    measure("pings", "ours", 8)
    if shutil.which("brctl") is None:
        print("stock    left out: it needs brctl (sudo apt-get install bridge-utils)")
    elif not given.no_stock:
        slow = measure("stock", "linear", 100)
        measure("pings", "stock", 8)
        print(f"linear,100 is {slow['removed_s'] / fast[100]['removed_s']:.0f} times faster")
    for n, bare in limit.items():
        more_kb = fast[n]["kernel_kb_per_host"] - bare["kernel_kb_per_host"]
        more_kb += fast[n]["own_kb_per_host"]
        print(f"linear,{n}: {more_kb:.0f} KiB a host (and its switch) beyond the kernel's own")
        print(
            f"linear,{n}: the kernel alone takes {bare['up_s'] / fast[n]['up_s']:.0%} of our time"
        )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    if Path(sys.argv[-1], GUEST_REQUEST).is_file():
        in_guest(Path(sys.argv[-1]))
    else:
        main()
