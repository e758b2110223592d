"""IPv4 addressing: masks, prefixes, special addresses, translation, and the header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.dissect import igmp, ipv4
from analysis.plots import headers as plots
from testbed import (
    Action,
    LinkShape,
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
    masquerade,
    near,
    nothing,
    param,
    pick,
    ping,
    program,
    same,
    sysctl,
    tunnels,
    zeros,
)
from testbed import steps as exchange
from topologies.site import Site

from .header import (
    ECHO_REQUEST,
    EXPEDITED,
    FIRST_TTLS,
    IGMP,
    IGMP_GROUP,
    UDP,
    Ipv4Header,
    header_fields,
)

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

ALL = "255.255.255.255"
BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
GROUP, GROUP_MAC = "239.1.2.3", "01:00:5e:01:02:03"
PORT, OWN_PORT = 7, 5000
"""The echo service, and the source port that both clients behind the translator use."""

INNER = ("10.99.0.1", "10.99.0.2")
"""Addresses of h1 and h2 inside their tunnel."""

INSIDE, OUTSIDE = "172.20.63.254", "172.20.64.1"
"""The last address of the first /18 of 172.20.0.0/16, and the first of the second."""

LINK_LOCAL = "169.254.7.7"

CLASSES = {
    "A": ("9.1.2.3", "8"),
    "B": ("128.1.2.3", "16"),
    "C": ("192.1.2.3", "24"),
    "D": ("224.1.2.3", "refused"),
    "E": ("240.1.2.3", "32"),
}
"""An address of each class, and the length of the mask that came with it."""

FAULTS = tuple(
    (
        "none classful on-link one-route small-aggregate forwarding open-loopback "
        "no-join no-nat raised options relay classless no-record plain unfiltered "
        "bleached"
    ).split()
)


class Addressing(Ipv4Header):
    """IPv4 addressing: which hosts are neighbours, which route wins, and what never leaves.

    Masks decide what h1 sends to its neighbours and what to its router. r1 chooses among routes by
    the longest prefix and carries four networks by one route. Broadcasts, loopback and multicast
    groups show how far each goes. Two hosts share one public address behind a translator. A ping
    across three routers shows every field of the header.

    `faults` break things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(1.0, "delay of each link of the path", unit="ms", low=0, high=1000)
        faults: tuple[str, ...] = param(
            ("none",), "what is broken on purpose: see which claims fall", choices=FAULTS
        )

    params: Parameters
    programs = ("ping", "arping", "ip", "socat", "nft", "busybox")

    # ---- in the network

    def topology(self) -> Site:
        """h1 and h3 on one LAN; h2 behind three routers, h4 behind one."""
        shape = LinkShape(delay_ms=self.params.delay_ms)
        return Site(path=shape, narrow=shape)

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another."""
        net.capture("h1-eth0", "h3-eth0", "r2-eth0", "r3-eth0", "h2-eth0", "h4-eth0")
        exchange.play(net, self._steps(net), quiet_s=2.0)

    def _steps(self, net: RunningNetwork) -> dict[str, Action]:
        on = self.params.faults
        me, far, branch = (net.address(h) for h in ("h1", "h2", "h4"))
        to_r2, to_r4 = (
            str(net.network.interface("r2-eth0").IP()),
            str(net.network.interface("r4-eth0").IP()),
        )
        bits = 16 if "classful" in on else 18
        directed = far.rsplit(".", 1)[0] + ".255"
        size = 23 if "small-aggregate" in on else 22
        return {
            "header": in_order(
                filter_packets("r2", "prerouting", "ip ttl set 100") if "raised" in on else nothing,
                ping("h1", far, 3)
                if "options" not in on
                else program("h1", "ping", "-n", "-c", "3", "-i", "0.2", "-R", far),
            ),
            "recorded": program(
                "h1",
                "ping",
                "-n",
                "-c",
                "1",
                "-W",
                "1",
                *(() if "no-record" in on else ("-R",)),
                far,
            ),
            "first-ttl": in_order(
                *(
                    in_order(sysctl("h1", "net.ipv4.ip_default_ttl", ttl), ping("h1", far))
                    for ttl in (*FIRST_TTLS, 64)
                )
            ),
            "marked": in_order(
                filter_packets("r2", "prerouting", "ip dscp set 0")
                if "bleached" in on
                else nothing,
                program("h1", "ping", "-n", "-c", "1", "-Q", f"{EXPEDITED << 2}", far),
            ),
            "link-local": in_order(
                ip("h1", "addr", "add", f"{LINK_LOCAL}/16", "dev", "h1-eth0"), _from_link_local(far)
            ),
            "kept-local": in_order(
                nothing
                if "unfiltered" in on
                else filter_packets("r1", "forward", "ip saddr 169.254.0.0/16 drop"),
                _from_link_local(far),
                ip("h1", "addr", "del", f"{LINK_LOCAL}/16", "dev", "h1-eth0"),
            ),
            "classes": in_order(
                *(
                    program(
                        "h4",
                        "busybox",
                        "ifconfig",
                        f"h4-eth0:{name}",
                        ip,
                        *(("netmask", "255.255.240.0") if "classless" in on else ()),
                    )
                    for name, (ip, _) in CLASSES.items()
                ),
                program("h4", "ip", "-4", "-o", "addr", "show", "dev", "h4-eth0", log="classes"),
                *(
                    program("h4", "ip", "addr", "flush", "label", f"h4-eth0:{name}")
                    for name in CLASSES
                ),
            ),
            "mask": in_order(
                ip("h1", "addr", "add", f"172.20.0.1/{bits}", "dev", "h1-eth0"),
                ping("h1", INSIDE),
                ping("h1", OUTSIDE),
                ip("h1", "addr", "del", f"172.20.0.1/{bits}", "dev", "h1-eth0"),
            ),
            "one-wire": in_order(
                ip("h3", "addr", "add", "10.9.9.9/24", "dev", "h3-eth0"),
                ip("h1", "route", "add", "10.9.9.0/24", "dev", "h1-eth0")
                if "on-link" in on
                else nothing,
                ping("h1", "10.9.9.9"),
            ),
            "longest-prefix": in_order(
                ip("r1", "route", "add", "203.0.113.0/24", "via", to_r4),
                nothing
                if "one-route" in on
                else ip("r1", "route", "add", "203.0.113.128/25", "via", to_r2),
                ping("h1", "203.0.113.5"),
                ping("h1", "203.0.113.200"),
            ),
            "aggregate": in_order(
                *(ip("r4", "route", "add", f"198.18.{i}.0/24", "via", branch) for i in range(5)),
                ip("r1", "route", "add", f"198.18.0.0/{size}", "via", to_r4),
                *(ping("h1", f"198.18.{i}.1") for i in range(5)),
            ),
            "limited": in_order(
                _relay if "relay" in on else nothing, zeros("h1", f"UDP4-SENDTO:{ALL}:9,broadcast")
            ),
            "directed": in_order(
                *(
                    sysctl("r3", f"net.ipv4.conf.{i}.bc_forwarding", 1)
                    for i in ("all", "r3-eth0", "r3-eth1")
                    if "forwarding" in on
                ),
                zeros("h1", f"UDP4-SENDTO:{directed}:9,broadcast"),
            ),
            "loopback": in_order(
                program("h1", "arping", "-c", "1", "-I", "h1-eth0", "127.0.0.1")
                if "open-loopback" in on
                else nothing,
                ping("h1", "127.0.0.1"),
            ),
            "group": self._group,
            "segment": zeros("h1", f"TCP4:{far}:9"),
            "tunnel": in_order(
                nothing if "plain" in on else tunnels.gre(("h1", "h2"), (me, far), INNER),
                ping("h1", INNER[1]),
            ),
            "sealed": in_order(
                nothing if "plain" in on else tunnels.seal(("h1", "h2"), (me, far)),
                ping("h1", far),
                tunnels.unseal("h1", "h2"),
            ),
            "translated": in_order(
                nothing if "no-nat" in on else masquerade("r1", "r1-eth1"), _echo(far)
            ),
        }

    def _group(self, net: RunningNetwork) -> None:
        """h3 joins a group, h1 sends to it, h3 leaves."""
        join = () if "no-join" in self.params.faults else (f",ip-add-membership={GROUP}:h3-eth0",)
        receiver = net.start(
            "h3", "socat", "-u", f"UDP4-RECV:9{''.join(join)}", "OPEN:/run/heard,creat,trunc"
        )
        net.sleep(3)
        zeros("h1", f"UDP4-SENDTO:{GROUP}:9,ip-multicast-if={net.address('h1')}")(net)
        net.sleep(1)
        receiver.stop()
        net.sleep(3)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets by step, headers field by field, and what h4 was told of its addresses."""
        tables = exchange.measure(data, ("payload", "ip_checksum_ok", "ip_dscp"))
        tables["headers"], noted = header_fields(data, tables["packets"])
        tables["told"] = pd.DataFrame([{"classes": data.log("classes"), "noted": noted}])
        return tables

    # ---- claims

    @claim(
        "The first bits of an address are its class, and a class was a mask: A (0) is /8, B (10) "
        "/16, C (110) /24; D (1110) is for groups, no host has it; E (1111) is reserved.",
        source="RFC 791 p. 24, RFC 1112 §4, RFC 3330 (history; RFC 4632 ended it)",
    )
    def classes_are_masks(self, tables: Tables) -> Verdict:
        """Addresses given to h4 without a mask: what the kernel makes of each."""
        told = tables.row("told")["classes"]
        found = {
            name: next(iter(re.findall(rf"inet {re.escape(ip)}/(\d+)", told)), "refused")
            for name, (ip, _) in CLASSES.items()
        }
        rows = [
            {
                "class": name,
                "first bits": f"{int(ip.split('.')[0]):08b}"[:4],
                "address": ip,
                "mask": f"/{found[name]}",
            }
            for name, (ip, _) in CLASSES.items()
        ]
        wanted = {name: mask for name, (_, mask) in CLASSES.items()}
        return same(found, wanted, "masks").because("classes", pd.DataFrame(rows), scenario="main")

    @claim(
        "The mask decides who is a neighbour: in 172.20.0.0/18 (a class B network with two subnet "
        "bits) 172.20.63.254 is one, 172.20.64.1 is not.",
        source="RFC 950, RFC 1122 §3.3.1.1, RFC 4632",
    )
    def mask_decides_who_is_near(self, tables: Tables) -> Verdict:
        """h1 as 172.20.0.1/18: whom it asks for by ARP, and what goes to its router."""
        asked = pick(tables, "mask", "h1-eth0", arp_op=1)
        asked = asked[asked["arp_target_ip"].str.startswith("172.20.")]
        wanted = sorted(set(asked["arp_target_ip"]))
        routed = pick(tables, "mask", "h1-eth0", ip_dst=OUTSIDE, eth_dst=mac(tables, "r1-eth0"))
        return (
            all_of(
                same(wanted, [INSIDE], "ARP for"),
                at_least(len(routed), 1, unit=f"packets to {OUTSIDE} by the router"),
            )
            .because("ARP", asked)
            .because("by the router", routed)
        )

    @claim(
        "Two hosts on one wire but in different subnets do not talk directly: the sender uses its "
        "router.",
        source="RFC 1122 §3.3.1.1",
    )
    def one_wire_two_subnets(self, tables: Tables) -> Verdict:
        """h3 is 10.9.9.9 now; h1 pings that address."""
        asked = pick(
            tables,
            "one-wire",
            "h1-eth0",
            arp_op=1,
            arp_target_ip="10.9.9.9",
            arp_sender_ip=address(tables, "h1-eth0"),
        )
        sent = pick(tables, "one-wire", "h1-eth0", icmp_type=ECHO_REQUEST)
        way = sorted(set(sent["eth_dst"]))
        return all_of(
            at_most(len(asked), 0, unit="ARP requests for 10.9.9.9 by h1"),
            same(way, [mac(tables, "r1-eth0")], "sent to"),
        ).because("sent", sent)

    @claim(
        "Of all routes that match, the one with the longest prefix wins.",
        source="RFC 1812 §5.2.4.3, RFC 4632 §5.1",
    )
    def longest_prefix_wins(self, tables: Tables) -> Verdict:
        """203.0.113.0/24 by r4, 203.0.113.128/25 by r2, and a default route."""
        low = pick(tables, "longest-prefix", "r2-eth0", ip_dst="203.0.113.5")
        high = pick(tables, "longest-prefix", "r2-eth0", ip_dst="203.0.113.200")
        sent = pick(tables, "longest-prefix", "h1-eth0", icmp_type=ECHO_REQUEST)
        return (
            all_of(
                at_most(len(low), 0, unit="packets for .5 by r2"),
                at_least(len(high), 1, unit="packets for .200 by r2"),
            )
            .because("sent", sent)
            .because("by r2", pd.concat([low, high]))
        )

    @claim(
        "One route can stand for many networks: 198.18.0.0/22 carries four /24, and not the fifth.",
        source="RFC 4632 §3, §4",
    )
    def one_route_carries_four_networks(self, tables: Tables) -> Verdict:
        """Which of five networks' packets reach the branch."""
        came = pick(tables, "aggregate", "h4-eth0", icmp_type=ECHO_REQUEST)
        found = sorted(set(came["ip_dst"].astype(str)))
        wanted = [f"198.18.{i}.1" for i in range(4)]
        return same(found, wanted, "at the branch").because("at the branch", came)

    @claim(
        "The limited broadcast 255.255.255.255 reaches all hosts of the LAN and no router passes "
        "it on.",
        source="RFC 919 §7, RFC 1812 §5.3.5.1",
    )
    def limited_broadcast_stays(self, tables: Tables) -> Verdict:
        """One datagram to everybody."""
        near_by = pick(tables, "limited", "h3-eth0", ip_dst=ALL)
        beyond = pd.concat(pick(tables, "limited", c, ip_dst=ALL) for c in ("r2-eth0", "h4-eth0"))
        frames = sorted(set(near_by["eth_dst"]))
        return all_of(
            near(len(near_by), 1, abs=0, unit="datagrams at h3"),
            same(frames, [BROADCAST_MAC], "frames to"),
            at_most(len(beyond), 0, unit="behind a router"),
        ).because("at h3", near_by)

    @claim(
        "A directed broadcast travels as an ordinary packet to its network; the last router does "
        "not make a broadcast of it unless told to.",
        source="RFC 2644, RFC 1812 §5.3.5.2",
    )
    def directed_broadcast_ends_at_the_last_router(self, tables: Tables) -> Verdict:
        """A datagram to the broadcast address of h2's LAN."""
        target = address(tables, "h2-eth0").rsplit(".", 1)[0] + ".255"
        on_way = pick(tables, "directed", "r3-eth0", ip_dst=target)
        arrived = pick(tables, "directed", "h2-eth0", ip_dst=target)
        return all_of(
            near(len(on_way), 1, abs=0, unit="packets at r3"),
            at_most(len(arrived), 0, unit="on h2's LAN"),
        ).because("on the way", pd.concat([on_way, arrived]))

    @claim("Packets to 127/8 never appear on a wire.", source="RFC 1122 §3.2.1.3 (g), RFC 6890")
    def loopback_stays_inside(self, tables: Tables) -> Verdict:
        """h1 pings 127.0.0.1."""
        steps = tables.of("steps", step="loopback")
        seen = pick(tables, "loopback", "h1-eth0")
        asked = seen[
            seen["ip_dst"].fillna("").str.startswith("127.")
            | seen["arp_target_ip"].fillna("").str.startswith("127.")
        ]
        return (
            at_most(len(asked), 0, unit="packets on the wire")
            .because("the step", steps[["time_s", "step"]], scenario="main")
            .because("seen", asked)
        )

    @claim(
        "A host joins a multicast group by an IGMP report with TTL 1, and leaves by another; the "
        "group's frames go to a MAC address made of the group's last 23 bits.",
        source="RFC 3376 §4, §5.1; RFC 1112 §6.4",
    )
    def groups_are_joined_and_left(self, tables: Tables) -> Verdict:
        """h3 joins, h1 sends one datagram, h3 leaves."""
        said = pick(
            tables,
            "group",
            "h3-eth0",
            ip_proto=IGMP,
            ip_dst=IGMP_GROUP,
            ip_src=address(tables, "h3-eth0"),
        )
        records = [igmp.record(p) for p in said["payload"]]
        kinds = list(dict.fromkeys(kind for kind, group in records if group == GROUP))
        sent = pick(tables, "group", "h3-eth0", ip_dst=GROUP, ip_proto=UDP)
        return (
            all_of(
                same(kinds, [igmp.JOINED, igmp.LEFT], f"reports of {GROUP}"),
                same({int(t) for t in said["ip_ttl"]}, {1}, "TTL"),
                same(set(sent["eth_dst"]), {GROUP_MAC}, "frames to"),
            )
            .because("reports", said)
            .because("to the group", sent)
        )

    @claim(
        "A translator lets many private addresses share one: it changes source address and, where "
        "needed, port on the way out, and back on the way in.",
        source="RFC 3022 §2.2, RFC 4787 §4; RFC 1918",
    )
    def translator_shares_one_address(self, tables: Tables) -> Verdict:
        """h1 and h3 ask h2's echo service from the same port at the same time."""
        far = address(tables, "h2-eth0")
        outside = pick(tables, "translated", "r2-eth0", ip_dst=far, udp_dport=PORT)
        inside = pd.concat(
            pick(tables, "translated", f"{h}-eth0", ip_src=far, udp_dport=OWN_PORT)
            for h in ("h1", "h3")
        )
        sources = sorted(set(outside["ip_src"].astype(str)))
        back = set(inside["ip_dst"].astype(str))
        return (
            all_of(
                same(sources, [address(tables, "r1-eth1")], "outside from"),
                near(outside["udp_sport"].nunique(), 2, abs=0, unit="ports outside"),
                same(
                    back,
                    {address(tables, "h1-eth0"), address(tables, "h3-eth0")},
                    "answers inside to",
                ),
            )
            .because("translations", self._translations(tables), scenario="main")
            .because("outside", outside)
            .because("inside", inside)
        )

    def _translations(self, tables: Tables) -> pd.DataFrame:
        """Each datagram to the echo service inside and outside, matched by identification."""
        far = address(tables, "h2-eth0")
        inside, outside = (
            pd.concat(pick(tables, "translated", c, ip_dst=far, udp_dport=PORT) for c in captures)
            for captures in (("h1-eth0", "h3-eth0"), ("r2-eth0",))
        )
        both = inside.merge(outside, on="ip_id", suffixes=("", "_outside"))
        both = both.drop_duplicates(["ip_src", "udp_sport"])
        return pd.DataFrame(
            {
                end: [
                    f"{ip}:{port}"
                    for ip, port in zip(
                        both[f"ip_src{suffix}"], both[f"udp_sport{suffix}"], strict=True
                    )
                ]
                for end, suffix in (("inside", ""), ("outside", "_outside"))
            }
        )

    @claim(
        "No router may pass on packets from or to 169.254/16; Linux does, unless a filter keeps "
        "them.",
        source="RFC 3927 §2.7, §7; RFC 6890",
    )
    def link_local_is_not_forwarded(self, tables: Tables) -> Verdict:
        """h1 pings h2 from 169.254.7.7: by r1 as it is, and with the filter the standard asks."""

        def sent(name: str, capture: str) -> pd.DataFrame:
            return pick(tables, name, capture, icmp_type=ECHO_REQUEST, ip_src=LINK_LOCAL)

        bare, asked, passed = (
            sent("link-local", "r2-eth0"),
            sent("kept-local", "h1-eth0"),
            sent("kept-local", "r2-eth0"),
        )
        return (
            all_of(
                at_least(len(bare), 1, unit="packets passed on by Linux as it is"),
                at_least(len(asked), 1, unit="packets sent to the filter"),
                at_most(len(passed), 0, unit="of them behind r1"),
            )
            .because("sent", asked)
            .because("behind r1", pd.concat([bare, passed]))
        )

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """The header on its way; ladders: a group joined and left, the translator's sides.

        Figures:
            1_header: One packet's IPv4 header, field by field, as it left h1 and as it reached h2;
                coloured is what the routers changed on its way.
            2_multicast_group: h3 joins a group by IGMP, gets what h1 sends to it, and says when it
                leaves.
            3_translated_outside: Two clients behind the translator, both at source port 5000, as
                the outside sees them: one address, and another port for the second client.
            4_translated_inside: The same exchange as h1 sees it, with its own address and port; h1
                notices nothing of the translation.
        """
        fields = tables.of("headers")
        headers = {
            f"{where} ({capture})": [
                ipv4.Field(f["field"], int(f["bits"]), f["value"], f["meaning"])
                for f in fields[fields["capture"] == capture].to_dict("records")
            ]
            for where, capture in (("as it left h1", "h1-eth0"), ("as it reached h2", "h2-eth0"))
        }
        return {
            "1_header": plots.ipv4(headers),
            "2_multicast_group": exchange.ladder(tables, "group", "h3-eth0", ip_version=4),
            "3_translated_outside": exchange.ladder(tables, "translated", "r2-eth0", ip_version=4),
            "4_translated_inside": exchange.ladder(tables, "translated", "h1-eth0", ip_version=4),
        }


def _from_link_local(target: str) -> Action:
    return program("h1", "ping", "-n", "-c", "1", "-W", "1", "-I", LINK_LOCAL, target)


def _relay(net: RunningNetwork) -> None:
    """r1 passes broadcasts on, as no router should."""
    net.start(
        "r1",
        "socat",
        "-u",
        "UDP4-RECV:9,so-bindtodevice=r1-eth0",
        f"UDP4-SENDTO:{ALL}:9,broadcast,so-bindtodevice=r1-eth1",
    )
    net.sleep(0.5)


def _echo(far: str) -> Action:
    """h1 and h3 ask the echo service of h2, from one and the same port."""

    def act(net: RunningNetwork) -> None:
        service = net.start("h2", "socat", f"UDP4-LISTEN:{PORT},fork,reuseaddr", "PIPE")
        net.sleep(0.2)
        asking = [
            net.start(
                h,
                "socat",
                "-T1",
                "OPEN:/dev/zero,readbytes=10!!OPEN:/dev/null,wronly",
                f"UDP4:{far}:{PORT},sourceport={OWN_PORT}",
            )
            for h in ("h1", "h3")
        ]
        for client in asking:
            client.wait(30)
        service.stop()

    return act
