"""A RIP network that idles: what bench/speed.py measures in addition to TCP flows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from testbed import Experiment, Tables, Verdict, claim, holds, param, routing
from testbed.daemons import frr
from testbed.daemons.frr import generate as frr_generate
from topologies.line import Line


class RipIdle(Experiment):
    """Routers in a row speak RIP to each other, and nothing happens."""

    @dataclass(frozen=True)
    class Parameters:
        """How many, for how long."""

        routers: int = param(10, "routers in the row", low=2, high=100)
        duration_s: float = param(3600.0, "how long", unit="s", low=1)

    params: Parameters
    programs = frr.PROGRAMS
    routing = None

    def topology(self) -> Line:
        """A line of routers."""
        return Line(routers=self.params.routers)

    def inputs(self) -> Mapping[str, str]:
        """The routers' configurations."""
        options = frr_generate.Rip()
        return routing.config_files(
            self.topo, lambda plan, router: frr_generate.rip(plan, router, options)
        )

    def run(self, net: Any) -> None:
        """Starts the daemons and waits."""
        frr.start(net, routing.configurations(net.path))
        net.sleep_until(self.params.duration_s)

    def measure(self, data: Any) -> dict[str, Any]:
        """Nothing: the wall clock is what counts."""
        return {}

    @claim("The network ran to its end.", source="bench/speed.py")
    def ended(self, tables: Tables) -> Verdict:
        """A run that did not would have raised."""
        return holds(True, observed="it did", expected="it does")
