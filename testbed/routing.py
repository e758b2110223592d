"""What routing experiments share: whose configurations, and where to listen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from testbed.frr import config as frr_config
from testbed.frr import lint as frr_lint
from testbed.net.plan import Plan, make_plan

FILE = "configs/{router}/frr.conf"
"""Where a router's configuration is in the scenario's folder."""

Generate = Callable[[Plan, str], str]
"""From the plan and a router's name to its configuration."""


def config_files(topo: Any, generate: Generate, folder: str = "") -> dict[str, str]:
    """Configurations of all routers as file → text: an experiment's `inputs`.

    Args:
        topo: the topology.
        generate: makes one router's configuration.
        folder: holds ``<router>/frr.conf``; empty: all are made.

    Raises:
        ConfigError: what FRR's checker or the topology contradicts in handwritten ones.
    """
    plan = make_plan(topo)
    if folder:
        found = frr_config.load_folder(Path(folder), plan.routers)
        frr_lint.check(plan, found, folder)
    else:
        found = {router: generate(plan, router) for router in plan.routers}
    return {FILE.format(router=router): text for router, text in found.items()}


def configurations(folder: Path) -> dict[str, str]:
    """Router → its configuration, from a scenario's folder."""
    files = folder.glob(FILE.format(router="*"))
    return {file.parent.name: file.read_text(encoding="utf-8") for file in sorted(files)}


def capture_points(plan: Plan | None) -> list[str]:
    """One interface for each segment that joins routers: what passes there is seen once."""
    if plan is None:
        return []
    routers = set(plan.routers)
    points = []
    for segment in plan.segments:
        ports = [port.name for port in segment.ports if port.node in routers]
        if len(ports) > 1:
            points.append(ports[0])
    return points
