"""Finds faults in FRR configurations before anything starts. Pure.

FRR's own checker reads each file separately. Here the files are compared with the topology and with
each other: networks that match nothing, interfaces that do not exist, router ids used twice,
neighbours that will never agree (`testbed.daemons.frr.agreement`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping

from testbed.core.errors import ConfigError, nearest
from testbed.daemons.frr import agreement, bgp_agreement
from testbed.daemons.frr.config import Block, blocks, is_instance
from testbed.daemons.frr.folder import Written
from testbed.net.plan import Plan

_ROUTER_ID = re.compile(r"(ospf6? |bgp )?router-id (\S+)")
_KINDS = ("rip", "ripng", "ospf", "ospf6")
"""Protocols whose ``network`` statements name the router's own networks."""


def check(plan: Plan, configs: Mapping[str, Written]) -> None:
    """Raises ConfigError for the first contradiction: file, line and how to fix it."""
    parsed = {router: list(blocks(config.text)) for router, config in configs.items()}
    for router, config in configs.items():
        _check_interfaces(plan, router, parsed[router], config)
        for number, line in _statements(parsed[router], "network "):
            _check_network(plan, router, line, config.place(number))
    _check_router_ids(configs, parsed)
    agreement.check(plan, configs, parsed)
    bgp_agreement.check(plan, configs, parsed)


def _statements(parsed: list[Block], start: str) -> Iterator[tuple[int, str]]:
    for block in parsed:
        words = block.head.split()
        if words[0] == "router" and words[1] in _KINDS and not is_instance(block.head):
            yield from ((n, line) for n, line in block.lines if line.startswith(start))


def _check_interfaces(plan: Plan, router: str, parsed: list[Block], config: Written) -> None:
    names = ["lo", *(port.name for port in plan.ports[router])]
    for block in parsed:
        words = block.head.split()
        if words[0] == "interface" and words[1] not in names:
            raise ConfigError(
                f"{config.place(block.line)}: {router} has no interface '{words[1]}'"
                f"{nearest(words[1], names)}; it has {', '.join(names)}"
            )


def _check_network(plan: Plan, router: str, line: str, where: str) -> None:
    """A network statement must cover an address of the router (or name its interface)."""
    word = line.split()[1]
    if word in {"lo", *(port.name for port in plan.ports[router])}:
        return
    try:
        prefix = ipaddress.ip_network(word, strict=False)
    except ValueError:
        names = ", ".join(port.name for port in plan.ports[router])
        raise ConfigError(
            f"{where}: '{line}' names neither a prefix nor an interface; {router} has {names}"
        ) from None
    own = [a.ip for p in plan.ports[router] for a in p.addresses]
    own += [a.ip for a in plan.loopbacks.get(router, ())]
    if not any(a.version == prefix.version and a in prefix for a in own):
        addresses = ", ".join(str(a) for a in own if a.version == prefix.version)
        raise ConfigError(
            f"{where}: '{line}' matches no interface of {router}; its addresses are {addresses}"
        )


def _check_router_ids(configs: Mapping[str, Written], parsed: Mapping[str, list[Block]]) -> None:
    owner: dict[str, tuple[str, str]] = {}
    for router, config in configs.items():
        for block in parsed[router]:
            if not block.head.startswith("router ") or is_instance(block.head):
                continue
            for number, line in block.lines:
                if match := _ROUTER_ID.fullmatch(line):
                    where = config.place(number)
                    other, there = owner.setdefault(
                        f"{block.head.split()[1]} {match[2]}", (router, where)
                    )
                    if other != router:
                        raise ConfigError(
                            f"{where}: router-id {match[2]} already belongs to {other} ({there}); "
                            "give every router an id of its own"
                        )
