"""A topology from data (see `testbed.author.topo.as_data`), whatever file described it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.author.topo import Topo
from testbed.net.shape import LinkShape


class DataTopo(Topo):
    """A graph that was described elsewhere."""

    def build(self, data: Mapping[str, Any], **_: Any) -> None:
        """Adds the nodes and links in the data, with interface numbers."""
        make = {"host": self.addHost, "router": self.addRouter, "switch": self.addSwitch}
        for node in data["nodes"]:
            make[node["kind"]](node["name"], **({"ip": node["ip"]} if "ip" in node else {}))
        for link in data["links"]:
            self.addLink(
                link["node1"],
                link["node2"],
                port1=_number(link["interface1"]),
                port2=_number(link["interface2"]),
                shape1=LinkShape(**link["shape1"]),
                shape2=LinkShape(**link["shape2"]),
            )


def _number(interface: str) -> int:
    return int(interface.rpartition("-eth")[2])
