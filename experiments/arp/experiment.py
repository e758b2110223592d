"""ARP and neighbour discovery: who asks, who answers, who learns, who forgets, and who lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.plots import exchanges as plots
from testbed import (
    NO_DEFENCE,
    Action,
    AttackExperiment,
    Defence,
    Layer,
    LinkShape,
    MissingDataError,
    Outcome,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    filter_packets,
    in_order,
    ip,
    mac,
    near,
    nothing,
    param,
    pick,
    ping,
    program,
    same,
    steps,
    sysctl,
    unfilter,
    wait,
    when,
)
from topologies.site import Site

from .cache import ADVERTISEMENT, ECHO_REQUEST, REQUEST, SOLICITATION, _only
from .reach import NEW_MAC, Reach

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData


QUIET_S = 10.0
_NEIGH = "net.ipv4.neigh.h1-eth0"
_NO_ANSWERS = {n: sysctl(n, f"net.ipv4.conf.{n}-eth0.arp_ignore", 8) for n in ("h1", "h3")}

BREAKS: dict[str, Action] = {
    "none": nothing,
    "mute": in_order(*_NO_ANSWERS.values()),
    "restless": in_order(
        sysctl("h1", f"{_NEIGH}.base_reachable_time_ms", 2000),
        sysctl("h1", f"{_NEIGH}.delay_first_probe_time", 1),
    ),
    "insistent": sysctl("h1", f"{_NEIGH}.mcast_solicit", 10),
    "credulous": in_order(
        *(sysctl("r1", f"net.ipv4.conf.{i}.arp_accept", 1) for i in ("all", "r1-eth0"))
    ),
    "chatty": nothing,  # see `_steps`
    "no-proxy": nothing,  # see `_steps`
    "no-static": nothing,  # see `_steps`
    "honest": nothing,  # see `_steps`
    "flat": program("h1", "ip", "route", "replace", "default", "dev", "h1-eth0"),
    "no-discovery": filter_packets("h3", "input", "icmpv6 type nd-neighbor-solicit drop", "ip6"),
}
"""Faults: what is broken on purpose."""

ATTACKS = {"poisoning": "the gateway's address claimed by ARP"}
DEFENCES = {
    NO_DEFENCE: Defence("no defence", None, "poisoning_moves_the_traffic"),
    "static": Defence("static ARP entry", Layer.HOST, "static_entry_defends"),
}
STEPS = {NO_DEFENCE: "poisoned", "static": "defended"}
"""Defence → step."""


class Arp(Reach, AttackExperiment):
    """ARP: how an IPv4 address becomes a MAC address on one LAN, and how that can go wrong.

    h1 looks for h3, for nobody and for a host behind the router; entries of its cache age; h3 gets
    another network card and announces it; the router answers for others; a second host probes
    whether h1's address is free. Then h3 claims to be the gateway and reads h1's traffic, until
    h1 gets a static entry. At last the same by IPv6's neighbour discovery.

    The caches' changes are the kernels' own notifications. RARP (RFC 903) is in the handout.
    `faults` break things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(1.0, "delay of each link of the path", unit="ms", low=0, high=1000)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=BREAKS
        )

    params: Parameters
    programs = ("ping", "arping", "ip", "nft")
    attacks, defences = ATTACKS, DEFENCES

    # ---- in the network

    def topology(self) -> Site:
        """h1, h3 and two routers on one LAN; h2 far away."""
        return Site(path=LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another, with silence between them."""
        for fault in self.params.faults:
            BREAKS[fault](net)
        net.watch("neighbours")
        net.capture("h1-eth0", "h3-eth0", "r1-eth0", "r2-eth0")
        steps.play(net, self._steps(net), quiet_s=QUIET_S)
        net.sleep(QUIET_S)

    def _steps(self, net: RunningNetwork) -> dict[str, Action]:
        faults = self.params.faults
        me, other, far = (net.address(n) for n in ("h1", "h3", "h2"))
        lan = me.rsplit(".", 1)[0]
        absent = f"{lan}.99"
        other6 = next(str(a["ipv6"]) for a in net.network.addresses if a["node"] == "h3")
        return {
            "resolve": in_order(
                ping("h1", other, 3, wait_s=5), when("chatty" in faults, ping("r1", me))
            ),
            "age": wait(60),
            "verify": in_order(
                ping("h1", other), ip("h1", "neigh", "show", "to", other, log="delay")
            ),
            "vanished": in_order(
                wait(50, filter_packets("h3", "input", "drop", "arp")),
                ping("h1", other),
                wait(QUIET_S, unfilter("h3", "arp")),
                ping("h1", other),
            ),
            "absent": ping("h1", absent, wait_s=5, log="absent"),
            "far": ping("h1", far),
            "replaced": in_order(
                program("h3", "ip", "link", "set", "h3-eth0", "address", NEW_MAC),
                program("h3", "arping", "-q", "-c", "1", "-A", "-I", "h3-eth0", other),
                wait(2),
                ping("h1", other),
            ),
            "proxy": _by_proxy(far, answers="no-proxy" not in faults),
            "conflict": program("h3", "arping", "-D", "-c", "2", "-I", "h3-eth0", me),
            "free": program("h3", "arping", "-D", "-c", "2", "-I", "h3-eth0", absent),
            **self._spoofing_steps(f"{lan}.1", far, net),
            "discovery": ping("h1", other6.split("/")[0]),
        }

    def _spoofing_steps(self, gateway: str, far: str, net: RunningNetwork) -> dict[str, Action]:
        """h3 announces the gateway's address as its own; then h1 has a static entry."""
        faults = self.params.faults
        rows = net.network.addresses
        mac = next(str(row["mac"]) for row in rows if row["interface"] == "r1-eth0")
        lie = program(
            "h3", "arping", "-q", "-c", "2", "-U", "-I", "h3-eth0", "-s", gateway, gateway
        )
        entry = f"{gateway} lladdr {mac} dev h1-eth0 nud permanent"
        believe = program("h1", "ip", "neigh", "replace", *entry.split())
        return {
            "poisoned": in_order(
                sysctl("h3", "net.ipv4.ip_forward", 1),
                sysctl("h3", "net.ipv4.ip_nonlocal_bind", 1),
                sysctl("h3", "net.ipv4.conf.all.send_redirects", 0),
                sysctl("h3", "net.ipv4.conf.h3-eth0.send_redirects", 0),
                ping("h1", far),
                wait(2),
                when("honest" not in faults, lie),
                ping("h1", far, 3),
            ),
            "defended": in_order(when("no-static" not in faults, believe), lie, ping("h1", far, 3)),
        }

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets by step, and every change of every neighbour cache."""
        tables = steps.measure(data, ("arp_target_mac",))
        changes = data.notices("neighbours").drop(columns="time_ns")
        changes.insert(1, "step", steps.step_at(tables["steps"], changes["time_s"]))
        told = pd.DataFrame([{name: data.log(name) for name in ("absent", "delay")}])
        return tables | {"changes": changes, "told": told}

    def outcome(self, tables: Tables, attack: str, defence: str) -> Outcome:
        """Whether h1's last packets to h2 went to h3."""
        way = self._way(tables, self._pings_to_far(tables, STEPS[defence]))
        if not way:
            raise MissingDataError("no ping to h2 was captured")
        return Outcome.of(way[-1] == "h3")

    # ---- claims

    @claim(
        "ARP believes whoever speaks last: a host that claims the gateway's address gets the "
        "victim's traffic.",
        source="RFC 826; RFC 5227 §1 (no authentication)",
    )
    def poisoning_moves_the_traffic(self, tables: Tables) -> Verdict:
        """h1's pings to h2 before and after h3's lie; h3 passes them on, so h1 notices nothing."""
        pings = self._pings_to_far(tables, "poisoned")
        way = self._way(tables, pings)
        back = pick(tables, "poisoned", "h1-eth0", icmp_type=0)
        return (
            all_of(
                same(way, ["r1", *["h3"] * (len(way) - 1)], "pings went to"),
                near(len(back), len(pings), abs=0, unit="replies all the same"),
            )
            .because("the lie", self._lies(tables, "poisoned"))
            .because("pings", pings)
        )

    @claim(
        "A static entry is not overwritten: the same lie moves nothing.",
        source="RFC 1027, ip-neighbour(8) (permanent)",
    )
    def static_entry_defends(self, tables: Tables) -> Verdict:
        """The lie again, after h1 got a permanent entry for its gateway."""
        pings = self._pings_to_far(tables, "defended")
        lies = self._lies(tables, "defended")
        way = self._way(tables, pings)
        return (
            all_of(at_least(len(lies), 1, unit="lies"), same(set(way), {"r1"}, "pings went to"))
            .because("the lie", lies)
            .because("pings", pings)
        )

    @claim(
        "IPv6 has no ARP: a neighbour solicitation goes to the multicast group of the target's "
        "last 24 bits, not to everybody, and a unicast advertisement answers it.",
        source="RFC 4861 §4.3, §7.2; RFC 4291 §2.7.1",
    )
    def ipv6_solicits_a_group(self, tables: Tables) -> Verdict:
        """h1 pings h3 by IPv6."""
        target = address(tables, "h3-eth0", 6)
        asked = pick(tables, "discovery", "h1-eth0", icmp_type=SOLICITATION, icmp6_target=target)
        first = asked.head(1)
        told = pick(tables, "discovery", "h1-eth0", icmp_type=ADVERTISEMENT, icmp6_target=target)
        wanted = _solicited_node(target)
        return all_of(
            _only(first, ("ip_dst", "eth_dst"), wanted),
            _only(
                told.head(1),
                ("eth_dst", "ip_dst"),
                (mac(tables, "h1-eth0"), str(first["ip_src"].iloc[0]) if len(first) else ""),
            ),
            at_most(
                len(pick(tables, "discovery", "h1-eth0", arp_op=REQUEST)), 0, unit="ARP requests"
            ),
        ).because("solicitation, advertisement", pd.concat([asked, told]))

    # ---- what the claims look at

    def _pings_to_far(self, tables: Tables, name: str) -> pd.DataFrame:
        far = address(tables, "h2-eth0")
        return pick(tables, name, "h1-eth0", icmp_type=ECHO_REQUEST, ip_dst=far)

    def _way(self, tables: Tables, pings: pd.DataFrame) -> list[str]:
        names = {mac(tables, "r1-eth0"): "r1", mac(tables, "h3-eth0"): "h3", NEW_MAC: "h3"}
        return [names.get(m, str(m)) for m in pings["eth_dst"]]

    def _lies(self, tables: Tables, name: str) -> pd.DataFrame:
        """ARP packets that give the gateway's address with h3's MAC address."""
        told = pick(tables, name, "h1-eth0", arp_sender_ip=address(tables, "r1-eth0"))
        return told[told["arp_sender_mac"] != mac(tables, "r1-eth0")]

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """h1's cache over time.

        Figures:
            1_cache_of_h1: Each entry of h1's cache as a bar, coloured by its state; the lines are
                the experiment's steps. Look for what turns REACHABLE into STALE, and what turns it
                back.
            2_resolve: h1 pings h3: one question to all, one answer to h1 only, then the echoes. h3
                need not ask, because the question showed who h1 is; later it verifies that.
            3_poisoned: h3 announces the gateway's address as its own. Nobody asked, and h1 believes
                it: from then on what h1 sends abroad passes through h3.
            4_discovery: The same by IPv6: the question goes to a multicast group made from the
                address wanted, in place of everybody.
        """
        named = {NEW_MAC: "h3 (new card)"}
        return {
            "1_cache_of_h1": plots.cache_states(tables["changes"], tables["steps"], "h1"),
            "2_resolve": steps.ladder(tables, "resolve", "h1-eth0"),
            "3_poisoned": steps.ladder(tables, "poisoned", "h1-eth0", names=named),
            "4_discovery": steps.ladder(tables, "discovery", "h1-eth0", names=named),
        }


def _solicited_node(target: str) -> tuple[str, str]:
    """Multicast group of an IPv6 address, and its MAC address (RFC 4291 §2.7.1, RFC 2464 §7)."""
    import ipaddress

    last = ipaddress.IPv6Address(target).packed[-3:]
    base = ipaddress.IPv6Address("ff02::1:ff00:0")
    group = ipaddress.IPv6Address(int(base) + int.from_bytes(last, "big"))
    return str(group), "33:33:" + group.packed[-4:].hex(":")


def _by_proxy(far: str, *, answers: bool) -> Action:
    """h1 believes that another LAN is on its own; the router answers for it."""
    route = (far.rsplit(".", 1)[0] + ".0/24", "dev", "h1-eth0")
    return in_order(
        sysctl("r1", "net.ipv4.conf.r1-eth0.proxy_arp", int(answers)),
        program("h1", "ip", "route", "add", *route),
        ping("h1", far),
        program("h1", "ip", "route", "del", *route),
        sysctl("r1", "net.ipv4.conf.r1-eth0.proxy_arp", 0),
    )
