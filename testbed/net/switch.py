"""A switch: a Linux bridge, set up over netlink."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from testbed.core.errors import ConfigError
from testbed.net import rtnl
from testbed.net.engine import SILENT_SETTINGS
from testbed.net.mininet_api import node as mininet_node
from testbed.net.node import NodeMixin

SWITCH_SETTINGS = {
    **SILENT_SETTINGS,
    # A bridge joins the group of snooping switches, and its report would cross all other bridges.
    "net/ipv4/igmp_link_local_mcast_reports": "0",
    # Where the machine filters bridged packets (as Docker does), its rules must not affect ours.
    **(
        {f"net/bridge/bridge-nf-call-{family}tables": "0" for family in ("arp", "ip", "ip6")}
        if Path("/proc/sys/net/bridge").is_dir()
        else {}
    ),
}


class Switch(NodeMixin, mininet_node.Switch):  # type: ignore[misc]
    """A learning switch (Linux bridge), with spanning tree on request.

    Each has a namespace of its own: the kernel's work for a port takes time in proportion to the
        interfaces in its namespace, so a thousand switches in one would take ten times as long.
    """

    settings = SWITCH_SETTINGS

    def __init__(
        self,
        name: str,
        dpid: str | None = None,
        opts: str = "",
        listenPort: int | None = None,
        stp: bool = False,
        prio: int | None = None,
        **params: Any,
    ) -> None:
        self.stp, self.prio = stp, prio
        self.bridge_index: int | None = None
        params["inNamespace"] = True
        super().__init__(name, dpid=dpid, opts=opts, listenPort=listenPort, **params)
        self.controlIntf = None

    def defaultDpid(self, dpid: str | None = None) -> str:
        """Mininet's rule: hexadecimal, by default the number in the name."""
        if not dpid and not re.search(r"\d", self.name):
            raise ConfigError(f"switch {self.name}: needs a number in its name, or dpid=")
        return str(super().defaultDpid(dpid))

    def start(self, controllers: Any) -> None:
        """Create the bridge and add the ports; controllers are ignored."""
        if self.bridge_index is not None:
            return
        index = self.bridge_index = self.engine.index(self.namespace)
        mac = (b"\x02\xff" + hashlib.sha256(self.name.encode()).digest()[:4]).hex(":")
        priority = self.prio if self.prio is not None else 0x8000
        ports = [i for i in self.intfList() if i.name != "lo" and not i.IP()]
        self.engine.request(
            self.namespace,
            rtnl.new_bridge(self.name, index, mac, self.stp, priority),
            *(rtnl.set_master(i.index, index, i.name) for i in ports),
        )
        for port in ports:
            self.engine.orphan(self.namespace, port.index, port.name)

    def attach(self, intf: Any) -> None:
        """Add a port."""
        if self.bridge_index is not None:
            port = self.intf(intf)
            self.engine.request(
                self.namespace, rtnl.set_master(port.index, self.bridge_index, port.name)
            )
            self.engine.orphan(self.namespace, port.index, port.name)

    def detach(self, intf: Any) -> None:
        """Remove a port."""
        port = self.intf(intf)
        self.engine.request(self.namespace, rtnl.set_master(port.index, 0, port.name))

    def connected(self) -> bool:
        """Whether it forwards on any port (with spanning tree that takes a while)."""
        return not self.stp or "forwarding" in self.cmd("bridge link show")

    def stop(self, deleteIntfs: bool = True) -> None:
        """Remove the bridge and, unless asked otherwise, its ports."""
        if self.bridge_index is not None:
            self.engine.request(self.namespace, rtnl.delete_link(self.bridge_index, self.name))
            self.bridge_index = None
        if deleteIntfs:
            for intf in [i for i in self.intfList() if i.name != "lo"]:
                intf.delete()

    def dpctl(self, *args: str) -> str:
        """Run ``bridge`` with the arguments."""
        return str(self.cmd("bridge", *args))
