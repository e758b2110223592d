"""IPv4 addressing: masks, prefixes, special addresses, translation, and the header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from testbed import exchange
from testbed.acts import Act, filter_packets, in_order, nothing, program, sysctl, zeros
from testbed.claims import Verdict, all_of, at_least, at_most, claim, holds, near
from testbed.evidence import in_rows, of_packets
from testbed.exchange import address, mac, pick, step
from testbed.experiment import Experiment, Tables
from testbed.parameters import param
from testbed.shape import LinkShape
from topologies.site import Site

if TYPE_CHECKING:
    from testbed.data import ScenarioData
    from testbed.lab import Lab

ALL = "255.255.255.255"
BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
GROUP, GROUP_MAC, IGMP_GROUP = "239.1.2.3", "01:00:5e:01:02:03", "224.0.0.22"
ICMP, IGMP, UDP = 1, 2, 17
ECHO_REQUEST, ECHO_REPLY = 8, 0
PORT, OWN_PORT = 7, 5000
"""The echo service, and the source port that both clients behind the translator use."""

INSIDE, OUTSIDE = "172.20.63.254", "172.20.64.1"
"""The last address of the first /18 of 172.20.0.0/16, and the first of the second."""

_IGMP_TO_EXCLUDE, _IGMP_TO_INCLUDE = 4, 3
"""IGMPv3 record types: joined, left (RFC 3376 §4.2.12)."""

FAULTS = (
    "none", "classful", "on-link", "one-route", "small-aggregate", "forwarding", "open-loopback",
    "no-join", "no-nat", "raised", "options", "relay",
)  # fmt: skip


class Addressing(Experiment):
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
    programs = ("ping", "arping", "ip", "socat", "nft")

    # ---- in the network

    def topology(self) -> Site:
        """h1 and h3 on one LAN; h2 behind three routers, h4 behind one."""
        shape = LinkShape(delay_ms=self.params.delay_ms)
        return Site(path=shape, narrow=shape)

    def run(self, lab: Lab) -> None:
        """All steps, one after another."""
        lab.capture("h1-eth0", "h3-eth0", "r2-eth0", "r3-eth0", "h2-eth0", "h4-eth0")
        for name, act in self._steps(lab).items():
            step(lab, name, quiet_s=2.0)
            act(lab)

    def _steps(self, lab: Lab) -> dict[str, Act]:
        on = self.params.faults
        far, branch = lab.address("h2"), lab.address("h4")
        to_r2, to_r4 = (
            str(lab.net.interface("r2-eth0").IP()),
            str(lab.net.interface("r4-eth0").IP()),
        )
        bits = 16 if "classful" in on else 18
        directed = far.rsplit(".", 1)[0] + ".255"
        size = 23 if "small-aggregate" in on else 22
        return {
            "header": in_order(
                filter_packets("r2", "prerouting", "ip ttl set 100") if "raised" in on
                else nothing,
                program("h1", "ping", "-n", "-c", "3", "-i", "0.2", "-W", "1",
                        *(("-R",) if "options" in on else ()), far),
            ),
            "mask": in_order(
                _ip("h1", "addr", "add", f"172.20.0.1/{bits}", "dev", "h1-eth0"),
                _ping("h1", INSIDE), _ping("h1", OUTSIDE),
                _ip("h1", "addr", "del", f"172.20.0.1/{bits}", "dev", "h1-eth0"),
            ),
            "one-wire": in_order(
                _ip("h3", "addr", "add", "10.9.9.9/24", "dev", "h3-eth0"),
                _ip("h1", "route", "add", "10.9.9.0/24", "dev", "h1-eth0")
                if "on-link" in on else nothing,
                _ping("h1", "10.9.9.9"),
            ),
            "longest-prefix": in_order(
                _ip("r1", "route", "add", "203.0.113.0/24", "via", to_r4),
                nothing if "one-route" in on
                else _ip("r1", "route", "add", "203.0.113.128/25", "via", to_r2),
                _ping("h1", "203.0.113.5"), _ping("h1", "203.0.113.200"),
            ),
            "aggregate": in_order(
                *(_ip("r4", "route", "add", f"198.18.{i}.0/24", "via", branch) for i in range(5)),
                _ip("r1", "route", "add", f"198.18.0.0/{size}", "via", to_r4),
                *(_ping("h1", f"198.18.{i}.1") for i in range(5)),
            ),
            "limited": in_order(
                _relay if "relay" in on else nothing,
                zeros("h1", f"UDP4-SENDTO:{ALL}:9,broadcast"),
            ),
            "directed": in_order(
                *(sysctl("r3", f"net.ipv4.conf.{i}.bc_forwarding", 1)
                  for i in ("all", "r3-eth0", "r3-eth1") if "forwarding" in on),
                zeros("h1", f"UDP4-SENDTO:{directed}:9,broadcast"),
            ),
            "loopback": in_order(
                program("h1", "arping", "-c", "1", "-I", "h1-eth0", "127.0.0.1")
                if "open-loopback" in on else nothing,
                _ping("h1", "127.0.0.1"),
            ),
            "group": self._group,
            "translated": in_order(
                nothing if "no-nat" in on else program(
                    "r1", "nft", "add table ip nat; add chain ip nat post { type nat hook "
                    "postrouting priority 100; }; add rule ip nat post oifname r1-eth1 masquerade",
                ),
                _echo(far),
            ),
        }  # fmt: skip

    def _group(self, lab: Lab) -> None:
        """h3 joins a group, h1 sends to it, h3 leaves."""
        join = () if "no-join" in self.params.faults else (f",ip-add-membership={GROUP}:h3-eth0",)
        receiver = lab.start("h3", "socat", "-u", f"UDP4-RECV:9{''.join(join)}",
                             "OPEN:/run/heard,creat,trunc")  # fmt: skip
        lab.sleep(3)
        zeros("h1", f"UDP4-SENDTO:{GROUP}:9,ip-multicast-if={lab.address('h1')}")(lab)
        lab.sleep(1)
        receiver.stop()
        lab.sleep(3)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets by step."""
        return exchange.measure(data, ("payload", "ip_dscp", "ip_ecn", "ip_checksum_ok"))

    # ---- claims

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
        return all_of(
            [
                holds(wanted == [INSIDE], observed=f"ARP for {wanted}", expected=f"for {INSIDE}"),
                at_least(len(routed), 1, unit=f"packets to {OUTSIDE} by the router"),
            ]
        ).because(*of_packets("ARP", asked), *of_packets("by the router", routed))

    @claim(
        "Two hosts on one wire but in different subnets do not talk directly: the sender uses its "
        "router.",
        source="RFC 1122 §3.3.1.1",
    )
    def one_wire_two_subnets(self, tables: Tables) -> Verdict:
        """h3 is 10.9.9.9 now; h1 pings that address."""
        asked = pick(tables, "one-wire", "h1-eth0", arp_op=1, arp_target_ip="10.9.9.9",
                     arp_sender_ip=address(tables, "h1-eth0"))  # fmt: skip
        sent = pick(tables, "one-wire", "h1-eth0", icmp_type=ECHO_REQUEST)
        way = sorted(set(sent["eth_dst"]))
        return all_of(
            [
                at_most(len(asked), 0, unit="ARP requests for 10.9.9.9 by h1"),
                holds(way == [mac(tables, "r1-eth0")], observed=f"sent to {way}",
                      expected="sent to r1"),
            ]
        ).because(*of_packets("sent", sent))  # fmt: skip

    @claim(
        "Of all routes that match, the one with the longest prefix wins.",
        source="RFC 1812 §5.2.4.3, RFC 4632 §5.1",
    )
    def longest_prefix_wins(self, tables: Tables) -> Verdict:
        """203.0.113.0/24 by r4, 203.0.113.128/25 by r2, and a default route."""
        low = pick(tables, "longest-prefix", "r2-eth0", ip_dst="203.0.113.5")
        high = pick(tables, "longest-prefix", "r2-eth0", ip_dst="203.0.113.200")
        sent = pick(tables, "longest-prefix", "h1-eth0", icmp_type=ECHO_REQUEST)
        return all_of(
            [
                at_most(len(low), 0, unit="packets for .5 by r2"),
                at_least(len(high), 1, unit="packets for .200 by r2"),
            ]
        ).because(*of_packets("sent", sent), *of_packets("by r2", pd.concat([low, high])))

    @claim(
        "One route can stand for many networks: 198.18.0.0/22 carries four /24, and not the fifth.",
        source="RFC 4632 §3, §4",
    )
    def one_route_carries_four_networks(self, tables: Tables) -> Verdict:
        """Which of five networks' packets reach the branch."""
        came = pick(tables, "aggregate", "h4-eth0", icmp_type=ECHO_REQUEST)
        found = sorted(set(came["ip_dst"].astype(str)))
        wanted = [f"198.18.{i}.1" for i in range(4)]
        return holds(found == wanted, observed=f"{found}", expected=f"{wanted}").because(
            *of_packets("at the branch", came)
        )

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
            [
                near(len(near_by), 1, abs=0, unit="datagrams at h3"),
                holds(frames == [BROADCAST_MAC], observed=f"frames to {frames}",
                      expected=f"frames to {BROADCAST_MAC}"),
                at_most(len(beyond), 0, unit="behind a router"),
            ]
        ).because(*of_packets("at h3", near_by))  # fmt: skip

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
            [
                near(len(on_way), 1, abs=0, unit="packets at r3"),
                at_most(len(arrived), 0, unit="on h2's LAN"),
            ]
        ).because(*of_packets("on the way", pd.concat([on_way, arrived])))

    @claim("Packets to 127/8 never appear on a wire.", source="RFC 1122 §3.2.1.3 (g), RFC 6890")
    def loopback_stays_inside(self, tables: Tables) -> Verdict:
        """h1 pings 127.0.0.1."""
        steps = tables.of("steps", step="loopback")
        seen = pick(tables, "loopback", "h1-eth0")
        asked = seen[seen["ip_dst"].fillna("").str.startswith("127.")
                     | seen["arp_target_ip"].fillna("").str.startswith("127.")]  # fmt: skip
        return at_most(len(asked), 0, unit="packets on the wire").because(
            in_rows("the step", "main", steps[["time_s", "step"]]), *of_packets("seen", asked)
        )

    @claim(
        "A host joins a multicast group by an IGMP report with TTL 1, and leaves by another; the "
        "group's frames go to a MAC address made of the group's last 23 bits.",
        source="RFC 3376 §4, §5.1; RFC 1112 §6.4",
    )
    def groups_are_joined_and_left(self, tables: Tables) -> Verdict:
        """h3 joins, h1 sends one datagram, h3 leaves."""
        said = pick(tables, "group", "h3-eth0", ip_proto=IGMP, ip_dst=IGMP_GROUP,
                    ip_src=address(tables, "h3-eth0"))  # fmt: skip
        records = [_igmp_record(p) for p in said["payload"]]
        kinds = list(dict.fromkeys(kind for kind, group in records if group == GROUP))
        sent = pick(tables, "group", "h3-eth0", ip_dst=GROUP, ip_proto=UDP)
        return all_of(
            [
                holds(kinds == [_IGMP_TO_EXCLUDE, _IGMP_TO_INCLUDE],
                      observed=f"reports of {GROUP}: {kinds}", expected="4 (join), 3 (leave)"),
                holds({int(t) for t in said["ip_ttl"]} == {1},
                      observed=f"TTL {sorted({int(t) for t in said['ip_ttl']})}",
                      expected="TTL 1"),
                holds(set(sent["eth_dst"]) == {GROUP_MAC},
                      observed=f"frames to {sorted(set(sent['eth_dst']))}", expected=GROUP_MAC),
            ]
        ).because(*of_packets("reports", said), *of_packets("to the group", sent))  # fmt: skip

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
        return all_of(
            [
                holds(sources == [_translator(tables)], observed=f"outside: from {sources}",
                      expected=f"outside: from {_translator(tables)} (r1)"),
                near(outside["udp_sport"].nunique(), 2, abs=0, unit="ports outside"),
                holds(back == {address(tables, "h1-eth0"), address(tables, "h3-eth0")},
                      observed=f"answers inside: to {sorted(back)}", expected="to h1 and h3"),
            ]
        ).because(*of_packets("outside", outside), *of_packets("inside", inside))  # fmt: skip

    @claim(
        "Every router lowers the TTL and so makes a new header checksum; addresses, identification "
        "and protocol stay.",
        source="RFC 791 p. 14, 30; RFC 1812 §5.3.1; RFC 1624",
    )
    def routers_change_ttl_and_checksum_only(self, tables: Tables) -> Verdict:
        """The three pings as they pass each capture."""
        places = ("h1-eth0", "r2-eth0", "r3-eth0", "h2-eth0")
        seen = {p: pick(tables, "header", p, icmp_type=ECHO_REQUEST) for p in places}
        kept = ["ip_src", "ip_dst", "ip_id", "ip_proto", "ip_bytes"]
        first = seen["h1-eth0"][kept].astype(str).to_numpy().tolist()
        same = all(p[kept].astype(str).to_numpy().tolist() == first for p in seen.values())
        ttls = {p: sorted({int(t) for t in rows["ip_ttl"]}) for p, rows in seen.items()}
        bad = sum(int((~rows["ip_checksum_ok"].fillna(False)).sum()) for rows in seen.values())
        return all_of(
            [
                holds(list(ttls.values()) == [[64], [63], [62], [61]], observed=f"TTL {ttls}",
                      expected="64, 63, 62, 61"),
                at_most(bad, 0, unit="wrong checksums"),
                holds(same and bool(first), observed=f"other fields the same: {same}",
                      expected="the same"),
            ]
        ).because(*of_packets("on their way", pd.concat(seen.values())))  # fmt: skip

    @claim(
        "The header has 20 bytes without options; total length counts header and payload.",
        source="RFC 791 §3.1",
    )
    def header_has_twenty_bytes(self, tables: Tables) -> Verdict:
        """A ping of 56 bytes: 20 of IP, 8 of ICMP; every field in the evidence."""
        sent = pick(tables, "header", "h2-eth0", icmp_type=ECHO_REQUEST).head(1)
        if sent.empty:
            return holds(False, observed="no ping arrived", expected="a ping")
        packet = sent.iloc[0]
        fields = pd.DataFrame(
            [{"field": f, "value": str(packet[c]), "meaning": m} for f, c, m in FIELDS]
        )
        return all_of(
            [
                near(int(packet["ip_version"]), 4, abs=0, unit="version"),
                near(int(packet["ip_header_bytes"]), 20, abs=0, unit="bytes of header"),
                near(int(packet["ip_bytes"]), 20 + 8 + 56, abs=0, unit="bytes in total"),
                near(int(packet["ip_proto"]), ICMP, abs=0, unit="protocol"),
            ]
        ).because(in_rows("the header, field by field", "main", fields), *of_packets("it", sent))

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str]:
        """Ladders: a group joined and left, and both sides of the translator."""
        return {
            "1_multicast_group": exchange.ladder(tables, "group", "h3-eth0", ip_version=4),
            "2_translated_outside": exchange.ladder(tables, "translated", "r2-eth0", ip_version=4),
            "3_translated_inside": exchange.ladder(tables, "translated", "h1-eth0", ip_version=4),
        }


FIELDS = (
    ("version", "ip_version", "4 bits: 4"),
    ("header length", "ip_header_bytes", "4 bits, in units of 4 bytes"),
    ("type of service", "ip_dscp", "6 bits DSCP: the class of service"),
    ("ECN", "ip_ecn", "2 bits: congestion marks"),
    ("total length", "ip_bytes", "16 bits: header and payload, at most 65535"),
    ("identification", "ip_id", "16 bits: the same in all fragments"),
    ("don't fragment", "ip_df", "1 bit"),
    ("more fragments", "ip_mf", "1 bit"),
    ("fragment offset", "ip_offset_bytes", "13 bits, in units of 8 bytes"),
    ("time to live", "ip_ttl", "8 bits: routers left to pass"),
    ("protocol", "ip_proto", "8 bits: 1 ICMP, 2 IGMP, 6 TCP, 17 UDP, 47 GRE, 50 ESP"),
    ("header checksum", "ip_checksum_ok", "16 bits over the header, made anew at each hop"),
)  # source and destination stand in the packet's row


def _ping(node: str, target: str) -> Act:
    return program(node, "ping", "-n", "-c", "1", "-W", "1", target)


def _ip(node: str, *words: str) -> Act:
    return program(node, "ip", *words)


def _relay(lab: Lab) -> None:
    """r1 passes broadcasts on, as no router should."""
    lab.start("r1", "socat", "-u", "UDP4-RECV:9,so-bindtodevice=r1-eth0",
              f"UDP4-SENDTO:{ALL}:9,broadcast,so-bindtodevice=r1-eth1")  # fmt: skip
    lab.sleep(0.5)


def _echo(far: str) -> Act:
    """h1 and h3 ask the echo service of h2, from one and the same port."""

    def act(lab: Lab) -> None:
        service = lab.start("h2", "socat", f"UDP4-LISTEN:{PORT},fork,reuseaddr", "PIPE")
        lab.sleep(0.2)
        asking = [
            lab.start(h, "socat", "-T1", "OPEN:/dev/zero,readbytes=10!!OPEN:/dev/null,wronly",
                      f"UDP4:{far}:{PORT},sourceport={OWN_PORT}")
            for h in ("h1", "h3")
        ]  # fmt: skip
        for client in asking:
            client.wait(30)
        service.stop()

    return act


def _igmp_record(payload: bytes) -> tuple[int, str]:
    """Type and group of the first record of an IGMPv3 report (RFC 3376 §4.2)."""
    if len(payload) < 16 or payload[0] != 0x22:
        return 0, ""
    return payload[8], ".".join(str(b) for b in payload[12:16])


def _translator(tables: Tables) -> str:
    return address(tables, "r1-eth1")
