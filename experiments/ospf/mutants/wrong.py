"""OSPF gone wrong in many ways.

A late router, one that is deaf, a rogue sender, an MTU that does not fit, wrong timers, no
bandwidths, one path, no stub and no range.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

from ..experiment import Ospf

EDITS = {
    "campus": {
        "dead-interval 40": "dead-interval 20",
        "interface r1-eth0\n": "interface r1-eth0\n ip ospf passive\n ipv6 ospf6 passive\n",
    },
    "areas": {
        " area 0.0.0.1 stub\n": "",
        " area 0.0.0.1 range 10.1.0.0/16\n": "",
        " area 0.0.0.1 range fd00::/62\n": "",
    },
    "square": {
        "router ospf\n": "router ospf\n maximum-paths 1\n timers throttle spf 9000 9000 9000\n"
    },
    "triangle": {
        " bandwidth 1\n": "",
        " bandwidth 100\n": "",
        "router ospf\n": "router ospf\n timers throttle spf 9000 9000 9000\n",
    },
    "line": {"hello-interval 10": "hello-interval 7"},
}


ROGUE = """
import socket, time
rogue = socket.socket(socket.AF_INET, socket.SOCK_RAW, 89)
rogue.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 64)
rogue.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("{address}"))
time.sleep(20)
rogue.sendto(bytes([2, 1, 0, 44, 9, 9, 9, 9]) + bytes(36), ("224.0.0.5", 0))
"""
"""A hello that routers may forward."""


class WrongOspf(Ospf):
    """OSPF as it should not be."""

    def scenarios(self) -> Mapping[str, Any]:
        """Every scenario under the right name, with the wrong thing in it."""
        right = dict(super().scenarios())
        return right | {
            "campus": replace(right["campus"], late="r4", duration_s=140.0),
            "quiet": replace(
                right["quiet"],
                size=4,
                fail="r3-eth1",
                failure="cut",
                fail_at_s=400.0,
                duration_s=500.0,
            ),
            "square": replace(right["square"], failure="silence"),
            "triangle": replace(right["triangle"], odd_hello_s=4),
            "mismatch": replace(right["mismatch"], odd_hello_s=0),
            "ospfv3-campus": replace(right["ospfv3-campus"], late="r4", duration_s=140.0),
        }

    def run(self, net: Any) -> None:
        """A rogue on the campus; in the line r2 takes only shorter packets than r1 may send."""
        if self.params.topology == "campus":
            address = next(p for p in net.network.plan.ports["r1"] if p.name == "r1-eth0").ipv4.ip
            net.start("r1", "python3", "-c", ROGUE.format(address=address))
        if self.params.topology == "line":
            net.exec("r2", "ip", "link", "set", "r2-eth0", "mtu", "1400")
        super().run(net)

    def inputs(self) -> Mapping[str, str]:
        """The configurations, edited."""
        found = dict(super().inputs())
        for name, text in found.items():
            edits = EDITS[self.params.topology].items()
            found[name] = reduce(lambda t, edit: t.replace(*edit), edits, text)
        return found
