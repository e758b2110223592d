"""Checks of a topology before anything is built: one clear line naming the node or link."""

from __future__ import annotations

import re
from typing import Any

from testbed.core.errors import ConfigError
from testbed.net import tclink
from testbed.net.plan import interface_name
from testbed.net.shape import LinkShape

NAME_MAX = 15
"""Characters in an interface's name (``IFNAMSIZ`` less the zero)."""

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
    used: dict[str, str] = {}
    shaped = False
    for info in links:
        one, two = info["node1"], info["node2"]
        where = f"link {one} {two}"
        if one == two:
            raise ConfigError(f"{where}: connects a node to itself; link two different nodes")
        for side in (1, 2):
            node, port = info[f"node{side}"], info[f"port{side}"]
            name = info.get(f"intfName{side}") or interface_name(node, port)
            _check_interface(name, where, used)
        shaped |= _is_shaped(info, where)
    return shaped


def _check_interface(name: str, where: str, used: dict[str, str]) -> None:
    if len(name) > NAME_MAX:
        raise ConfigError(
            f"{where}: interface name '{name}' has {len(name)} characters, Linux allows "
            f"{NAME_MAX}; shorten the node's name or give intfName1=/intfName2="
        )
    if name in used:
        raise ConfigError(f"{where}: interface '{name}' is already used by {used[name]}")
    used[name] = where


def _is_shaped(info: dict[str, Any], where: str) -> bool:
    for field in ("shape", "shape1", "shape2"):
        value = info.get(field)
        if value is not None and not isinstance(value, LinkShape):
            raise ConfigError(f"{where}: {field}= must be a LinkShape, not {value!r}")
    shapes = [tclink.shape_of(info, side, where) for side in (1, 2)]
    return any(not shape.is_plain for shape in shapes)
