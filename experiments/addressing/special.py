"""Broadcast, loopback and groups."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import pandas as pd

from analysis.dissect import igmp
from testbed import (
    Action,
    Experiment,
    Tables,
    Verdict,
    address,
    all_of,
    at_most,
    claim,
    filter_packets,
    in_order,
    ip,
    near,
    pick,
    ping,
    program,
    same,
    sysctl,
    when,
    zeros,
)

from .header import IGMP, IGMP_GROUP, UDP

if TYPE_CHECKING:
    from testbed import RunningNetwork

ALL = "255.255.255.255"

BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"

GROUP, GROUP_MAC = "239.1.2.3", "01:00:5e:01:02:03"


LINK_LOCAL = "169.254.7.7"


def link_local_steps(faults: Collection[str], far: str) -> dict[str, Action]:
    """h1 pings h2 from a link-local address, without and with a filter in the router."""
    own = f"{LINK_LOCAL}/16"
    asks = program("h1", "ping", "-n", "-c", "1", "-W", "1", "-I", LINK_LOCAL, far)
    stop = filter_packets("r1", "forward", "ip saddr 169.254.0.0/16 drop")
    return {
        "link-local": in_order(ip("h1", "addr", "add", own, "dev", "h1-eth0"), asks),
        "kept-local": in_order(
            when("unfiltered" not in faults, stop),
            asks,
            ip("h1", "addr", "del", own, "dev", "h1-eth0"),
        ),
    }


def broadcast_steps(faults: Collection[str], far: str) -> dict[str, Action]:
    """Broadcasts of both kinds, the loopback address, and a group."""
    directed = far.rsplit(".", 1)[0] + ".255"
    forward = (
        sysctl("r3", f"net.ipv4.conf.{i}.bc_forwarding", 1) for i in ("all", "r3-eth0", "r3-eth1")
    )
    probe = program("h1", "arping", "-c", "1", "-I", "h1-eth0", "127.0.0.1")
    return {
        "limited": in_order(
            when("relay" in faults, _relay), zeros("h1", f"UDP4-SENDTO:{ALL}:9,broadcast")
        ),
        "directed": in_order(
            when("forwarding" in faults, in_order(*forward)),
            zeros("h1", f"UDP4-SENDTO:{directed}:9,broadcast"),
        ),
        "loopback": in_order(when("open-loopback" in faults, probe), ping("h1", "127.0.0.1")),
        "group": _group(joins="no-join" not in faults),
    }


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


def _group(*, joins: bool) -> Action:
    """h3 joins a group, h1 sends to it, h3 leaves."""
    join = f",ip-add-membership={GROUP}:h3-eth0" * joins

    def act(net: RunningNetwork) -> None:
        receiver = net.start(
            "h3", "socat", "-u", f"UDP4-RECV:9{join}", "OPEN:/run/heard,creat,trunc"
        )
        net.sleep(3)
        zeros("h1", f"UDP4-SENDTO:{GROUP}:9,ip-multicast-if={net.address('h1')}")(net)
        net.sleep(1)
        receiver.stop()
        net.sleep(3)

    return act


class SpecialAddresses(Experiment):
    """Broadcast, loopback and groups."""

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
        seen = pick(tables, "loopback", "h1-eth0", silent=True)
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
