"""Shared by routing experiments: configurations, where to capture, when routes are complete."""

from __future__ import annotations

import ipaddress
import json
import logging
import math
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.author.from_configs import FromConfigs, from_folder, networks
from testbed.core.claims import Verdict, all_of, holds
from testbed.core.errors import ConvergenceError
from testbed.core.rundir import ADDRESSES, read_json
from testbed.daemons.frr import folder as frr_folder
from testbed.daemons.frr import lint as frr_lint
from testbed.daemons.frr import own_addresses
from testbed.net.monitor import RTM_GETROUTE, RTM_NEWROUTE, route_row
from testbed.net.plan import Plan, make_plan

if TYPE_CHECKING:
    import pandas as pd

    from testbed.author.running_network import RunningNetwork
    from testbed.results.data import ScenarioData

FILE = "configs/{router}/frr.conf"
"""Where a router's configuration is in the scenario's folder."""

_log = logging.getLogger(__name__)

Generate = Callable[[Plan, str], str]
"""From the plan and a router's name to its configuration."""


def config_files(topo: Any, generate: Generate, folder: str = "") -> dict[str, str]:
    """Configurations of all routers as file → text: an experiment's `inputs`.

    Addresses that handwritten configurations give are the network's: their routers have no others.

    Args:
        topo: the topology; it gets these addresses.
        generate: makes one router's configuration.
        folder: contains ``<router>/frr.conf``; empty: all are generated.

    Raises:
        ConfigError: what FRR's checker or the topology contradicts in handwritten ones.
    """
    if not folder:
        plan = make_plan(topo)
        return {FILE.format(router=router): generate(plan, router) for router in plan.routers}
    routers = [name for name in topo.hosts() if topo.nodeInfo(name).get("isRouter")]
    written = frr_folder.load_folder(Path(folder), routers)
    texts = {router: config.text for router, config in written.items()}
    addresses = own_addresses.of_routers(texts)
    frr_lint.check(make_plan(own_addresses.give(topo, addresses)), written)
    for config in written.values():
        for line in config.left_out:
            _log.warning("%s", line)
    files = {FILE.format(router=router): text for router, text in texts.items()}
    if addresses:
        kept: dict[str, Any] = {"addresses": addresses, "networks": None}
        if isinstance(topo, FromConfigs):
            kept = {"addresses": topo.given, "networks": topo.ends}
        files[ADDRESSES] = json.dumps(kept, indent=1)
    return files


def topology_of(folder: Path, make: Callable[[], Any]) -> Any:
    """A scenario's topology with the addresses that its configurations give.

    Args:
        folder: the scenario's.
        make: makes the topology, if it is not made of the addresses (`from_configs`).
    """
    file = folder / ADDRESSES
    if not file.is_file():
        return make()
    kept = read_json(file)
    addresses, ends = kept["addresses"], kept["networks"]
    topo = make() if ends is None else FromConfigs(addresses=addresses, ends=ends)
    return own_addresses.give(topo, addresses)


def from_configs(folder: str) -> FromConfigs:
    """A topology made of the addresses that a folder of configurations gives.

    Raises:
        ConfigError: the configurations are bad, or give no addresses.
    """
    return from_folder(Path(folder))


def has_own_network(folder: str, topo: Any) -> bool:
    """Whether a folder's configurations are not of a topology, but describe another network.

    They do if they give addresses, and have other routers or link their interfaces in another way.

    Args:
        folder: contains a folder for each router; empty or missing: False.
        topo: the topology.
    """
    if not folder or not Path(folder).is_dir():
        return False
    files = frr_folder.routers_in(Path(folder))
    texts = {r: "\n".join(f.read_text(errors="replace") for f in own) for r, own in files.items()}
    if not own_addresses.of_routers(texts):
        return False
    plan = make_plan(topo)
    if set(texts) != set(plan.routers):
        return True
    addresses = {router: own_addresses.of_text(text) for router, text in texts.items()}
    theirs = networks(addresses, {router: set() for router in texts})
    ours = [[(p.node, p.name) for p in segment.ports] for segment in plan.segments]
    links = {frozenset(ends) for ends in theirs if len(ends) > 1}
    return not links <= {frozenset(e for e in ends if e[0] in texts) for ends in ours}


def configurations(folder: Path) -> dict[str, str]:
    """Router → its configuration, from a scenario's folder."""
    files = folder.glob(FILE.format(router="*"))
    return {file.parent.name: file.read_text(encoding="utf-8") for file in sorted(files)}


def capture_points(plan: Plan | None) -> list[str]:
    """One interface for each segment between routers: each packet there is captured once."""
    if plan is None:
        return []
    routers = set(plan.routers)
    names = Counter(port.name for ports in plan.ports.values() for port in ports)
    points = []
    for segment in plan.segments:
        ports = [port for port in segment.ports if port.node in routers]
        if len(ports) > 1:
            first = ports[0]
            points.append(first.name if names[first.name] == 1 else f"{first.node}-{first.name}")
    return points


@dataclass(frozen=True)
class Budget:
    """How long routers may take, and why.

    Attributes:
        name: of what must happen.
        time_s: in seconds of the run's clock.
        why: how the time is spent.
    """

    name: str
    time_s: float
    why: str


OSPF_FROM_NOTHING = Budget(
    "OSPF from nothing", 120.0, "40 s until a LAN elects, then flooding, once in 5 s, and paths"
)
"""How long OSPF may take to find its routes, and why."""

RIP_FROM_NOTHING = Budget(
    "RIP from nothing", 90.0, "answers to the first requests, or else two updates of 30 s and more"
)
"""How long RIP may take to find its routes, and why."""

CALM_S = 6.0
"""Tables unchanged for this long are final: changes wait at most 5 s (MinLSInterval, RFC 2328
appendix B; triggered updates, RFC 2453 §3.10.1)."""

_SHOWN = 4
"""Number of routers named in an error."""

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def wait_for_routes(
    net: RunningNetwork, budget: Budget, family: int = 4, *, every_s: float = 1.0
) -> None:
    """Waits until every router has a route to every prefix, and none changes any more.

    The route may be one that covers the prefix. `measure` determines how long it took, from the
    kernel's notifications; here it is known only `CALM_S` later.

    Args:
        net: the running network; its routes must be watched.
        budget: how long at most.
        family: 4 or 6.
        every_s: time between two readings of the kernel's tables.

    Raises:
        ConvergenceError: the budget is exceeded; says which routes are missing where.
    """
    plan = net.network.plan
    assert plan is not None
    prefixes = _prefixes(plan, family)
    unsure = list(plan.routers)

    def lacks(router: str) -> list[str]:
        return _uncovered(prefixes, _destinations(net, router, family))

    def settled() -> bool:
        """Reads one table at a time, as long as the same router lacks something."""
        if net.calm_s < CALM_S:
            return False
        while unsure and not lacks(unsure[-1]):
            unsure.pop()
        return not unsure and not any(map(lacks, plan.routers))

    def state() -> str:
        parts = [_words(router, missing) for router in plan.routers if (missing := lacks(router))]
        more = [f"so do {len(parts) - _SHOWN} more routers"] if len(parts) > _SHOWN else []
        return "; ".join(parts[:_SHOWN] + more) or f"all there, the last {net.calm_s:.1f} s ago"

    net.wait_until(
        f"routes of every router to every prefix ({budget.name}: {budget.why})",
        settled,
        budget.time_s,
        every_s=every_s,
        state=state,
    )


def settle(
    net: RunningNetwork, budget: Budget, family: int = 4, *, until_s: float = math.inf
) -> None:
    """Like `wait_for_routes`, but continues if the budget is missed: the messages show why.

    Args:
        net: the running network; its routes must be watched.
        budget: how long at most.
        family: 4 or 6.
        until_s: when the next step is due, in seconds since `run` began.
    """
    began_s = net.time_s
    left_s = max(0.0, min(budget.time_s, until_s - began_s))
    allowed = replace(budget, time_s=round(left_s, 3))
    state = ""
    try:
        wait_for_routes(net, allowed, family)
    except ConvergenceError as missed:
        state = missed.last_state
    net.event(
        "convergence",
        budget=allowed.name,
        why=allowed.why,
        budget_s=allowed.time_s,
        waited_s=round(net.time_s - began_s, 3),
        lacking=state,
    )


def waits(data: ScenarioData) -> pd.DataFrame:
    """Results of waiting for convergence: the events of `settle`, for `measure`."""
    return data.events("convergence")


def in_time(found: pd.DataFrame) -> Verdict:
    """PASS if no wait missed its budget; else shows what was still missing."""
    shown = found[["scenario", "waited_s", "budget_s", "lacking"]]
    verdict = all_of(*(_in_time(row) for row in found.to_dict("records")))
    return verdict.because("how long the routers took", shown)


def _in_time(wait: Mapping[Any, Any]) -> Verdict:
    ending = f"after {wait['waited_s']:.0f} s"
    return holds(
        not wait["lacking"],
        observed=f"{wait['scenario']}: {wait['lacking'] or 'all there'} {ending}",
        expected=f"every router has every prefix in {wait['budget_s']:g} s ({wait['why']})",
    )


def _prefixes(plan: Plan, family: int) -> list[str]:
    """Every prefix of a plan, loopbacks included."""
    ports = [port for segment in plan.segments for port in segment.ports]
    given = [address for port in ports for address in port.addresses]
    given += [address for loopback in plan.loopbacks.values() for address in loopback]
    return sorted({str(address.network) for address in given if address.version == family})


def _destinations(net: RunningNetwork, router: str, family: int) -> set[str]:
    """Destinations in a router's main table, its own networks included."""
    node = net.network[router]
    body = bytes([_FAMILIES[family]]) + bytes(11)
    rows = net.network.engine.ask(
        node.namespace,
        lambda s: [
            route_row(row, {}) for n, row in s.dump(RTM_GETROUTE, body) if n == RTM_NEWROUTE
        ],
    )
    assert net.network.plan is not None
    loopback = net.network.plan.loopbacks.get(router, ())
    own = [str(address.network) for address in loopback if address.version == family]
    return {*own, *(row["destination"] for row in rows if row)}


def _uncovered(prefixes: Iterable[str], destinations: set[str]) -> list[str]:
    """Prefixes that are neither a destination nor part of one."""
    missing = [prefix for prefix in prefixes if prefix not in destinations]
    wide = [ipaddress.ip_network(d) for d in destinations] if missing else []
    return [
        prefix
        for prefix in missing
        if not any(ipaddress.ip_network(prefix).subnet_of(w) for w in wide)  # type: ignore[arg-type]
    ]


def _words(router: str, missing: list[str]) -> str:
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"{router} lacks {missing[0]}{more}"
