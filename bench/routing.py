"""What OSPF costs in grids of up to 100 routers.

Wall times with warm caches and nothing else on the machine; the load and the CPU time consumed are
printed as well, so that a disturbed measurement shows. As root also on the host's kernel, and with
stock Mininet, which starts the same daemons as labs do: one after another, by each node's shell.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from testbed.daemons.frr import config as frr_config
from testbed.daemons.frr import generate as frr_generate
from testbed.execution.runner import Request, run
from testbed.net.plan import make_plan
from topologies.grid import Grid

GRID = str(Path(__file__).with_name("ospf_grid.py"))
FRR = "/usr/lib/frr"
LIMIT_S = 300.0


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall seconds, CPU seconds of all children, and the result."""
    began_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    result = work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began_s, cpu_s, result


def grid(side: int, runtime: str, out: Path) -> dict[str, Any]:
    """Our grid: wall time of the network, memory per router; time to the last change of a route."""
    request = Request(GRID, {"side": side}, runtime=runtime, out=out)
    _, cpu_s, result = timed(lambda: run(request))
    events = (result.run.scenario("main") / "events.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in events]
    memory = [row["available_kb"] for row in rows if row["event"] == "memory"]
    found = pd.read_parquet(result.run.tables / "result.parquet")
    return {
        "wall_s": result.run.meta()["scenarios"]["main"]["wall_s"],
        "cpu_s": cpu_s,
        "network_s": found["converged_s"].iloc[0],
        # on the host's kernel others' memory comes and goes as well
        "mb": (memory[0] - memory[-1]) / 1024 / side**2 if runtime == "guest" else float("nan"),
    }


def stock(side: int) -> dict[str, Any]:
    """Stock Mininet on the same grid, the same configurations, daemons as usual."""
    from mininet.net import Mininet  # not before: it replaces the logger class
    from mininet.node import Node

    class Router(Node):  # type: ignore[misc]
        def config(self, **params: Any) -> Any:
            result = super().config(**params)
            self.cmd("sysctl -w net.ipv4.ip_forward=1")
            return result

    topo = Grid(side=side)
    plan = make_plan(topo)
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        net = Mininet(topo=topo, host=Router, controller=None)
        try:
            for node, ports in plan.ports.items():
                for port in ports:
                    net[node].intf(port.name).setIP(str(port.ipv4))
            for router, loopback in plan.loopbacks.items():
                net[router].cmd(f"ip address add {loopback[0]} dev lo")
                text = frr_generate.ospf(plan, router, frr_generate.Ospf())
                place = Path(folder) / router
                place.mkdir()
                os.chown(place, *_frr_user())
                for daemon, part in frr_config.split(text).items():
                    (place / f"{daemon}.conf").write_text(part)
                    net[router].cmd(
                        f"{FRR}/{daemon} -d -f {place}/{daemon}.conf --vty_socket {place} "
                        f"-z {place}/zserv.api -i {place}/{daemon}.pid -P 0"
                    )
            prefixes = len([s for s in plan.segments if s.ports]) + len(plan.routers)
            for router in plan.routers:
                wanted = prefixes - len(plan.ports[router]) - 1
                while int(net[router].cmd("ip -4 route show proto ospf | wc -l")) < wanted:
                    if time.perf_counter() - began_s > LIMIT_S:
                        sys.exit(f"stock Mininet: {router} has not all routes in {LIMIT_S:g} s")
                    time.sleep(0.2)
            wall_s = time.perf_counter() - began_s
        finally:
            for file in Path(folder).glob("*/*.pid"):
                os.kill(int(file.read_text()), signal.SIGKILL)
            net.stop()
    return {"wall_s": wall_s, "cpu_s": float("nan"), "network_s": wall_s, "mb": float("nan")}


def _frr_user() -> tuple[int, int]:
    import grp
    import pwd

    return pwd.getpwnam("frr").pw_uid, grp.getgrnam("frr").gr_gid


def show(name: str, row: dict[str, Any]) -> None:
    print(
        f"{name:44} {row['wall_s']:7.1f} {row['cpu_s']:7.1f} {row['network_s']:9.1f} "
        f"{row['mb']:8.1f}   {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="*", default=[3, 5, 7, 10])
    parser.add_argument("--no-host", action="store_true")
    given = parser.parse_args()
    print(f"{'':44} {'wall s':>7} {'CPU s':>7} {'network s':>9} {'MB/router':>8}   load")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for side in given.sides:
            routers = f"OSPF grid, {side * side} routers"
            show(f"{routers}: guest", grid(side, "guest", out))
            if os.geteuid() == 0 and not given.no_host:
                show(f"{routers}: host", grid(side, "host", out))
                show(f"{routers}: stock Mininet", stock(side))


if __name__ == "__main__":
    main()
