"""RIP with wrong timers, split horizon and versions, a cut nobody notices, and a rogue sender."""

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

from ..experiment import Rip

WRONG_TIMERS = {"timers basic 30 180 120": "timers basic 20 60 30"}
WRONG_HOPS = {
    "router rip\n": "access-list all permit any\nrouter rip\n offset-list all in 3 r1-eth1\n",
    "router ripng\n": "ipv6 access-list all permit any\nrouter ripng\n"
    " offset-list all in 3 r1-eth1\n",
}
DEAF = {"router rip\n": "router rip\n passive-interface default\n"}


ROGUE = """
import socket, time
rogue = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
rogue.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 64)
rogue.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("{address}"))
rogue.bind(("", 521))
time.sleep(5)
rogue.sendto(bytes([2, 2, 0, 0]) + bytes(20), ("224.0.0.9", 520))
"""
"""An answer nobody asked for, from another port, that routers may forward."""

ROGUE_NG = """
import socket, time
rogue = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
rogue.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 64)
link = socket.if_nametoindex("r1-eth1")
rogue.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link)
time.sleep(5)
rogue.sendto(bytes([2, 1, 0, 0]) + bytes(20), ("ff02::9", 521, 0, link))
"""


class WrongRip(Rip):
    """RIP as it should not be."""

    def scenarios(self) -> Mapping[str, Any]:
        """Every scenario under the right name, with the wrong thing in it."""
        right = super().scenarios()
        counting = right["off"]
        return {
            "triangle": replace(
                right["triangle"],
                split_horizon="off",
                failure="silence",
                fail_at_s=130.0,
                duration_s=150.0,
            ),
            "silent": replace(right["silent"], version=1, fail_at_s=45.0, duration_s=205.0),
            "campus": right["campus"],
            "off": replace(counting, failure="silence", duration_s=110.0),
            "next-hop": counting,
            "simple": counting,
            "poisoned": replace(right["poisoned"], split_horizon="simple"),
            "ripng": right["ripng"],
            "ripng-silent": replace(right["ripng-silent"], fail_at_s=45.0, duration_s=205.0),
            "ripng-off": replace(right["ripng-off"], split_horizon="simple", duration_s=130.0),
            "ripng-poisoned": replace(right["ripng-off"], split_horizon="off"),
        }

    def run(self, net: Any) -> None:
        """Before r1's daemons start, somebody else speaks there."""
        if self.params.topology == "triangle":
            address = next(p for p in net.network.plan.ports["r1"] if p.name == "r1-eth1").ipv4.ip
            rogue = ROGUE_NG if self.params.ipv6 else ROGUE.format(address=address)
            net.start("r1", "python3", "-c", rogue)
        super().run(net)

    def inputs(self) -> Mapping[str, str]:
        """The configurations, edited."""
        found = dict(super().inputs())
        for name, text in found.items():
            edits = {} if self.params.failure == "lost-update" else dict(WRONG_TIMERS)
            if "/r1/" in name and self.params.topology == "triangle":
                edits |= WRONG_HOPS
            if "/r5/" in name and self.params.topology == "campus":
                edits |= DEAF
            found[name] = reduce(lambda t, edit: t.replace(*edit), edits.items(), text)
        return found
