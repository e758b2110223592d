"""Checks of a topology before anything is built: one clear line naming the node or link."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from testbed.core.errors import ConfigError
from testbed.core.ordering import natural
from testbed.net import options, tclink
from testbed.net.plan import interface_name
from testbed.net.shape import LinkShape
from testbed.net.tclink import check_port

NAME_MAX = 15
"""Characters in an interface's name (``IFNAMSIZ`` less the zero)."""

_GRAPHS = ("node1", "node2", "key")
"""What Mininet's graph itself keeps with a link."""

_NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def check_topology(topo: Any) -> bool:
    """Refuse a topology that cannot be built.

    Returns:
        Whether any link is shaped.

    Raises:
        ConfigError: names the node or link, and how to fix it.
    """
    nodes = list(topo.nodes())
    links = [info for *_, info in topo.links(withInfo=True)]
    for node in nodes:
        if not isinstance(node, str) or not _NODE_NAME.fullmatch(node):
            raise ConfigError(
                f"node {node!r}: a name has letters, digits and _ . + -, starting with a letter"
            )
        kind = options.SWITCH if topo.isSwitch(node) else options.HOST
        if not _is_own_class(topo.nodeInfo(node).get("cls")):
            options.check(f"node {node}", topo.nodeInfo(node), kind)
    used: dict[tuple[str, str], str] = {}
    shaped = False
    for info in links:
        one, two = info["node1"], info["node2"]
        where = f"link {one} {two}"
        if one == two:
            raise ConfigError(f"{where}: connects a node to itself; link two different nodes")
        if not _is_own_class(info.get("cls")):
            options.check(where, info, (*options.LINK, *_GRAPHS, *tclink.WITHOUT_EFFECT))
        for side in (1, 2):
            node, port = info[f"node{side}"], info[f"port{side}"]
            check_port(port, where)
            name = info.get(f"intfName{side}") or interface_name(node, port)
            check_interface_name(name, where)
            # switches may be in one namespace, hosts never are
            place = ("switches" if topo.isSwitch(node) else node, name)
            if place in used:
                raise ConfigError(f"{where}: interface '{name}' is already used by {used[place]}")
            used[place] = where
        shaped |= _is_shaped(info, where)
    return shaped


def _is_own_class(cls: Any) -> bool:
    """Whether it was not written by Mininet or us, so that it may have options of its own."""
    module = getattr(getattr(cls, "func", cls), "__module__", None) or ""
    return cls is not None and module.partition(".")[0] not in ("mininet", "testbed")


def check_interface_name(name: str, where: str) -> None:
    """Refuses a name that the kernel would refuse.

    Raises:
        ConfigError: it is too long, or has a character that no interface's name has.
    """
    if len(name) > NAME_MAX:
        raise ConfigError(
            f"{where}: interface name '{name}' has {len(name)} characters, Linux allows "
            f"{NAME_MAX}; shorten the node's name or give intfName1=/intfName2="
        )
    if not name or "/" in name or any(c.isspace() for c in name):
        raise ConfigError(f"{where}: interface name {name!r} is empty or has a blank or a '/'")


def default_learns(topo: Any) -> Callable[[str], bool]:
    """Which switches of a topology are bridges that learn, where it names no other class."""

    def learns(name: str) -> bool:
        info = topo.nodeInfo(name)
        cls = getattr(info.get("cls"), "__name__", "")
        return "stp" not in info and cls in ("", "Switch", "LinuxBridge", "OVSBridge")

    return learns


def loop_without_stp(topo: Any, learns: Callable[[str], bool]) -> list[str]:
    """Switches of a loop in which no spanning tree cuts what circles; empty if there is none.

    Args:
        topo: a Mininet `Topo`.
        learns: whether a switch forwards by itself, without spanning tree and without a controller.
    """
    learning = {name for name in topo.switches() if learns(name)}
    near: dict[str, list[tuple[str, int]]] = {name: [] for name in learning}
    for number, (one, two) in enumerate(topo.links()):
        if one in learning and two in learning:
            near[one].append((two, number))
            near[two].append((one, number))
    seen: set[str] = set()
    for first in sorted(learning, key=natural):
        found = _loop_from(first, near, seen)
        if found:
            return found
    return []


def _loop_from(
    first: str, near: Mapping[str, Sequence[tuple[str, int]]], seen: set[str]
) -> list[str]:
    """A loop among what is connected to `first`, by a walk that remembers its way."""
    if first in seen:
        return []
    parents: dict[str, str] = {}
    waiting = [(first, "", -1)]
    while waiting:
        node, parent, by = waiting.pop()
        if node in seen:
            return _way_between(node, parent, parents)
        seen.add(node)
        parents[node] = parent
        waiting += [(other, node, link) for other, link in near[node] if link != by]
    return []


def _way_between(one: str, two: str, parents: Mapping[str, str]) -> list[str]:
    """Nodes from one to the other in a tree."""

    def up(node: str) -> list[str]:
        way = [node]
        while parents[way[-1]]:
            way.append(parents[way[-1]])
        return way

    first, second = up(one), up(two)
    meeting = next(node for node in first if node in second)
    down = second[: second.index(meeting)]
    return [*first[: first.index(meeting) + 1], *reversed(down)]


def loop_words(switches: Sequence[str]) -> str:
    """What is wrong with a loop, and how to mend it."""
    return (
        f"switches {' '.join(switches)} form a loop without spanning tree, in which frames circle "
        "forever; give them stp=True (or stp=False if you want to see that)"
    )


def _is_shaped(info: dict[str, Any], where: str) -> bool:
    for field in ("shape", "shape1", "shape2"):
        value = info.get(field)
        if value is not None and not isinstance(value, LinkShape):
            raise ConfigError(f"{where}: {field}= must be a LinkShape, not {value!r}")
    shapes = [tclink.shape_of(info, side, where) for side in (1, 2)]
    return any(not shape.is_plain for shape in shapes)
