"""What can be found wrong in FRR configurations before anything starts. Pure.

FRR's own checker reads each file alone. Here the files are held against the topology and against
each other: networks that match nothing, interfaces that are not there, router ids used twice,
neighbours that will never agree on hello intervals or areas.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from testbed.errors import ConfigError, nearest
from testbed.frr.config import Block, blocks
from testbed.net.plan import Plan, Port

_ROUTER_ID = re.compile(r"(ospf6? )?router-id (\S+)")
_DEFAULT = {"hello-interval": "10", "dead-interval": "40"}


def check(plan: Plan, configs: Mapping[str, str], folder: str) -> None:
    """Raises ConfigError for the first contradiction: router, line and what mends it."""
    for router, text in configs.items():
        where = f"{folder}/{router}"
        parsed = list(blocks(text))
        _check_interfaces(plan, router, parsed, where)
        for number, line in _statements(parsed, "network "):
            _check_network(plan, router, line, f"{where}: line {number}")
    _check_router_ids(configs, folder)
    _check_neighbours(plan, configs, folder)


def _statements(parsed: list[Block], start: str) -> Iterator[tuple[int, str]]:
    for block in parsed:
        if block.head.startswith("router "):
            yield from ((n, line) for n, line in block.lines if line.startswith(start))


def _check_interfaces(plan: Plan, router: str, parsed: list[Block], where: str) -> None:
    names = ["lo", *(port.name for port in plan.ports[router])]
    for block in parsed:
        words = block.head.split()
        if words[0] == "interface" and words[1] not in names:
            raise ConfigError(
                f"{where}: line {block.line}: {router} has no interface '{words[1]}'"
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


def _check_router_ids(configs: Mapping[str, str], folder: str) -> None:
    owner: dict[str, str] = {}
    for router, text in configs.items():
        for block in blocks(text):
            lines = (
                [line for _, line in block.lines] if block.head.startswith("router ospf") else []
            )
            for line in lines:
                if match := _ROUTER_ID.fullmatch(line):
                    other = owner.setdefault(f"{block.head} {match[2]}", router)
                    if other != router:
                        raise ConfigError(
                            f"{folder}/{router}: router-id {match[2]} is {other}'s already; "
                            "give every router an id of its own"
                        )


def _check_neighbours(plan: Plan, configs: Mapping[str, str], folder: str) -> None:
    """Both ends of a link must agree on area, hello and dead interval (RFC 2328 §10.5)."""
    parsed = {router: list(blocks(text)) for router, text in configs.items()}
    for settings_of in (_ospf_settings, _ospf6_settings):
        settings = {
            port.name: settings_of(port, parsed[router])
            for router in configs
            for port in plan.ports[router]
        }
        for segment in plan.segments:
            spoken = [p for p in segment.ports if settings.get(p.name)]
            for one, two in pairwise(spoken):
                for name, value in settings[one.name].items():
                    other = settings[two.name].get(name)
                    if other != value:
                        raise ConfigError(
                            f"{folder}: {one.name} and {two.name} are neighbours but differ in "
                            f"{name}: {value} and {other}; make them the same"
                        )


def _ospf_settings(port: Port, parsed: list[Block]) -> dict[str, str]:
    """Area, hello and dead interval of an interface; empty if OSPF does not run on it."""
    areas = [
        line.split()[3]
        for block in parsed
        if block.head == "router ospf"
        for _, line in block.lines
        if line.startswith("network ") and _covers(line.split()[1], port)
    ]
    return _settings(port, parsed, ["ip", "ospf"], areas)


def _ospf6_settings(port: Port, parsed: list[Block]) -> dict[str, str]:
    """The same for OSPFv3, where only the interface says which area it is in."""
    return _settings(port, parsed, ["ipv6", "ospf6"], [])


def _settings(
    port: Port, parsed: list[Block], words: list[str], areas: list[str]
) -> dict[str, str]:
    """What the lines of an interface that begin with `words` say, with the defaults."""
    found = dict(_DEFAULT)
    for block in parsed:
        if block.head == f"interface {port.name}":
            for _, line in block.lines:
                first, rest = line.split()[:2], line.split()[2:]
                if first == words and len(rest) > 1:
                    if rest[0] == "area":
                        areas = [rest[1]]
                    elif rest[0] in found:
                        found[rest[0]] = rest[1]
    return {"area": _area(areas[0]), **found} if areas else {}


def _covers(word: str, port: Port) -> bool:
    return port.ipv4 is not None and port.ipv4.ip in ipaddress.ip_network(word, strict=False)


def _area(word: str) -> str:
    """``0`` and ``0.0.0.0`` are the same area."""
    return str(ipaddress.IPv4Address(int(word))) if word.isdigit() else word
