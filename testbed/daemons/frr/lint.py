"""Finds faults in FRR configurations before anything starts. Pure.

FRR's own checker reads each file separately. Here the files are compared with the topology and with
each other: networks that match nothing, interfaces that do not exist, router ids used twice,
    neighbours that will never agree on hello intervals or areas.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from testbed.core.errors import ConfigError, nearest
from testbed.daemons.frr.config import Block, Written, blocks
from testbed.net.plan import Plan, Port

_ROUTER_ID = re.compile(r"(ospf6? )?router-id (\S+)")
_DEFAULT = {"hello-interval": "10", "dead-interval": "40"}


def check(plan: Plan, configs: Mapping[str, Written]) -> None:
    """Raises ConfigError for the first contradiction: file, line and how to fix it."""
    parsed = {router: list(blocks(config.text)) for router, config in configs.items()}
    for router, config in configs.items():
        _check_interfaces(plan, router, parsed[router], config)
        for number, line in _statements(parsed[router], "network "):
            _check_network(plan, router, line, config.place(number))
    _check_router_ids(configs, parsed)
    _check_neighbours(plan, configs, parsed)


def _statements(parsed: list[Block], start: str) -> Iterator[tuple[int, str]]:
    for block in parsed:
        if block.head.startswith("router "):
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
    own = [a.ip for p in plan.ports[router] for a in (p.ipv4, p.ipv6) if a]
    own += [a.ip for a in plan.loopbacks.get(router, ())]
    if not any(a.version == prefix.version and a in prefix for a in own):
        addresses = ", ".join(str(a) for a in own if a.version == prefix.version)
        raise ConfigError(
            f"{where}: '{line}' matches no interface of {router}; its addresses are {addresses}"
        )


def _check_router_ids(configs: Mapping[str, Written], parsed: Mapping[str, list[Block]]) -> None:
    owner: dict[str, tuple[str, str]] = {}
    for router, config in configs.items():
        for block in (b for b in parsed[router] if b.head.startswith("router ospf")):
            for number, line in block.lines:
                if match := _ROUTER_ID.fullmatch(line):
                    where = config.place(number)
                    other, there = owner.setdefault(f"{block.head} {match[2]}", (router, where))
                    if other != router:
                        raise ConfigError(
                            f"{where}: router-id {match[2]} already belongs to {other} ({there}); "
                            "give every router an id of its own"
                        )


def _check_neighbours(
    plan: Plan, configs: Mapping[str, Written], parsed: Mapping[str, list[Block]]
) -> None:
    """Both ends of a link must agree on area, hello and dead interval (RFC 2328 §10.5)."""
    for settings_of in (_ospf_settings, _ospf6_settings):
        settings = {
            port.name: settings_of(port, parsed[router])
            for router in configs
            for port in plan.ports[router]
        }
        for segment in plan.segments:
            spoken = [p for p in segment.ports if settings.get(p.name)]
            for one, two in pairwise(spoken):
                for name, mine in settings[one.name].items():
                    theirs = settings[two.name][name]
                    if mine.value != theirs.value:
                        raise ConfigError(
                            f"{configs[one.node].place(mine.line)}: {name} of {one.name} is "
                            f"{mine.value}, of its neighbour {two.name} {theirs.value} "
                            f"({configs[two.node].place(theirs.line)}); make them the same"
                        )


@dataclass(frozen=True)
class _Setting:
    """A setting of an interface, and its line; 0: none, it is the default."""

    value: str
    line: int = 0


def _ospf_settings(port: Port, parsed: list[Block]) -> dict[str, _Setting]:
    """Area, hello and dead interval of an interface; empty if OSPF does not run on it."""
    areas = [
        _Setting(_area(line.split()[3]), number)
        for block in parsed
        if block.head == "router ospf"
        for number, line in block.lines
        if line.startswith("network ") and _covers(line.split()[1], port)
    ]
    return _settings(port, parsed, ["ip", "ospf"], areas)


def _ospf6_settings(port: Port, parsed: list[Block]) -> dict[str, _Setting]:
    """The same for OSPFv3, where only the interface says which area it is in."""
    return _settings(port, parsed, ["ipv6", "ospf6"], [])


def _settings(
    port: Port, parsed: list[Block], words: list[str], areas: list[_Setting]
) -> dict[str, _Setting]:
    """The values of an interface's lines that begin with `words`, with the defaults."""
    found = {name: _Setting(value) for name, value in _DEFAULT.items()}
    for block in parsed:
        if block.head == f"interface {port.name}":
            for number, line in block.lines:
                first, rest = line.split()[:2], line.split()[2:]
                if first == words and len(rest) > 1:
                    if rest[0] == "area":
                        areas = [_Setting(_area(rest[1]), number)]
                    elif rest[0] in found:
                        found[rest[0]] = _Setting(rest[1], number)
    return {"area": areas[0], **found} if areas else {}


def _covers(word: str, port: Port) -> bool:
    return port.ipv4 is not None and port.ipv4.ip in ipaddress.ip_network(word, strict=False)


def _area(word: str) -> str:
    """``0`` and ``0.0.0.0`` are the same area."""
    return str(ipaddress.IPv4Address(int(word))) if word.isdigit() else word
