"""DHCP: how a host gets its address, keeps it, loses it, and whom it believes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import summaries
from testbed import (
    Action,
    Experiment,
    LinkShape,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    filter_packets,
    holds,
    in_order,
    mac,
    near,
    nothing,
    param,
    pick,
    program,
    same,
    wait,
)
from testbed import steps as exchange
from testbed.daemons import start
from testbed.daemons.dhcpcd import Dhcpcd, interface, lease_file, resolv_conf
from testbed.daemons.dnsmasq import Dnsmasq
from topologies.office import Office

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData
    from testbed.daemons import Running

CLIENT, SERVER = 68, 67
NOBODY, EVERYBODY = "0.0.0.0", "255.255.255.255"
NAME = "www.example.org"
LINK_LOCAL = "169.254."
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


class Dhcp(Experiment):
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
            120, "lease (dnsmasq takes no less than 120)", unit="s", low=120, high=86_400
        )
        faults: tuple[str, ...] = param(
            ("none",), "what is broken on purpose: see which claims fall", choices=FAULTS
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
        p, faults = self.params, self.params.faults
        lan = net.address("d1").rsplit(".", 1)[0]
        far_lan = str(net.network.interface("r1-eth1").IP()).rsplit(".", 1)[0]
        d2_address = f"{net.address('d2')}/24"
        last = 120 if "large-pool" in faults else 101
        taken, spare = f"{lan}.150", f"{lan}.151"
        first, second, third, fourth = (
            f"{lan}.100,{lan}.{last}",
            f"{spare},{spare}",
            f"{lan}.160,{lan}.165",
            f"{lan}.170,{lan}.175",
        )
        h1_mac = str(net.network.interface("h1-eth0").MAC())
        return {
            "acquire": in_order(self._serve("d1", lan, first), self._join("h1", 15)),
            "name": _by_name("h1"),
            "renew": wait(p.lease_s * 0.55),
            "exhausted": in_order(
                self._join("h2", 15),
                program("d2", "ip", "-4", "addr", "flush", "dev", "d2-eth0"),
                self._join("d2", 40),
                self._leave("d2"),
                program("d2", "ip", "addr", "replace", d2_address, "dev", "d2-eth0"),
            ),
            "release": in_order(
                self._leave("h2")
                if "no-release" in faults
                else program("h2", "dhcpcd", "--release", "h2-eth0"),
                wait(5),
            ),
            "rebind": in_order(
                self._stop("d1"),
                nothing
                if "one-server" in faults
                else self._serve("d2", lan, first, "dhcp-authoritative"),
                wait(p.lease_s * 1.5),
            ),
            "expire": in_order(
                self._stop("d2"),
                wait(p.lease_s * 1.1 + 10),
                program("h1", "ip", "-4", "-o", "addr", "show", "dev", "h1-eth0", log="expired"),
            ),
            "decline": in_order(
                program("d2", "ip", "addr", "add", f"{taken}/24", "dev", "d2-eth0"),
                self._serve("d1", lan, second, f"dhcp-host={h1_mac},{taken}"),
                wait(100),
                program("d2", "ip", "addr", "del", f"{taken}/24", "dev", "d2-eth0"),
            ),
            "refuse": in_order(
                self._leave("h1"),
                self._stop("d1"),
                self._serve("d1", lan, third, "dhcp-authoritative"),
                self._join("h1", 20),
            ),
            "two-servers": in_order(
                nothing if "one-server" in faults else self._serve("d2", lan, fourth),
                _forget("h2"),
                self._join("h2", 20),
                self._leave("h2"),
            ),
            "relay": in_order(
                self._stop("d1"),
                self._stop("d2"),
                self._serve(
                    "d1",
                    lan,
                    third,
                    f"dhcp-range={far_lan}.100,{far_lan}.110,255.255.255.0,{p.lease_s}",
                ),
                nothing
                if "no-relay" in faults
                else self._start(
                    "r1", Dnsmasq(("port=0", f"dhcp-relay={far_lan}.1,{net.address('d1')}"))
                ),
                self._join("h3", 20),
            ),
            "rogue": in_order(
                program("d2", "sysctl", "-q", "net.ipv4.ip_forward=1"),
                nothing
                if "no-rogue" in faults
                else self._serve("d2", lan, fourth, router=net.address("d2")),
                _forget("h2"),
                self._join("h2", 20),
                _ping("h2", net.address("w1")),
                self._leave("h2"),
            ),
            "guard": in_order(
                nothing
                if "no-guard" in faults
                else filter_packets(
                    "s1", "forward", f'iifname "{ROGUE_PORT}" udp sport 67 drop', "bridge"
                ),
                self._serve("d2", lan, fourth, router=net.address("d2"))
                if "no-rogue" in faults
                else nothing,
                _forget("h2"),
                self._join("h2", 20),
                _ping("h2", net.address("w1")),
                self._leave("h2"),
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
        "A new client gets its address by four messages: DISCOVER, OFFER, REQUEST, ACK; it speaks "
        "from 0.0.0.0:68 to 255.255.255.255:67, all under one transaction number.",
        source="RFC 2131 §3.1, §4.1",
    )
    def four_messages(self, tables: Tables) -> Verdict:
        """h1's first lease, at its interface."""
        seen = self._said(tables, "acquire", "h1")
        mine = seen[seen["udp_sport"] == CLIENT]
        ways = set(zip(mine["ip_src"], mine["ip_dst"], mine["udp_dport"].astype(int), strict=True))
        return all_of(
            _types(seen, ["DISCOVER", "OFFER", "REQUEST", "ACK"]),
            near(seen["xid"].nunique(), 1, abs=0, unit="transaction number"),
            same(ways, {(NOBODY, EVERYBODY, SERVER)}, "client speaks (from, to, port)"),
        ).because("the exchange", seen)

    @claim(
        "The acknowledgement brings all a host needs: address, mask, router, name server, the "
        "length of the lease, and who gave it.",
        source="RFC 2131 §4.3.1, RFC 2132 §3, §9",
    )
    def acknowledgement_is_complete(self, tables: Tables) -> Verdict:
        """Options of the ACK against the server's configuration."""
        seen = self._said(tables, "acquire", "h1", type="ACK")
        server = address(tables, "d1-eth0")
        wanted = {
            "mask": "255.255.255.0",
            "routers": server.rsplit(".", 1)[0] + ".1",
            "dns_servers": server,
            "server_id": server,
            "lease_s": self.params.lease_s,
        }
        found = {k: seen[k].iloc[0] for k in wanted} if len(seen) else {}
        if found:
            found["lease_s"] = int(found["lease_s"])
        return same(found, wanted, "ACK").because("the ACK", seen)

    @claim(
        "Before it uses the address the client probes by ARP whether somebody has it.",
        source="RFC 2131 §3.1 (5), §4.4.1; RFC 5227 §2.1",
        bears_stall_s=0.1,
    )
    def address_is_probed_first(self, tables: Tables) -> Verdict:
        """ARP probes between the ACK and the first packet from the new address."""
        given = self._said(tables, "acquire", "h1", type="ACK")
        if given.empty:
            return holds(False, observed="no ACK", expected="an ACK")
        own, acked_s = given["your_ip"].iloc[0], given["time_s"].iloc[0]
        probes = pick(
            tables, "acquire", "h1-eth0", arp_op=1, arp_sender_ip=NOBODY, arp_target_ip=own
        )
        used = pick(tables, "acquire", "h1-eth0", arp_sender_ip=own)["time_s"].min()
        early = int((probes["time_s"] < used).sum()) if len(probes) else 0
        return (
            all_of(
                at_least(early, 1, unit="probes before use"),
                at_least(float(used - acked_s), 1.0, unit="s from ACK to use"),
            )
            .because("probes", probes)
            .because("the ACK", given)
        )

    @claim(
        "After it, the client reaches a host of another network by its name.",
        source="RFC 2131 §1.6; syllabus 9.7.4",
    )
    def client_reaches_names(self, tables: Tables) -> Verdict:
        """One ping by name, with the resolver, router and mask that DHCP gave."""
        asked = pick(tables, "name", "h1-eth0", udp_dport=53)
        back = pick(tables, "name", "h1-eth0", icmp_type=0, ip_src=address(tables, "w1-eth0"))
        return all_of(
            at_least(len(asked), 1, unit="questions to the name server"),
            near(len(back), 1, abs=0, unit="echo replies from the host of that name"),
        ).because("question and reply", pd.concat([asked, back]))

    @claim(
        "At T1, half of the lease, the client renews it by unicast with its own address.",
        source="RFC 2131 §4.4.5, §4.3.2",
        bears_stall_s=0.1,
    )
    def renews_at_half_time(self, tables: Tables) -> Verdict:
        """The first REQUEST after h1 began to use its address; T1 is a little short at random."""
        begun = self._said(tables, "acquire", "h1", type="ACK")
        asked = self._said(tables, "renew", "h1", type="REQUEST").head(1)
        acked = self._said(tables, "renew", "h1", type="ACK").head(1)
        if asked.empty or begun.empty:
            return holds(False, observed="no renewal", expected="a renewal at T1")
        own, t1_s = begun["your_ip"].iloc[0], float(begun["renewal_s"].iloc[0])
        used = pick(tables, "acquire", "h1-eth0", arp_sender_ip=own)["time_s"].min()
        waited_s = float(asked["time_s"].iloc[0] - used)
        way = (str(asked["ip_src"].iloc[0]), str(asked["ip_dst"].iloc[0]))
        wanted = (str(own), address(tables, "d1-eth0"))
        return all_of(
            between(t1_s / self.params.lease_s, 0.43, 0.5, unit="of the lease is T1"),
            between(waited_s - t1_s, -1.0, 2.0, unit="s after T1"),
            same(way, wanted, "REQUEST from, to"),
            same(asked["client_ip"].iloc[0], own, "has"),
            near(len(acked), 1, abs=0, unit="ACK"),
        ).because("renewal", pd.concat([asked, acked]))

    @claim("A server whose pool is empty makes no offer.", source="RFC 2131 §4.3.1")
    def empty_pool_makes_no_offer(self, tables: Tables) -> Verdict:
        """Two addresses, three clients: what the third hears."""
        seen = self._said(tables, "exhausted", "d2")
        return all_of(
            at_least(int((seen["type"] == "DISCOVER").sum()), 2, unit="DISCOVERs"),
            at_most(int((seen["type"] == "OFFER").sum()), 0, unit="OFFERs"),
            near(
                int((self._said(tables, "exhausted", "h2")["type"] == "ACK").sum()),
                1,
                abs=0,
                unit="ACK to the second client",
            ),
        ).because("the third client", seen)

    @claim(
        "A host that finds no server takes an address of 169.254/16, after it has probed that "
        "nobody has it.",
        source="RFC 3927 §1, §2.2",
        bears_stall_s=0.1,
    )
    def falls_back_to_link_local(self, tables: Tables) -> Verdict:
        """The third client's ARP: probes first, then announcements."""
        probes = pick(tables, "exhausted", "d2-eth0", arp_op=1, arp_sender_ip=NOBODY)
        probes = probes[probes["arp_target_ip"].str.startswith(LINK_LOCAL)]
        taken = pick(tables, "exhausted", "d2-eth0", arp_op=1)
        taken = taken[taken["arp_sender_ip"].str.startswith(LINK_LOCAL)]
        same = set(probes["arp_target_ip"]) >= set(taken["arp_sender_ip"])
        return all_of(
            at_least(len(probes), 3, unit="probes"),
            at_least(len(taken), 1, unit="announcements"),
            holds(
                same,
                observed=f"{_listed(taken['arp_sender_ip'])} probed: {same}",
                expected="probed: True",
            ),
        ).because("probes, announcements", pd.concat([probes, taken]))

    @claim(
        "A client that leaves politely releases its address by a unicast that nobody answers.",
        source="RFC 2131 §3.1 (6), §4.4.6",
    )
    def release_is_unicast(self, tables: Tables) -> Verdict:
        """h2's last message."""
        seen = self._said(tables, "release", "h2")
        target = sorted(set(seen["ip_dst"].astype(str)))
        return all_of(
            _types(seen, ["RELEASE"]), same(target, [address(tables, "d1-eth0")], "to")
        ).because("the release", seen)

    @claim(
        "If its server stays silent the client asks all servers by broadcast from T2 on, 7/8 of "
        "the lease; another server that knows the lease prolongs it, and is asked from then on.",
        source="RFC 2131 §4.4.5, §4.3.2 (REBINDING)",
        bears_stall_s=0.1,
    )
    def rebinding_finds_another_server(self, tables: Tables) -> Verdict:
        """h1 after d1 has stopped and d2 serves the same pool."""
        begun = self._last_ack(tables, "acquire", "renew", "exhausted", "release")
        seen = self._said(tables, "rebind", "h1")
        asked, acked = (seen[seen["type"] == kind] for kind in ("REQUEST", "ACK"))
        broadcast = asked[asked["ip_dst"] == EVERYBODY]
        if broadcast.empty or begun is None:
            return holds(False, observed="no broadcast REQUEST", expected="rebinding at T2")
        at_s, other = float(broadcast["time_s"].iloc[0]), address(tables, "d2-eth0")
        before, after = asked[asked["time_s"] < at_s], asked[asked["time_s"] > at_s]
        return all_of(
            at_least(len(before), 1, unit="unicast REQUESTs before"),
            between(
                (at_s - float(begun["time_s"])) / self.params.lease_s,
                0.8,
                0.89,
                unit="of the lease at the broadcast",
            ),
            same(set(acked["your_ip"].astype(str)), {str(begun["your_ip"])}, "address"),
            same(set(acked["ip_src"].astype(str)), {other}, "ACK from"),
            same(set(after["ip_dst"].astype(str)), {other}, "asked from then on"),
        ).because("the exchange", seen)

    @claim(
        "If no server answers until the lease ends, the client gives up the address.",
        source="RFC 2131 §4.4.5",
        bears_stall_s=0.1,
    )
    def lease_expires(self, tables: Tables) -> Verdict:
        """h1 after d2 has stopped, too: unicast, then broadcast, then without its address."""
        begun = self._last_ack(tables, "acquire", "renew", "exhausted", "release", "rebind")
        asked = self._said(tables, "expire", "h1", type="REQUEST")
        if begun is None:
            return holds(False, observed="no lease", expected="a lease that ends")
        own, ends_s = str(begun["your_ip"]), float(begun["time_s"]) + self.params.lease_s
        left = tables.row("told")["expired"]
        return all_of(
            at_least(len(asked), 2, unit="REQUESTs in vain"),
            at_least(ends_s - float(asked["time_s"].max()), -1.0, unit="s before its end"),
            holds(
                f" {own}/" not in left,
                observed=f"afterwards: {' '.join(left.split()[:4])}",
                expected=f"without {own}",
            ),
        ).because("requests in vain", asked)

    @claim(
        "A client that finds its new address in use declines it and starts again.",
        source="RFC 2131 §3.1 (5), §4.4.1; RFC 5227 §2.1.1",
    )
    def used_addresses_are_declined(self, tables: Tables) -> Verdict:
        """d2 has the address that d1 gives h1."""
        seen = self._said(tables, "decline", "h1")
        kinds = list(seen["type"])
        at = kinds.index("DECLINE") if "DECLINE" in kinds else None
        if at is None:
            return holds(False, observed=f"{', '.join(kinds)}", expected="a DECLINE").because(
                "the exchange", seen
            )
        refused = seen["requested_ip"].iloc[at]
        given = seen.iloc[at:]
        given = given[given["type"] == "ACK"]
        conflict = pick(tables, "decline", "h1-eth0", arp_op=2, arp_sender_ip=refused)
        return (
            all_of(
                at_least(len(conflict), 1, unit="ARP answers for the address"),
                holds(
                    "ACK" in kinds[:at],
                    observed=f"{', '.join(kinds[: at + 1])}",
                    expected="an ACK before the DECLINE",
                ),
                holds(
                    len(given) > 0 and refused not in set(given["your_ip"]),
                    observed=f"declined {refused}, then got {_listed(given['your_ip'])}",
                    expected="another address",
                ),
            )
            .because("the exchange", seen)
            .because("in use", conflict)
        )

    @claim(
        "A client that remembers an address asks for it at once; a server that knows better "
        "refuses by NAK, and the client starts from the beginning.",
        source="RFC 2131 §3.2, §4.3.2 (INIT-REBOOT)",
    )
    def wrong_addresses_are_refused(self, tables: Tables) -> Verdict:
        """h1 comes back after the network was renumbered."""
        seen = self._said(tables, "refuse", "h1")
        return _types(seen, ["REQUEST", "NAK", "DISCOVER", "OFFER", "REQUEST", "ACK"]).because(
            "the exchange", seen
        )

    @claim(
        "If several servers offer, the client's REQUEST names the one it takes; the others hear "
        "the broadcast and keep their addresses.",
        source="RFC 2131 §3.1 (3–4)",
    )
    def one_of_two_offers_is_taken(self, tables: Tables) -> Verdict:
        """h2's lease with two servers on the LAN."""
        seen = self._said(tables, "two-servers", "h2")
        offers = seen[seen["type"] == "OFFER"]
        asked, acked = seen[seen["type"] == "REQUEST"], seen[seen["type"] == "ACK"]
        named = set(asked["server_id"].dropna())
        by = set(acked["ip_src"].astype(str))
        return all_of(
            near(offers["server_id"].nunique(), 2, abs=0, unit="servers offer"),
            holds(
                len(named) == 1 and by == named,
                observed=f"REQUEST names {_listed(named)}, ACK by {_listed(by)}",
                expected="the same one",
            ),
            same(set(asked["ip_dst"].astype(str)), {EVERYBODY}, "REQUEST to"),
        ).because("the exchange", seen)

    @claim(
        "A relay carries the client's broadcast to a server in another network by unicast, with "
        "its own address in giaddr; the server chooses the pool by it.",
        source="RFC 1542 §4, RFC 2131 §4.1, §4.3.1",
    )
    def relay_crosses_the_router(self, tables: Tables) -> Verdict:
        """h3 behind r1, as h3 and d1 see it."""
        seen = self._said(tables, "relay", "h3")
        at_server = pick(tables, "relay", "d1-eth0", table="dhcp")
        relay = address(tables, "r1-eth1")
        relayed = at_server[at_server["relay_ip"] == relay]
        ways = set(
            zip(relayed["udp_sport"].astype(int), relayed["udp_dport"].astype(int), strict=True)
        )
        given = seen[seen["type"] == "ACK"]["your_ip"]
        return (
            all_of(
                _types(seen, ["DISCOVER", "OFFER", "REQUEST", "ACK"]),
                near(len(relayed), 4, abs=0, unit="messages with the relay's address at d1"),
                at_most(int((relayed["ip_dst"] == EVERYBODY).sum()), 0, unit="of them broadcast"),
                same(ways, {(SERVER, SERVER)}, "ports"),
                same([_lan(a) for a in given], [_lan(relay)], "network of the address given"),
            )
            .because("at h3", seen)
            .because("at d1", relayed)
        )

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
                h1 begins anew.
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

    def _said(self, tables: Tables, name: str, node: str, **equals: Any) -> pd.DataFrame:
        """DHCP messages of one client, in its own capture."""
        where = interface(node)
        if "dhcp" not in tables:
            tables["dhcp"] = pd.DataFrame(columns=["scenario", "capture", "step"])
        return pick(tables, name, where, table="dhcp", client_mac=mac(tables, where), **equals)

    def _last_ack(self, tables: Tables, *steps: str) -> pd.Series[Any] | None:
        """The last ACK that h1 got in these steps."""
        acked = pd.concat(self._said(tables, s, "h1", type="ACK") for s in steps)
        return acked.iloc[-1] if len(acked) else None

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


def _types(seen: pd.DataFrame, wanted: list[str]) -> Verdict:
    return same(list(seen["type"]), wanted, "messages")


def _listed(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or "none"


def _lan(address: str) -> str:
    return address.rsplit(".", 1)[0]


def _forget(node: str) -> Action:
    """Has a client forget its last lease."""
    return lambda net: lease_file(node).unlink(missing_ok=True)


def _ping(node: str, target: str) -> Action:
    return program(node, "ping", "-n", "-c", "1", "-W", "3", target)


def _by_name(node: str) -> Action:
    """Pings `NAME` with the resolver that DHCP gave; other nodes' resolvers stay as they are."""
    script = f"mount --bind {resolv_conf(node)} /etc/resolv.conf; exec ping -c 1 -W 3 {NAME}"
    return program(node, "unshare", "--mount", "sh", "-c", script)
