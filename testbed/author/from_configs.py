"""A topology made of the addresses that FRR configurations give: who shares a subnet is linked.

Two interfaces on one subnet are a link, more of them a LAN with a switch; one alone is a stub with
a switch of its own. Interfaces without a subnet in common (unnumbered: /32) are linked if their
names say where they lead (``eth-r2`` of r1, ``eth-r1`` of r2), or if just two point-to-point ones
are left. What else is unnumbered cannot be known from configurations: change the file that
`as_file` gives.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from testbed.author.topo import Topo
from testbed.core.errors import ConfigError
from testbed.daemons.frr import folder as frr_folder
from testbed.daemons.frr import own_addresses
from testbed.daemons.frr.config import blocks
from testbed.daemons.frr.own_addresses import LOOPBACK, Addresses

End = tuple[str, str]
"""Router and interface."""


class FromConfigs(Topo):
    """Routers that FRR configurations describe, linked where they share a subnet.

    Routers have exactly the addresses that their configurations give.
    """

    planned = False

    def build(self, addresses: Addresses, ends: list[list[End]]) -> None:
        """Builds the graph.

        Args:
            addresses: router → interface → its addresses.
            ends: of each link or LAN, as `networks` gives them.
        """
        self.given, self.ends = addresses, ends
        for router, given in addresses.items():
            self.addRouter(router, loopback=given.get(LOOPBACK, []))
        switches = (f"s{n}" for n in range(1, 10_000) if f"s{n}" not in addresses)
        for together in ends:
            if len(together) == 2:
                (one, name1), (two, name2) = together
                self.addLink(one, two, intfName1=name1, intfName2=name2)
                continue
            switch = self.addSwitch(next(switches))
            for router, name in together:
                self.addLink(router, switch, intfName1=name)
        own_addresses.give(self, addresses)


def from_folder(folder: Path) -> FromConfigs:
    """The topology of a folder of configurations.

    Raises:
        ConfigError: the configurations are bad, or give no addresses.
    """
    written = frr_folder.read(frr_folder.routers_in(folder))
    texts = {router: config.text for router, config in written.items()}
    if not own_addresses.of_routers(texts):
        raise ConfigError(
            f"{folder}: no configuration gives an address; write 'ip address' below an interface, "
            "or choose a topology"
        )
    addresses = {router: own_addresses.of_text(text) for router, text in texts.items()}
    ends = networks(addresses, {router: _point_to_point(text) for router, text in texts.items()})
    return FromConfigs(addresses=addresses, ends=ends)


def _point_to_point(text: str) -> set[str]:
    """Interfaces that a protocol takes for one end of a link."""
    return {
        block.head.split()[1]
        for block in blocks(text)
        if block.head.startswith("interface ")
        and any(re.search(r"network point-to-point$", line) for _, line in block.lines)
    }


def networks(addresses: Addresses, point_to_point: Mapping[str, set[str]]) -> list[list[End]]:
    """The ends of every link and LAN, in the order of the routers' interfaces.

    Args:
        addresses: router → interface → its addresses.
        point_to_point: router → interfaces that are one end of a link.
    """
    ends = [(r, name) for r, given in addresses.items() for name in given if name != LOOPBACK]
    subnets = {end: list(_subnets(addresses[end[0]][end[1]])) for end in ends}
    groups: list[list[End]] = []
    left = list(ends)
    while left:
        first = left[0]
        group = [e for e in left if e == first or set(subnets[e]) & set(subnets[first])]
        groups.append(group)
        left = [end for end in left if end not in group]
    return _linked(groups, addresses, point_to_point)


def _subnets(given: list[str]) -> Iterator[str]:
    """The prefixes that neighbours share; an address of full length has none."""
    for word in given:
        network = ipaddress.ip_interface(word).network
        if network.num_addresses > 1 and not network.is_link_local:
            yield str(network)


def _linked(
    groups: list[list[End]], addresses: Addresses, point_to_point: Mapping[str, set[str]]
) -> list[list[End]]:
    """Joins interfaces that are alone: by their names, or where two unnumbered ones are left."""
    alone = [group[0] for group in groups if len(group) == 1]
    pairs: dict[End, End] = {}
    for router, name in alone:
        for other, theirs in alone:
            if name.endswith(f"-{other}") and theirs.endswith(f"-{router}"):
                pairs[router, name] = (other, theirs)
    bare = [
        (router, name)
        for router, name in alone
        if (router, name) not in pairs
        and name in point_to_point[router]
        and not any(_subnets(addresses[router][name]))
    ]
    if len(bare) == 2 and bare[0][0] != bare[1][0]:
        pairs |= {bare[0]: bare[1], bare[1]: bare[0]}
    joined = []
    for group in groups:
        partner = pairs.get(group[0]) if len(group) == 1 else None
        if partner is None:
            joined.append(group)
        elif groups.index(group) < groups.index([partner]):
            joined.append([group[0], partner])
    return joined


def as_file(topo: FromConfigs, source: str) -> str:
    """The topology as a Python file, to be changed and started.

    Args:
        topo: the topology.
        source: where it is from, for the docstring.
    """
    lines = [
        f'"""Routers of {source}: linked where their configurations share a subnet."""',
        "",
        "from testbed import Topo",
        "",
        "",
        "class Lab(Topo):",
        f'    """The network of {source}, with exactly the addresses of its configurations."""',
        "",
        "    planned = False",
        "",
        "    def build(self):",
        '        """Builds the graph."""',
    ]
    for router in topo.hosts():
        loopback = topo.nodeInfo(router).get("loopback")
        lines.append(f"        self.addRouter({router!r}, loopback={loopback!r})")
    lines += [f"        self.addSwitch({name!r})" for name in topo.switches()]
    for node1, node2, info in topo.links(withInfo=True):
        lines.append(f"        self.addLink(\n            {node1!r},\n            {node2!r},")
        for side in (1, 2):
            for option in (f"intfName{side}", f"params{side}"):
                if info.get(option):
                    lines.append(f"            {option}={info[option]!r},")
        lines.append("        )")
    return "\n".join([*lines, "", "", 'topos = {"lab": Lab}', ""])
