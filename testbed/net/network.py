"""`Network`: Mininet's `Mininet`, built in one step over netlink, removed when the block ends."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any

from testbed.core.errors import ConfigError, nearest
from testbed.net import control, inspect, measure, options, rtnl, static_routes, tclink
from testbed.net.adoption import controller_class, host_class, link_class, switch_class
from testbed.net.check import (
    check_interface_name,
    check_topology,
    default_learns,
    loop_without_stp,
    loop_words,
)
from testbed.net.given import V6, parse_address
from testbed.net.link import Intf, Link
from testbed.net.mininet_api import net as mininet_net
from testbed.net.mininet_api import node as mininet_node
from testbed.net.nat import NAT
from testbed.net.node import Host, NodeMixin, building, network_engine
from testbed.net.plan import IPV6_MTU_MIN_BYTES, Plan, Port, mac_of, make_plan
from testbed.net.shape import LinkShape
from testbed.net.switch import Switch

ROUTINGS = ("static", None)

_LINKS_OWN = ("key", "node1", "node2", "seed", "whole", "fast")
"""Options that callers of `addLink` pass on, and that users do not write."""

AddressRow = dict[str, str | None]
"""``node``, ``interface``, ``peer`` (the other end's interface), ``ipv4`` and ``ipv6`` with prefix
length, ``mac``; None where there is none."""


class Network(mininet_net.Mininet):  # type: ignore[misc]
    """A running network made from a topology.

        with Network(topo) as net:
            net["h1"].cmd("ping -c1", net["h2"].IP())

    Attributes:
        plan: names, MACs, segments and addresses; None without a topology.
        engine: the kernel side.
        seed: of all randomness in the network itself (losses on wires, ...).
    """

    def __init__(
        self,
        topo: Any = None,
        switch: Any = Switch,
        host: Any = Host,
        controller: Any = None,
        link: Any = Link,
        intf: Any = Intf,
        *,
        routing: str | None = "static",
        seed: int = 0,
        whole_packets: bool | None = None,
        build: bool = True,
        **options: Any,
    ) -> None:
        """Plan the network; it is built here if `build` (as Mininet does), else on entering.

        Args:
            topo: a Mininet `Topo` with routers and shapes, or any other.
            switch: default class of switches; a class of Mininet's is adopted.
            host: the same for hosts.
            controller: as Mininet's; none by default.
            link: class of links.
            intf: class of interfaces.
            routing: ``static``: shortest paths are installed in routers; None: routers know only
                their own networks.
            seed: of the network's own random choices.
            whole_packets: disable segmentation offload on plain links too, so that no capture shows
                a packet larger than the MTU; None: where any link is shaped.
            build: build now.
            options: as Mininet's (``ipBase``, ``autoSetMacs``, ``autoStaticArp``, ...).

        Raises:
            ConfigError: the topology cannot be built.
        """
        if routing not in ROUTINGS:
            raise ConfigError(
                f"routing: {routing!r} is unknown; allowed: 'static', None"
                f"{nearest(str(routing), ['static'])}"
            )
        self.routing, self.seed, self.whole_packets = routing, seed, whole_packets
        self.engine = network_engine()
        self.plan: Plan | None = None
        self._is_started = False
        self._planned_ports: dict[tuple[str, str], Port] = {}
        try:
            super().__init__(
                topo=topo,
                switch=switch_class(switch),
                host=host_class(host, {}),
                controller=controller,
                link=link_class(link),
                intf=intf,
                build=build,
                **options,
            )
        except BaseException:
            self.engine.close()
            raise

    @classmethod
    def init(cls) -> None:
        """Raise the limit on open files; nothing else on the machine is needed."""
        inspect.raise_file_limit()

    def __enter__(self) -> Network:
        try:
            with self.engine.batch():
                self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # Building.

    def buildFromTopo(self, topo: Any = None) -> None:
        """Check and plan the topology, then let Mininet create its nodes and links."""
        shaped = check_topology(topo)
        self.tell_loop(topo)
        if self.whole_packets is None:
            self.whole_packets = shaped
        self.plan = make_plan(topo)
        for ports in self.plan.ports.values():
            for port in ports:
                self._planned_ports[port.node, port.name] = port
        super().buildFromTopo(topo)

    def tell_loop(self, topo: Any) -> None:
        """Refuse switches in a loop without spanning tree, if they forward by themselves.

        Raises:
            ConfigError: names them.
        """
        if self.switch is Switch and (loop := loop_without_stp(topo, default_learns(topo))):
            raise ConfigError(loop_words(loop))

    def build(self) -> None:
        """Build everything in one batch."""
        with self.engine.batch():
            super().build()

    def start(self) -> None:
        """Start switches and controllers."""
        with self.engine.batch():
            super().start()
        self._is_started = True

    def addHost(self, name: str, cls: Any = None, **params: Any) -> Any:
        """Add a host, or a router if ``isRouter=True``."""
        self._refuse_duplicate(name)
        if cls is None:
            options.check(f"host {name}", params, options.HOST)
        if self.plan and (self.plan.routers or self._given_ip(name) or self._steps_back(name)):
            params.setdefault("ip", self._given_ip(name) or self._planned_ip(name))
        with building(self.engine):
            return super().addHost(name, cls=host_class(cls, params), **params)

    def _planned_ip(self, node: str) -> str | None:
        first = self.plan.first_port(node) if self.plan else None
        return str(first.ipv4) if first and first.ipv4 else None

    def _given_ip(self, node: str) -> str | None:
        """The address that the topology gives the node's first interface."""
        first = self.plan.first_port(node) if self.plan else None
        given = first.given.ipv4 if first else None
        return str(parse_address(given, first.name)) if first and given else None

    def _steps_back(self, node: str) -> bool:
        """Whether a node's first interface has exactly the addresses that its topology gives."""
        first = self.plan.first_port(node) if self.plan else None
        return first is not None and not first.given.planned

    def addSwitch(self, name: str, cls: Any = None, **params: Any) -> Any:
        """Add a switch."""
        self._refuse_duplicate(name)
        if cls is None:
            options.check(f"switch {name}", params, options.SWITCH)
        with building(self.engine):
            return super().addSwitch(name, cls=switch_class(cls), **params)

    def addController(self, name: Any = "c0", controller: Any = None, **params: Any) -> Any:
        """Add a controller; it runs with the switches, or (`RemoteController`) on the machine."""
        with building(self.engine):
            if isinstance(name, mininet_node.Controller):
                made = name
            else:
                made = controller_class(controller or self.controller)(name, **params)
            if isinstance(made, mininet_node.RemoteController) and not isinstance(made, NodeMixin):
                made.terminate()
                made = control.RemoteController(made.name, ip=made.ip, port=made.port)
            return super().addController(made) if made else None

    def addNAT(
        self, name: str = "nat0", connect: Any = True, inNamespace: bool = True, **params: Any
    ) -> Any:
        """Add a NAT router as everybody's gateway; it does not lead out of the network."""
        nat = self.addHost(name, cls=NAT, inNamespace=True, subnet=self.ipBase, **params)
        if connect:
            near = connect if isinstance(connect, mininet_node.Node) else self.switches[0]
            self.addLink(nat, near)
            gateway = nat.params["ip"].split("/")[0]
            for host in self.hosts:
                if host is not nat:
                    host.setDefaultRoute(f"via {gateway}")
        return nat

    def _refuse_duplicate(self, name: str) -> None:
        if name in self.nameToNode:
            raise ConfigError(f"node {name}: two nodes have this name; rename one")

    def addLink(
        self,
        node1: Any,
        node2: Any,
        port1: int | None = None,
        port2: int | None = None,
        cls: Any = None,
        **params: Any,
    ) -> Any:
        """Add a link; MAC addresses follow the plan, never random."""
        where = f"link {node1} {node2}"
        options.check(where, params, (*options.LINK, *tclink.WITHOUT_EFFECT, *_LINKS_OWN))
        for port in (port1, port2):
            if port is not None:
                tclink.check_port(port, where)
        for side in (1, 2):
            if name := params.get(f"intfName{side}"):
                check_interface_name(name, where)
        number = len(self.links)
        params.setdefault("addr1", mac_of(number, 1))
        params.setdefault("addr2", mac_of(number, 2))
        link = super().addLink(
            node1,
            node2,
            port1,
            port2,
            link_class(cls),
            seed=self.seed,
            whole=bool(self.whole_packets),
            **params,
        )
        for intf in (link.intf1, link.intf2):
            self._address(intf)
            if self._is_started and hasattr(intf.node, "attach"):
                intf.node.attach(intf)
        return link

    def _address(self, intf: Any) -> None:
        """Give a new interface its planned addresses."""
        port = self._planned_ports.get((intf.node.name, intf.name))
        for address in (port.ipv4, port.ipv6) if port else ():
            if address:
                intf.setIP(str(address))
        if port and port.more:
            intf.add_addresses(port.more)

    def configHosts(self) -> None:
        """Configure hosts as Mininet does, then what the plan adds: IPv6, loopbacks, routes."""
        super().configHosts()
        if self.plan is None or self.plan.routers:
            self._configure_routed()
        for host in self.hosts:
            self._number_ipv6(host)

    def _number_ipv6(self, host: Any) -> None:
        """In a network without routers: fd00::N for the host that Mininet numbers N."""
        intf = host.defaultIntf() if host.intfs else None
        if self._planned_routers or intf is None or not intf.IP() or getattr(intf, "ipv6", None):
            return
        if self._steps_back(host.name):
            return
        if not host.inNamespace:  # among controllers, which use IPv4
            return
        if intf.end and intf.end.shape.mtu_bytes < IPV6_MTU_MIN_BYTES:
            return
        address = intf._ipv4
        number = int(address.ip) & int(address.network.hostmask)
        intf.setIP(str(V6((int(V6("fd00::/64").ip) + number, 64))))

    @property
    def _planned_routers(self) -> list[str]:
        return self.plan.routers if self.plan else []

    def _configure_routed(self) -> None:
        if self.plan is None:
            return
        for router, addresses in self.plan.loopbacks.items():
            messages = [rtnl.add_address(rtnl.LOOPBACK_INDEX, a, router) for a in addresses]
            self.engine.request(self[router].namespace, *messages)
        wanted = static_routes.default_routes(self.plan)
        if self.routing == "static":
            wanted += static_routes.static_routes(self.plan, self._delay_ms)
        for route in wanted:
            node = self[route.node]
            if route.destination.prefixlen or "defaultRoute" not in node.params:
                node.add_route(route.destination, route.via, route.out)

    def _delay_ms(self, link: int, side: int) -> float:
        end = getattr(self.links[link], f"intf{side}").end
        return float(end.shape.delay_ms)

    # Ending.

    def stop(self) -> None:
        """End every program and remove everything, whatever state the network is in."""
        try:
            for node in self.values():
                if getattr(type(node), "adopted", False) and not self.engine.rooms.closed:
                    node.terminate()  # a class written for Mininet may have its own clean-up
        finally:
            for node in self.values():
                if isinstance(node, NodeMixin):
                    node._terminated = True
            self.engine.close()

    # Looking and changing.

    def iperf(self, *args: Any, **kwargs: Any) -> list[str]:
        """Mininet's iperf test; see `testbed.net.measure.iperf`."""
        return measure.iperf(self, *args, **kwargs)

    @property
    def addresses(self) -> list[AddressRow]:
        """Every interface of hosts and routers with its addresses; loopbacks last of each node."""
        rows = []
        for host in self.hosts:
            rows += [inspect.address_row(intf) for intf in host.intfList()]
            if self.plan:
                rows += inspect.further_rows(self.plan, host.name)
        return rows

    def interface(self, name: str) -> Intf:
        """An interface by its name, e.g. ``r1-eth0``.

        Raises:
            ConfigError: there is no interface of this name.
        """
        found = [n for n in self.values() if name in n.nameToIntf and name != "lo"]
        for node in self.values():
            if name.startswith(f"{node.name}-") and name[len(node.name) + 1 :] in node.nameToIntf:
                found.append(node)
        own = [n.name for n in found if name in n.nameToIntf]
        if len(own) > 1:
            raise ConfigError(
                f"interface '{name}': {', '.join(own)} have one; write '{own[0]}-{name}'"
            )
        for node in found:
            return node.nameToIntf.get(name) or node.nameToIntf[name.removeprefix(f"{node.name}-")]  # type: ignore[no-any-return]
        names = [n for node in self.values() for n in node.nameToIntf if n != "lo"]
        raise ConfigError(f"interface '{name}': not in this network{nearest(name, names)}")

    def shape(self, interface: str) -> LinkShape:
        """What happens to packets that an interface sends."""
        end = self.interface(interface).end
        return end.shape if end else LinkShape()

    def reshape(self, interface: str, shape: LinkShape) -> None:
        """Change what happens to packets that an interface sends; not to packets in flight."""
        intf = self.interface(interface)
        if intf.link is None:
            raise ConfigError(f"interface '{interface}': is not attached to a link")
        intf.link.reshape(intf, shape)

    def qdiscs(self) -> list[inspect.QdiscRow]:
        """The queue disciplines in the kernel, including those of the wires."""
        return inspect.qdiscs(self)

    def sysctls(self, names: Iterable[str] = inspect.RECORDED_SYSCTLS) -> dict[str, Any]:
        """Sysctls in the kernel: node → name → value."""
        return inspect.sysctls(self, names)

    def sysctl(self, node: str, name: str, value: str | int) -> None:
        """Set a sysctl in a node, e.g. ``net.ipv4.tcp_ecn``."""
        inspect.set_sysctl(self, node, name, str(value))
