"""The network engine: Mininet's API over netlink. Start with `Network`."""

from testbed.net.link import Intf, Link
from testbed.net.network import Network
from testbed.net.node import Host, Router
from testbed.net.owned import Leftover, leftovers, remove
from testbed.net.switch import Switch

__all__ = [
    "Host", "Intf", "Leftover", "Link", "Network", "Router", "Switch", "leftovers", "remove",
]  # fmt: skip
