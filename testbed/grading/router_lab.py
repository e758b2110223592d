"""Base of labs in which students configure routers: addresses and start-up.

LANs with one host each and cables between routers, all IPv4; the router has the first address of a
LAN, the host the eleventh; a cable's two ends have the first two of its /30.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, ClassVar

from testbed.daemons import frr
from testbed.grading.assignment import Assignment

if TYPE_CHECKING:
    from testbed.author.running_network import RunningNetwork
    from testbed.daemons.base import Running
    from testbed.results.data import ScenarioData

_HOST = 11


class RoutersLab(Assignment):
    """Base of the RIP and OSPF labs.

    Attributes:
        routers: their names; the file ``<router>.conf`` is handed in for each.
        lans: number of a LAN → its router's interface; host ``h<number>`` is in it.
        cables: name → the interfaces at its two ends.
    """

    routing = None
    programs = frr.PROGRAMS
    routers: ClassVar[tuple[str, ...]]
    lans: ClassVar[Mapping[int, str]]
    cables: ClassVar[Mapping[str, tuple[str, str]]]

    @abstractmethod
    def lan(self, number: int) -> str:
        """The prefix of a LAN, a /24 or longer."""

    @abstractmethod
    def link(self, name: str) -> str:
        """The prefix of a cable, a /30."""

    def host(self, number: int) -> str:
        """The address of the host in a LAN."""
        return str(IPv4Network(self.lan(number))[_HOST])

    def addresses(self) -> dict[str, str]:
        """Interface → address with prefix length."""
        found = {}
        for number, interface in self.lans.items():
            net = IPv4Network(self.lan(number))
            found[interface] = f"{net[1]}/{net.prefixlen}"
            found[f"h{number}-eth0"] = f"{net[_HOST]}/{net.prefixlen}"
        for name, ends in self.cables.items():
            net = IPv4Network(self.link(name))
            found |= {end: f"{net[i]}/{net.prefixlen}" for i, end in enumerate(ends, 1)}
        return found

    def start_routers(self, net: RunningNetwork, filter: str) -> dict[tuple[str, str], Running]:
        """Records routes, and packets on every cable and in every LAN; starts the routers."""
        net.watch("routes")
        points = [ends[0] for ends in self.cables.values()]
        net.capture(*points, *(f"h{number}-eth0" for number in self.lans), filter=filter)
        configs = {router: f"{router}.conf" for router in self.routers}
        return self.submission.start_frr(net, configs)

    def network(self, data: ScenarioData) -> Any:
        """Who has which address (`analysis.routes.Network`)."""
        from analysis import routes

        rows = [row for row in data.network["addresses"] if row["interface"] != "lo"]
        return routes.network(rows, data.topology)
