"""Steps on the senders of SYNs: who answers, whom a network lets out, whom a rule can name."""

from __future__ import annotations

from ipaddress import IPv4Network

from testbed import Action, crafted, filter_packets, unfilter

from .cure_steps import CureSteps
from .flooding import ATTACKER, BYSTANDER, OWN_PREFIX, ROUTER, Flood, own_addresses
from .queue_steps import GAP_S, MANY

GATE = "net.ipv4.conf.r1-eth2.rp_filter"
"""Of the router, towards the attacker: lets in only what it would send back there."""

LOOK_S = 0.05

PORTS = {"live": 8031, "filtered": 8032, "own-prefix": 8033, "blocked": 8034}
SENT = "tcp dst portrange 8032-8034"
"""What is captured at the attacker: SYNs that may not come."""


class SourceSteps(CureSteps):
    """Senders of SYNs."""

    def source_steps(self) -> dict[str, Action]:
        """Steps by name."""
        return {
            "live": lambda _: self._live(),
            "filtered": lambda _: self._filtered(),
            "own-prefix": lambda _: self._own_prefix("own-prefix"),
            "blocked": lambda _: self._blocked(),
        }

    def _live(self) -> None:
        """The sender's address is that of a host that exists, and that did not ask."""
        self.settings()
        port = PORTS["live"]
        server = self.listen(port)
        if "mute" in self.faults:
            filter_packets(BYSTANDER, "input", f"tcp sport {port} drop")(self.net)
        sources = IPv4Network(self.net.address(BYSTANDER))
        looks: list[crafted.Timed] = [
            (n * LOOK_S, lambda: self.queue(port)) for n in range(int(MANY * GAP_S / LOOK_S))
        ]
        self.flood(Flood(port, MANY, GAP_S, sources), *looks)
        self.visit(port, server)
        server.close()

    def _flooded_visit(self, name: str, sources: IPv4Network) -> None:
        """A flood from some addresses, and a client right behind it."""
        self.settings()
        server = self.listen(PORTS[name])
        self.flood(Flood(PORTS[name], MANY, GAP_S, sources))
        self.queue(PORTS[name])
        self.visit(PORTS[name], server)
        server.close()

    def _filtered(self) -> None:
        """The first router lets in only addresses of the attacker's network."""
        if "no-filter" not in self.faults:
            self.net.sysctl(ROUTER, GATE, 1)
        self._flooded_visit("filtered", self.sources())

    def _own_prefix(self, name: str) -> None:
        """The same filter, and addresses that are not somebody else's."""
        with own_addresses(self.net) as addresses:
            filter_packets(ATTACKER, "input", f"ip daddr {addresses} drop")(self.net)
            self._flooded_visit(name, addresses)
            unfilter(ATTACKER)(self.net)

    def _blocked(self) -> None:
        """One rule for that network, as its addresses are true ones."""
        rule = f"ip saddr {OWN_PREFIX} drop"
        if "no-filter" not in self.faults:
            filter_packets(ROUTER, "forward", rule)(self.net)
        self._own_prefix("blocked")
        self.net.sysctl(ROUTER, GATE, 0)
