"""ARP and neighbour discovery: who asks, who answers, who learns, who forgets, and who lies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.plots import exchanges as plots
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
)
from topologies.site import Site

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

BROADCAST, ANYBODY, UNKNOWN_MAC = "ff:ff:ff:ff:ff:ff", "0.0.0.0", "00:00:00:00:00:00"
REQUEST, REPLY = 1, 2
ECHO_REQUEST, SOLICITATION, ADVERTISEMENT = 8, 135, 136

REACHABLE_S = (15.0, 45.0)
"""How long a confirmation counts: half to one and a half of 30 s (RFC 4861 §6.3.2, §10)."""

DELAY_FIRST_PROBE_S = 5.0
TRIES = 3
"""MAX_MULTICAST_SOLICIT of RFC 4861 §10, which Linux uses for ARP too."""

NEW_MAC = "02:00:00:00:00:99"
"""What h3's network card is replaced by."""

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


class Arp(Experiment):
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
            ("none",), "what is broken on purpose: see which claims fall", choices=BREAKS
        )

    params: Parameters
    programs = ("ping", "arping", "ip", "nft")

    # ---- in the network

    def topology(self) -> Site:
        """h1, h3 and two routers on one LAN; h2 far away."""
        shape = LinkShape(delay_ms=self.params.delay_ms)
        return Site(path=shape, narrow=shape)

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
        gateway, absent = f"{lan}.1", f"{lan}.99"
        other6 = next(str(a["ipv6"]) for a in net.network.addresses if a["node"] == "h3")
        far_lan = far.rsplit(".", 1)[0] + ".0/24"
        gateway_mac = next(
            str(a["mac"]) for a in net.network.addresses if a["interface"] == "r1-eth0"
        )
        lie = program(
            "h3", "arping", "-q", "-c", "2", "-U", "-I", "h3-eth0", "-s", gateway, gateway
        )
        believe = program(
            "h1",
            "ip",
            "neigh",
            "replace",
            gateway,
            "lladdr",
            gateway_mac,
            "dev",
            "h1-eth0",
            "nud",
            "permanent",
        )
        return {
            "resolve": in_order(
                ping("h1", other, 3, wait_s=5), ping("r1", me) if "chatty" in faults else nothing
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
            "proxy": in_order(
                sysctl("r1", "net.ipv4.conf.r1-eth0.proxy_arp", int("no-proxy" not in faults)),
                program("h1", "ip", "route", "add", far_lan, "dev", "h1-eth0"),
                ping("h1", far),
                program("h1", "ip", "route", "del", far_lan, "dev", "h1-eth0"),
                sysctl("r1", "net.ipv4.conf.r1-eth0.proxy_arp", 0),
            ),
            "conflict": program("h3", "arping", "-D", "-c", "2", "-I", "h3-eth0", me),
            "free": program("h3", "arping", "-D", "-c", "2", "-I", "h3-eth0", absent),
            "poisoned": in_order(
                sysctl("h3", "net.ipv4.ip_forward", 1),
                sysctl("h3", "net.ipv4.ip_nonlocal_bind", 1),
                sysctl("h3", "net.ipv4.conf.all.send_redirects", 0),
                sysctl("h3", "net.ipv4.conf.h3-eth0.send_redirects", 0),
                ping("h1", far),
                wait(2),
                nothing if "honest" in faults else lie,
                ping("h1", far, 3),
            ),
            "defended": in_order(
                nothing if "no-static" in faults else believe, lie, ping("h1", far, 3)
            ),
            "discovery": ping("h1", other6.split("/")[0]),
        }

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets by step, and every change of every neighbour cache."""
        tables = steps.measure(data, ("arp_target_mac",))
        changes = data.notices("neighbours").drop(columns="time_ns")
        changes.insert(1, "step", steps.step_at(tables["steps"], changes["time_s"]))
        told = pd.DataFrame([{name: data.log(name) for name in ("absent", "delay")}])
        return tables | {"changes": changes, "told": told}

    # ---- claims

    @claim(
        "A host that does not know a MAC address asks everybody: the request is broadcast, with "
        "its own addresses and the target's IP; the target answers to the asker alone.",
        source="RFC 826",
    )
    def request_broadcast_reply_unicast(self, tables: Tables) -> Verdict:
        """h1's first packet to h3."""
        asked = pick(
            tables, "resolve", "h1-eth0", arp_op=REQUEST, arp_target_ip=address(tables, "h3-eth0")
        )
        told = pick(
            tables, "resolve", "h1-eth0", arp_op=REPLY, arp_sender_ip=address(tables, "h3-eth0")
        )
        me, other = mac(tables, "h1-eth0"), mac(tables, "h3-eth0")
        return all_of(
            _only(
                asked, ("eth_dst", "arp_sender_mac", "arp_target_mac"), (BROADCAST, me, UNKNOWN_MAC)
            ),
            _only(told, ("eth_dst", "arp_sender_mac", "arp_target_mac"), (me, other, me)),
        ).because("request and reply", pd.concat([asked, told]))

    @claim("The answer is cached: packets that follow need no request.", source="RFC 1122 §2.3.2.1")
    def answer_is_cached(self, tables: Tables) -> Verdict:
        """Three pings, one request."""
        asked = pick(
            tables, "resolve", "h1-eth0", arp_op=REQUEST, arp_sender_ip=address(tables, "h1-eth0")
        )
        pings = pick(
            tables, "resolve", "h1-eth0", icmp_type=ECHO_REQUEST, ip_dst=address(tables, "h3-eth0")
        )
        return all_of(
            near(len(asked), 1, abs=0, unit="requests"),
            near(len(pings), 3, abs=0, unit="pings sent"),
        ).because("request and pings", pd.concat([asked, pings]))

    @claim(
        "The target of a request learns the asker's address from it; others, who hear the same "
        "broadcast, learn nothing.",
        source="RFC 826 (packet reception)",
    )
    def only_the_target_learns(self, tables: Tables) -> Verdict:
        """New entries for h1 in h3 and in r1 while h1 looks for h3."""
        learnt = self._changes(tables, "resolve", address=address(tables, "h1-eth0"))
        who = sorted(set(learnt[learnt["action"] != "del"]["node"]))
        heard = pick(tables, "resolve", "r1-eth0", arp_op=REQUEST)
        return (
            all_of(
                same(who, ["h3"], "learnt by"), at_least(len(heard), 1, unit="requests heard by r1")
            )
            .because("changes", learnt, scenario="main")
            .because("heard by r1", heard)
        )

    @claim(
        "An entry without use loses its confirmation after 15 to 45 s and becomes stale.",
        source="RFC 4861 §6.3.2, §7.3; RFC 1122 §2.3.2.1 asks for ageing",
        bears_stall_s=0.1,
    )
    def entries_grow_stale(self, tables: Tables) -> Verdict:
        """From h3's answer to the kernel's notification."""
        mine = self._cache_of_h1(tables, ("resolve", "age"), "h3-eth0")
        confirmed = mine[mine["state"] == "REACHABLE"]["time_s"]
        used = pick(tables, "resolve", "h1-eth0", icmp_type=ECHO_REQUEST)["time_s"]
        stale = mine[mine["state"] == "STALE"]["time_s"]
        waited_s = float(stale.max() - confirmed.max()) if len(stale) and len(confirmed) else None
        if waited_s is None:
            return holds(False, observed="never confirmed, or never stale", expected="both")
        slack_s = float(used.max() - confirmed.max())  # checked only while packets go
        return between(waited_s, REACHABLE_S[0], REACHABLE_S[1] + slack_s, unit="s").because(
            "changes of h1's entry for h3", mine, scenario="main"
        )

    @claim(
        "A stale entry is used at once; 5 s later, without other confirmation, the host verifies "
        "it by a unicast request.",
        source="RFC 4861 §7.3.3, RFC 1122 §2.3.2.1 (unicast poll)",
        bears_stall_s=0.07,
    )
    def stale_entries_are_verified(self, tables: Tables) -> Verdict:
        """One ping after a minute of silence."""
        ping = pick(tables, "verify", "h1-eth0", icmp_type=ECHO_REQUEST)
        asked = pick(
            tables, "verify", "h1-eth0", arp_op=REQUEST, arp_sender_ip=address(tables, "h1-eth0")
        )
        told = pick(
            tables, "verify", "h1-eth0", arp_op=REPLY, arp_sender_ip=address(tables, "h3-eth0")
        )
        if ping.empty or asked.empty:
            return holds(
                False,
                observed=f"{len(ping)} pings, {len(asked)} requests",
                expected="a ping, then a request",
            )
        waited_s = float(asked["time_s"].iloc[0] - ping["time_s"].iloc[0])
        return all_of(
            near(waited_s, DELAY_FIRST_PROBE_S, abs=0.7, unit="s from the ping to the request"),
            same(list(asked["eth_dst"]), [mac(tables, "h3-eth0")], "requests to"),
            near(len(told), 1, abs=0, unit="replies"),
        ).because("ping, request, reply", pd.concat([ping, asked, told]))

    @claim(
        "Used again, a stale entry is in delay for as long as a sign of life may come, then in "
        "probe while the neighbour alone is asked: an answer makes it reachable, three in vain "
        "failed.",
        source="RFC 4861 §7.3.2, §7.3.3",
        bears_stall_s=0.07,
    )
    def entries_go_through_their_states(self, tables: Tables) -> Verdict:
        """h1's entry for h3: verified, then while h3 hears no ARP."""
        verified, gone = (
            self._cache_of_h1(tables, (name,), "h3-eth0") for name in ("verify", "vanished")
        )
        asked = pick(tables, "vanished", "h1-eth0", arp_op=REQUEST, eth_dst=mac(tables, "h3-eth0"))
        waiting = tables.row("told")["delay"].split()[-1:]
        return (
            all_of(
                same(waiting, ["DELAY"], "after the ping"),
                same(list(verified["state"]), ["PROBE", "REACHABLE"], "with an answer"),
                same(list(gone["state"])[:3], ["STALE", "PROBE", "FAILED"], "without"),
                near(len(asked), TRIES, abs=0, unit="unicast requests in vain"),
            )
            .because("changes", pd.concat([verified, gone]), scenario="main")
            .because("in vain", asked)
        )

    @claim(
        "Where nobody answers the host asks three times, a second apart, then fails and tells the "
        "sender.",
        source="RFC 4861 §7.2.2, §10; RFC 1122 §2.3.2.1, §3.2.2.1",
        bears_stall_s=0.01,
    )
    def no_answer_is_failure(self, tables: Tables) -> Verdict:
        """A ping to an address that nobody has."""
        asked = pick(tables, "absent", "h1-eth0", arp_op=REQUEST)
        gaps = [float(g) for g in asked["time_s"].diff().dropna()]
        failed = self._changes(tables, "absent", node="h1", state="FAILED")
        told = tables.row("told")["absent"]
        said = re.findall("Destination.*|.*loss", told)
        return (
            all_of(
                near(len(asked), TRIES, abs=0, unit="requests"),
                *[near(gap, 1.0, abs=0.1, unit="s apart") for gap in gaps],
                at_least(len(failed), 1, unit="entries failed"),
                holds(
                    "Host Unreachable" in told,
                    observed=f"ping says: {' '.join(said)}",
                    expected="Destination Host Unreachable",
                ),
            )
            .because("requests", asked)
            .because("changes", failed, scenario="main")
        )

    @claim(
        "ARP does not cross a router: for a far host h1 asks for its gateway, and the next link "
        "hears nothing of h1's LAN.",
        source="RFC 826, RFC 1812 §3.3.2",
    )
    def arp_stays_on_its_lan(self, tables: Tables) -> Verdict:
        """A ping to h2; ARP packets on h1's LAN and behind r1."""
        asked = pick(
            tables, "far", "h1-eth0", arp_op=REQUEST, arp_sender_ip=address(tables, "h1-eth0")
        )
        wanted = sorted(set(asked["arp_target_ip"]))
        beyond = tables.of("packets", capture="r2-eth0")
        beyond = beyond[beyond["arp_op"].notna()]
        lan = address(tables, "h1-eth0").rsplit(".", 1)[0] + "."
        crossed = beyond[beyond["arp_target_ip"].str.startswith(lan)]
        return all_of(
            same(wanted, [address(tables, "r1-eth0")], "asked for"),
            at_least(len(beyond), 2, unit="ARP packets behind r1"),
            at_most(len(crossed), 0, unit="of them about h1's LAN"),
        ).because("request, and ARP behind r1", pd.concat([asked, beyond]))

    @claim(
        "A gratuitous ARP overwrites the entries of those who have one, and makes none where "
        "there was none.",
        source="RFC 826 (merge flag), RFC 5944 §4.6",
    )
    def announcements_update_and_do_not_create(self, tables: Tables) -> Verdict:
        """h3 announces its new network card; h1 knows h3, r1 does not."""
        told = pick(tables, "replaced", "h1-eth0", arp_sender_mac=NEW_MAC, eth_dst=BROADCAST)
        told = told[told["arp_sender_ip"] == told["arp_target_ip"]]
        other = address(tables, "h3-eth0")
        overwritten = self._changes(tables, "replaced", node="h1", address=other, mac=NEW_MAC)
        made = self._changes(tables, "replaced", node="r1", address=other)
        pings = pick(tables, "replaced", "h1-eth0", icmp_type=ECHO_REQUEST)
        return all_of(
            near(len(told), 1, abs=0, unit="announcements"),
            at_least(len(overwritten), 1, unit="changes of h1's entry"),
            at_most(len(made), 0, unit="entries made in r1"),
            _only(pings, ("eth_dst",), (NEW_MAC,)),
        ).because("announcement, ping", pd.concat([told, pings]))

    @claim("A proxy answers for hosts behind it with its own MAC address.", source="RFC 1027")
    def proxy_answers_for_others(self, tables: Tables) -> Verdict:
        """h1 believes that h2 is on its LAN; r1 knows better."""
        far = address(tables, "h2-eth0")
        told = pick(tables, "proxy", "h1-eth0", arp_op=REPLY, arp_sender_ip=far)
        back = pick(tables, "proxy", "h1-eth0", icmp_type=0, ip_src=far)
        return all_of(
            _only(told, ("arp_sender_mac",), (mac(tables, "r1-eth0"),)),
            near(len(back), 1, abs=0, unit="echo replies from h2"),
        ).because("reply by proxy, echo", pd.concat([told, back]))

    @claim(
        "Before using an address a host probes for it with sender 0.0.0.0; the owner answers, and "
        "nobody's cache changes by the probe. A free address draws no answer.",
        source="RFC 5227 §1.1, §2.1.1",
    )
    def conflicts_are_detected(self, tables: Tables) -> Verdict:
        """h3 probes for h1's address, then for a free one."""
        probes = pick(tables, "conflict", "h1-eth0", arp_op=REQUEST)
        told = pick(tables, "conflict", "h3-eth0", arp_op=REPLY)
        free = pick(tables, "free", "h3-eth0", arp_op=REPLY)
        asked_free = pick(tables, "free", "h3-eth0", arp_op=REQUEST)
        changed = self._changes(tables, "conflict", address=ANYBODY)
        return all_of(
            at_least(int((probes["arp_sender_ip"] == ANYBODY).sum()), 1, unit="probes"),
            _only(
                told,
                ("arp_sender_mac", "arp_sender_ip"),
                (mac(tables, "h1-eth0"), address(tables, "h1-eth0")),
            ),
            at_least(len(asked_free), 1, unit="probes for the free address"),
            at_most(len(free), 0, unit="answers for the free address"),
            at_most(len(changed), 0, unit="entries for 0.0.0.0"),
        ).because("probes and answer", pd.concat([probes, told, asked_free]))

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

    def _changes(self, tables: Tables, name: str, **equals: Any) -> pd.DataFrame:
        tables.of("steps", step=name)
        found = tables.of("changes")
        found = found[found["step"] == name]
        for column, value in equals.items():
            found = found[found[column] == value]
        return found.reset_index(drop=True)

    def _cache_of_h1(self, tables: Tables, names: tuple[str, ...], interface: str) -> pd.DataFrame:
        wanted = address(tables, interface)
        return pd.concat(self._changes(tables, n, node="h1", address=wanted) for n in names)

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
            2_resolve: h1 pings h3: one question to all, one answer to h1 alone, then the echoes. h3
                need not ask, the question told it who h1 is; later it makes sure of that.
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


def _only(packets: pd.DataFrame, columns: tuple[str, ...], wanted: tuple[str, ...]) -> Verdict:
    """All packets, and at least one, have these values."""
    return all_of(
        *(
            same(set(packets[column].astype(str)), {value}, column)
            for column, value in zip(columns, wanted, strict=True)
        )
    )


def _solicited_node(target: str) -> tuple[str, str]:
    """Multicast group of an IPv6 address, and its MAC address (RFC 4291 §2.7.1, RFC 2464 §7)."""
    import ipaddress

    last = ipaddress.IPv6Address(target).packed[-3:]
    base = ipaddress.IPv6Address("ff02::1:ff00:0")
    group = ipaddress.IPv6Address(int(base) + int.from_bytes(last, "big"))
    return str(group), "33:33:" + group.packed[-4:].hex(":")
