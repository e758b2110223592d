"""How fast networks come and go: ours, stock Mininet's, and the kernel's own limit, in one run.

    sudo .venv/bin/python bench/engine.py [--large 1000] [--no-stock]

Each row is measured in a process of its own, from the call to the network standing and then gone.
``removed`` is when the program may go on; ``settled`` when the kernel has finished behind it, which
it does by itself. The kernel's limit is a loop that sends ready-made requests and nothing else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SETTLE_WITHIN_S = 300.0


def namespaces() -> int:
    """Network namespaces in the kernel, dying ones included (from the slab allocator)."""
    for line in Path("/proc/slabinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("net_namespace"):
            return int(line.split()[1])
    return 0


def settle(before: int) -> float:
    """Seconds until the kernel has removed what was let go."""
    began = time.monotonic()
    while namespaces() > before and time.monotonic() - began < SETTLE_WITHIN_S:
        time.sleep(0.05)
    return time.monotonic() - began


def ours(name: str, count: int) -> dict[str, float]:
    from mininet.topo import LinearTopo

    from testbed.net import Network

    topo, before, memory_kb = LinearTopo(count), namespaces(), own_memory_kb()
    began = time.perf_counter()
    net = Network(topo)
    net.start()
    up = time.perf_counter() - began
    grown_kb = own_memory_kb() - memory_kb
    net.stop()
    total = time.perf_counter() - began
    return {
        "up_s": up, "removed_s": total, "settled_s": total + settle(before),
        "own_kb_per_host": grown_kb / count,
    }  # fmt: skip


def stock(name: str, count: int) -> dict[str, float]:
    from mininet.net import Mininet
    from mininet.nodelib import LinuxBridge
    from mininet.topo import LinearTopo

    topo, before = LinearTopo(count), namespaces()
    began = time.perf_counter()
    net = Mininet(topo, switch=LinuxBridge, controller=None)
    net.start()
    up = time.perf_counter() - began
    net.stop()
    total = time.perf_counter() - began
    return {"up_s": up, "removed_s": total, "settled_s": total + settle(before)}


def kernel(name: str, count: int) -> dict[str, float]:
    """The same links, bridges and addresses from messages made beforehand."""
    import ipaddress

    from testbed.net import rtnl
    from testbed.net.engine import Engine
    from testbed.net.namespaces import Namespace
    from testbed.net.node import HOST_SETTINGS
    from testbed.net.switch import SWITCH_SETTINGS

    before, engine = namespaces(), Engine()
    hosts = [Namespace(f"h{i}", settings=HOST_SETTINGS) for i in range(count)]
    switches = [Namespace(f"s{i}", settings=SWITCH_SETTINGS) for i in range(count)]
    engine.fd(engine.wires)
    began = time.perf_counter()
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
                    namespace_fd=end[0].fd or 0, name=end[1], index=end[2],
                    mac=f"02:{number:02x}:{side:02x}:00:{i >> 8:02x}:{i & 255:02x}",
                )
                for side, end in enumerate((one, two))
            ]  # fmt: skip
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
    engine.close()
    total = spaces + time.perf_counter() - began
    return {"up_s": up, "removed_s": total, "settled_s": total + settle(before)}


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


WORK: dict[str, Callable[[str, int], dict[str, float]]] = {
    "ours": ours, "stock": stock, "kernel": kernel, "pings": pings,
}  # fmt: skip


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
    measure("pings", "ours", 8)
    if not given.no_stock:
        slow = measure("stock", "linear", 100)
        measure("pings", "stock", 8)
        print(f"linear,100 is {slow['removed_s'] / fast[100]['removed_s']:.0f} times faster")
    for n, bare in limit.items():
        print(
            f"linear,{n}: the kernel alone takes {bare['up_s'] / fast[n]['up_s']:.0%} of our time"
        )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
