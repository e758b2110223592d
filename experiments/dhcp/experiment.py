"""DHCP: how a host gets its address, keeps it, loses it, and whom it believes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analysis import summaries
from testbed import (
    Action,
    LinkShape,
    Tables,
    Verdict,
    address,
    all_of,
    claim,
    filter_packets,
    in_order,
    mac,
    nothing,
    param,
    pick,
    program,
    same,
    wait,
    when,
)
from testbed import steps as exchange
from testbed.daemons import start
from testbed.daemons.dhcpcd import Dhcpcd, interface, lease_file, resolv_conf
from testbed.daemons.dnsmasq import Dnsmasq
from topologies.office import Office

from .leases import Leases
from .servers import Servers

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData
    from testbed.daemons import Running

NAME = "www.example.org"
ROGUE_PORT = "s1-eth4"
"""Where d2 is plugged in."""

SERVER_DELAY_MS = 20.0
"""The honest server is farther away than the rogue: the first offer wins."""

FAULTS = tuple(
    (
        "none no-server no-options no-arp no-link-local large-pool no-release "
        "one-server no-relay no-rogue no-guard"
    ).split()
)


class Dhcp(Servers, Leases):
    """DHCP, from the first broadcast to the rogue server.

    h1 gets an address from d1, reaches a host by its name and renews its lease. With h2 the pool
    is empty: a third client helps itself to a link-local address. h2 releases; d1 goes silent, so
    h1 rebinds to d2; d2 goes silent too, so h1's lease runs out. Then the address d1 offers is in
    use already; the network is renumbered; two servers offer; a client behind the router is served
    by a relay; and a rogue server makes itself the gateway, until the switch lets servers speak at
    one port only.

    Server and relay are dnsmasq, clients dhcpcd. `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        lease_s: int = param(
            120, "lease time (dnsmasq's minimum is 120)", unit="s", low=120, high=86_400
        )
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("dnsmasq", "dhcpcd", "ping", "ip", "nft", "unshare")

    # ---- in the network

    def topology(self) -> Office:
        """Two LANs; d1 a little farther away than all others."""
        return Office(server=LinkShape(delay_ms=SERVER_DELAY_MS / 2))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another; clients and servers live across steps."""
        self._running: dict[tuple[str, str], Running] = {}
        net.capture("h1-eth0", "h2-eth0", "h3-eth0", "d1-eth0", "d2-eth0")
        for node in ("h1", "h2", "h3"):
            net.exec(node, "ip", "-4", "addr", "flush", "dev", interface(node))
        exchange.play(net, self._steps(net), quiet_s=1.0)

    def _steps(self, net: RunningNetwork) -> dict[str, Action]:
        lan = net.address("d1").rsplit(".", 1)[0]
        pool = f"{lan}.160,{lan}.165"
        return {
            **self._lease_steps(lan, net.address("d2")),
            **self._conflict_steps(lan, pool, str(net.network.interface("h1-eth0").MAC())),
            **self._relay_steps(lan, pool, net),
            **self._rogue_steps(lan, net),
        }

    def _lease_steps(self, lan: str, d2_address: str) -> dict[str, Action]:
        """A lease from its beginning to its end."""
        p, faults = self.params, self.params.faults
        pool = f"{lan}.100,{lan}.{120 if 'large-pool' in faults else 101}"
        own = f"{d2_address}/24"
        second = self._serve("d2", lan, pool, "dhcp-authoritative")
        return {
            "acquire": in_order(self._serve("d1", lan, pool), self._join("h1", 15)),
            "name": _by_name("h1"),
            "renew": wait(p.lease_s * 0.55),
            "exhausted": in_order(
                self._join("h2", 15),
                program("d2", "ip", "-4", "addr", "flush", "dev", "d2-eth0"),
                self._join("d2", 40),
                self._leave("d2"),
                program("d2", "ip", "addr", "replace", own, "dev", "d2-eth0"),
            ),
            "release": in_order(
                when(
                    "no-release" in faults,
                    self._leave("h2"),
                    program("h2", "dhcpcd", "--release", "h2-eth0"),
                ),
                wait(5),
            ),
            "rebind": in_order(
                self._stop("d1"),
                when("one-server" not in faults, second),
                wait(p.lease_s * 1.5),
            ),
            "expire": in_order(
                self._stop("d2"),
                wait(p.lease_s * 1.1 + 10),
                program("h1", "ip", "-4", "-o", "addr", "show", "dev", "h1-eth0", log="expired"),
            ),
        }

    def _conflict_steps(self, lan: str, pool: str, h1_mac: str) -> dict[str, Action]:
        """An address that is taken, one that is refused, and two servers that offer."""
        taken, spare = f"{lan}.150", f"{lan}.151"
        offers = self._serve("d2", lan, f"{lan}.170,{lan}.175")
        return {
            "decline": in_order(
                program("d2", "ip", "addr", "add", f"{taken}/24", "dev", "d2-eth0"),
                self._serve("d1", lan, f"{spare},{spare}", f"dhcp-host={h1_mac},{taken}"),
                wait(100),
                program("d2", "ip", "addr", "del", f"{taken}/24", "dev", "d2-eth0"),
            ),
            "refuse": in_order(
                self._leave("h1"),
                self._stop("d1"),
                self._serve("d1", lan, pool, "dhcp-authoritative"),
                self._join("h1", 20),
            ),
            "two-servers": in_order(
                when("one-server" not in self.params.faults, offers),
                _forget("h2"),
                self._join("h2", 20),
                self._leave("h2"),
            ),
        }

    def _relay_steps(self, lan: str, pool: str, net: RunningNetwork) -> dict[str, Action]:
        """A client on another LAN than the server."""
        far = str(net.network.interface("r1-eth1").IP()).rsplit(".", 1)[0]
        far_pool = f"dhcp-range={far}.100,{far}.110,255.255.255.0,{self.params.lease_s}"
        relay = Dnsmasq(("port=0", f"dhcp-relay={far}.1,{net.address('d1')}"))
        return {
            "relay": in_order(
                self._stop("d1"),
                self._stop("d2"),
                self._serve("d1", lan, pool, far_pool),
                when("no-relay" not in self.params.faults, self._start("r1", relay)),
                self._join("h3", 20),
            ),
        }

    def _rogue_steps(self, lan: str, net: RunningNetwork) -> dict[str, Action]:
        """A rogue server, and a switch that lets no server speak at its port."""
        faults = self.params.faults
        serves = self._serve("d2", lan, f"{lan}.170,{lan}.175", router=net.address("d2"))
        rule = f'iifname "{ROGUE_PORT}" udp sport 67 drop'
        visit = in_order(
            _forget("h2"), self._join("h2", 20), _ping("h2", net.address("w1")), self._leave("h2")
        )
        return {
            "rogue": in_order(
                program("d2", "sysctl", "-q", "net.ipv4.ip_forward=1"),
                when("no-rogue" not in faults, serves),
                visit,
            ),
            "guard": in_order(
                when("no-guard" not in faults, filter_packets("s1", "forward", rule, "bridge")),
                when("no-rogue" in faults, serves),
                visit,
            ),
        }

    def _serve(self, node: str, lan: str, pool: str, *options: str, router: str = "") -> Action:
        """Starts a server."""
        if "no-server" in self.params.faults:
            return nothing

        def act(net: RunningNetwork) -> None:
            gateway = router or f"{lan}.1"
            given = (f"dhcp-option=3,{gateway}", f"dhcp-option=6,{net.address(node)}")
            if "no-options" in self.params.faults:
                given = ("dhcp-option=3", "dhcp-option=6")
            place = (f"dhcp-range={pool},255.255.255.0,{self.params.lease_s}", "no-ping")
            host = f"address=/{NAME}/{net.address('w1')}"
            self._start(node, Dnsmasq((*place, *given, host, *options)))(net)

        return act

    def _join(self, node: str, wait_s: float) -> Action:
        """Starts a client and gives it time."""
        faults = self.params.faults
        lines = [
            line
            for fault, line in (("no-arp", "noarp"), ("no-link-local", "noipv4ll"))
            if fault in faults
        ]
        return in_order(self._start(node, Dhcpcd(lines)), wait(wait_s))

    def _start(self, node: str, daemon: Dnsmasq | Dhcpcd) -> Action:
        def act(net: RunningNetwork) -> None:
            self._running |= start(net, {node: [daemon]})

        return act

    def _stop(self, node: str) -> Action:
        """Ends the server of a node, if it has one."""

        def act(net: RunningNetwork) -> None:
            found = self._running.pop((node, "dnsmasq"), None)
            if found:
                found.process.stop()

        return act

    def _leave(self, node: str) -> Action:
        """Ends the client of a node, which says nothing to the server."""

        def act(net: RunningNetwork) -> None:
            self._running.pop((node, "dhcpcd")).process.stop()

        return act

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and DHCP messages by step."""
        tables = exchange.measure(data, ("payload",), {"dhcp": summaries.dhcp})
        told = pd.DataFrame([{"expired": data.log("expired")}])
        return tables | {"told": told}

    # ---- claims

    @claim(
        "DHCP believes whoever offers first: a rogue server makes itself the gateway and sees the "
        "client's traffic.",
        source="RFC 2131 §7",
        bears_stall_s=0.002,
    )
    def rogue_server_becomes_the_gateway(self, tables: Tables) -> Verdict:
        """d2 is nearer than d1; h2 then pings w1."""
        return self._gateway(tables, "rogue", "d2")

    @claim(
        "A switch that lets DHCP servers speak at trusted ports only stops the rogue.",
        source="RFC 7513 (snooping); RFC 7610 for IPv6",
    )
    def guarded_switch_stops_the_rogue(self, tables: Tables) -> Verdict:
        """The same with a filter at d2's port."""
        return self._gateway(tables, "guard", "d1")

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str]:
        """Ladders of the exchanges, each as the client saw it.

        Figures:
            1_acquire: DISCOVER, OFFER, REQUEST, ACK; then h1 asks by ARP whether anybody has the
                address, and only then announces it.
            2_rebind: The server d1 is silent. From half of the lease on h1 asks it alone, at
                growing gaps; at seven eighths it asks everybody, and d2 answers.
            3_expire: No server answers at all: h1 asks its own, then everybody; when the lease is
                over it has no address and begins with DISCOVER.
            4_decline: The address offered is in use already: h1 finds out by ARP, declines it, and
                gets another.
            5_refuse: The network was renumbered: the server refuses the address h1 had (NAK), and
                h1 starts again.
            6_two_servers: Two servers: the client takes the first offer, and says so in a REQUEST
                to everybody, from which the other server learns that it lost.
            7_relay: A client on another LAN, as the server sees it: the relay's address in each
                message tells it which pool to take.
            8_rogue: The rogue server d2 is nearer than the honest d1: its offer comes first, and h2
                takes it.
        """
        shown = {
            "1_acquire": ("acquire", "h1-eth0"),
            "2_rebind": ("rebind", "h1-eth0"),
            "3_expire": ("expire", "h1-eth0"),
            "4_decline": ("decline", "h1-eth0"),
            "5_refuse": ("refuse", "h1-eth0"),
            "6_two_servers": ("two-servers", "h2-eth0"),
            "7_relay": ("relay", "d1-eth0"),
            "8_rogue": ("rogue", "h2-eth0"),
        }
        return {
            name: exchange.ladder(
                tables, step_name, capture, ip_version=4, protocol={"UDP", "DHCP", "BOOTP"}
            )
            if name != "1_acquire"
            else exchange.ladder(tables, step_name, capture)
            for name, (step_name, capture) in shown.items()
        }

    # ---- what the claims look at

    def _gateway(self, tables: Tables, name: str, server: str) -> Verdict:
        """Which server h2 believed, and where its pings to w1 went."""
        acked = self._said(tables, name, "h2", type="ACK")
        pings = pick(tables, name, "h2-eth0", icmp_type=8, ip_dst=address(tables, "w1-eth0"))
        to = "d2-eth0" if server == "d2" else "r1-eth0"
        by, way = sorted(set(acked["server_id"])), sorted(set(pings["eth_dst"]))
        return (
            all_of(
                same(by, [address(tables, f"{server}-eth0")], "lease from"),
                same(way, [mac(tables, to)], "pings sent to"),
            )
            .because("the ACK", acked)
            .because("pings", pings)
        )


def _forget(node: str) -> Action:
    """Has a client forget its last lease."""
    return lambda net: lease_file(node).unlink(missing_ok=True)


def _ping(node: str, target: str) -> Action:
    return program(node, "ping", "-n", "-c", "1", "-W", "3", target)


def _by_name(node: str) -> Action:
    """Pings `NAME` with the resolver that DHCP gave; other nodes' resolvers stay as they are."""
    script = f"mount --bind {resolv_conf(node)} /etc/resolv.conf; exec ping -c 1 -W 3 {NAME}"
    return program(node, "unshare", "--mount", "sh", "-c", script)
