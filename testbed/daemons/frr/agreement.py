"""What two neighbours must agree on before they speak to each other. Pure.

For OSPF: area and its type, timers, authentication with its keys, network type and MTU (RFC 2328
§10.5, §10.6, appendix D); for RIP: authentication with its keys (RFC 2082). A router refuses a
neighbour's packets over such a difference, and its log often does not say so.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from testbed.core.errors import ConfigError
from testbed.daemons.frr.config import Block
from testbed.daemons.frr.folder import Written
from testbed.net.plan import Plan, Port
from testbed.net.tclink import shape_of


@dataclass(frozen=True)
class Setting:
    """A setting of an interface, and its line; 0: none, it is the default."""

    value: str
    line: int = 0


Settings = dict[str, Setting]
_OSPF_DEFAULTS = {
    "hello-interval": "10",
    "dead-interval": "40",
    "authentication": "none",
    "key": "none",
    "network type": "broadcast",
}
_POINT_TO_POINT = ("point-to-point", "point-to-multipoint")
"""Network types that understand each other: neither elects a designated router."""


def check(plan: Plan, configs: Mapping[str, Written], parsed: Mapping[str, list[Block]]) -> None:
    """Raises ConfigError for the first difference of two neighbours, with both places."""
    kinds: tuple[Callable[[Plan, Port, list[Block]], Settings], ...] = (_ospf, _ospf6, _rip)
    for settings_of in kinds:
        settings = {
            (router, port.name): settings_of(plan, port, parsed[router])
            for router in configs
            for port in plan.ports[router]
        }
        for segment in plan.segments:
            spoken = [p for p in segment.ports if settings.get((p.node, p.name))]
            for one, two in pairwise(spoken):
                others = settings[two.node, two.name]
                for name, mine in settings[one.node, one.name].items():
                    theirs = others.get(name, mine)
                    if not _agree(mine.value, theirs.value):
                        raise ConfigError(
                            f"{configs[one.node].place(mine.line)}: {name} of {one.name} is "
                            f"{mine.value}, of its neighbour {two.name} {theirs.value} "
                            f"({configs[two.node].place(theirs.line)}); make them the same"
                        )


def _agree(mine: str, theirs: str) -> bool:
    return mine == theirs or {mine, theirs} <= set(_POINT_TO_POINT)


# ---- OSPF


def _ospf(plan: Plan, port: Port, parsed: list[Block]) -> Settings:
    """Settings of an interface; empty if OSPF does not run on it, or is passive there."""
    router = [(n, line) for b in parsed if b.head == "router ospf" for n, line in b.lines]
    covering = [
        (_length(line.split()[1]), Setting(_area(line.split()[3]), number))
        for number, line in router
        if re.match(r"network \S+ area ", line) and _covers(line.split()[1], port)
    ]
    area = max(covering, key=lambda found: found[0])[1] if covering else None
    silent = (f"passive-interface {port.name}", "passive-interface default")
    if any(line in silent for _, line in router):
        return {}
    return _of_interface(plan, port, parsed, "ip ospf", area, router)


def _ospf6(plan: Plan, port: Port, parsed: list[Block]) -> Settings:
    """The same for OSPFv3, where the interface says which area it is in."""
    router = [(n, line) for b in parsed if b.head == "router ospf6" for n, line in b.lines]
    return _of_interface(plan, port, parsed, "ipv6 ospf6", None, router)


def _of_interface(
    plan: Plan,
    port: Port,
    parsed: list[Block],
    begin: str,
    area: Setting | None,
    router: list[tuple[int, str]],
) -> Settings:
    found = {name: Setting(value) for name, value in _OSPF_DEFAULTS.items()}
    found["MTU"] = Setting(str(shape_of(plan.links[port.link], port.side).mtu_bytes))
    own = [
        (n, line[len(begin) + 1 :]) for n, line in _lines(parsed, port) if line.startswith(begin)
    ]
    areas = [(n, line.split()[1]) for n, line in own if line.startswith("area ")]
    if areas:
        area = Setting(_area(areas[0][1]), areas[0][0])
    if area is None or any(line == "passive" for _, line in own):
        return {}
    for number, line in router:
        words = line.split()
        if words[0] == "area" and _area(words[1]) == area.value and words[2] == "authentication":
            found["authentication"] = Setting(words[3] if words[3:] else "simple", number)
    for number, line in own:
        found |= _one(line, number)
    if any(line == "mtu-ignore" for _, line in own):
        del found["MTU"]
    return {"area": area, "area type": _area_type(area.value, router), **found}


def _one(line: str, number: int) -> Settings:
    """What one line of an interface sets."""
    words = line.split()
    match words:
        case ["hello-interval" | "dead-interval" as name, value, *_]:
            return {name: Setting(value, number)}
        case ["authentication", *rest]:
            kind = rest[0] if rest and not rest[0][0].isdigit() else "simple"
            return {"authentication": Setting("none" if kind == "null" else kind, number)}
        case ["authentication-key", key, *_]:
            return {"key": Setting(key, number)}
        case ["message-digest-key", identifier, "md5", key, *_]:
            return {"key": Setting(f"{identifier}: {key}", number)}
        case ["network", kind, *_]:
            return {"network type": Setting(kind, number)}
    return {}


def _area_type(area: str, router: list[tuple[int, str]]) -> Setting:
    """A stub's hellos differ from others (RFC 2328 §10.5, RFC 3101 §2.4)."""
    for number, line in router:
        words = line.split()
        if words[0] == "area" and _area(words[1]) == area and words[2] in ("stub", "nssa"):
            return Setting(words[2], number)
    return Setting("normal")


def _length(prefix: str) -> int:
    return ipaddress.ip_network(prefix, strict=False).prefixlen


def _covers(word: str, port: Port) -> bool:
    prefix = ipaddress.ip_network(word, strict=False)
    return any(a.version == 4 and a.ip in prefix for a in port.addresses)


def _area(word: str) -> str:
    """``0`` and ``0.0.0.0`` are the same area."""
    return str(ipaddress.IPv4Address(int(word))) if word.isdigit() else word


# ---- RIP


def _rip(plan: Plan, port: Port, parsed: list[Block]) -> Settings:
    """Authentication of an interface on which RIP runs."""
    router = [(n, line) for b in parsed if b.head == "router rip" for n, line in b.lines]
    networks = [line.split()[1] for _, line in router if line.startswith("network ")]
    if not any(word == port.name or ("/" in word and _covers(word, port)) for word in networks):
        return {}
    if any(line == f"passive-interface {port.name}" for _, line in router):
        return {}
    found = {name: Setting("none") for name in ("authentication", "key")}
    for number, line in _lines(parsed, port):
        if match := re.match(r"ip rip authentication (mode|string|key-chain) (\S+)", line):
            value = match[2]
            if match[1] == "key-chain":
                value = ", ".join(_keys(value, parsed))
            found["authentication" if match[1] == "mode" else "key"] = Setting(value, number)
    return found


def _keys(chain: str, parsed: list[Block]) -> Iterator[str]:
    """``number: key`` of each key of a chain."""
    identifier = ""
    for block in parsed:
        if block.head == f"key chain {chain}":
            for _, line in block.lines:
                words = line.split()
                if words[0] == "key":
                    identifier = words[1]
                elif words[0] == "key-string":
                    yield f"{identifier}: {words[1]}"


def _lines(parsed: list[Block], port: Port) -> list[tuple[int, str]]:
    """The lines of an interface."""
    return [
        line
        for block in parsed
        if block.head.split()[:2] == ["interface", port.name]
        for line in block.lines
    ]
