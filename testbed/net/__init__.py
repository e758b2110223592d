"""The network engine: Mininet's API over netlink. Start with `Network`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.net.link import Intf, Link
    from testbed.net.network import Network
    from testbed.net.node import Host, Router
    from testbed.net.owned import Leftover, leftovers, remove
    from testbed.net.switch import Switch

__all__ = [
    "Host",
    "Intf",
    "Leftover",
    "Link",
    "Network",
    "Router",
    "Switch",
    "leftovers",
    "remove",
]

_HOME = {
    "Host": "node",
    "Intf": "link",
    "Leftover": "owned",
    "Link": "link",
    "Network": "network",
    "Router": "node",
    "Switch": "switch",
    "leftovers": "owned",
    "remove": "owned",
}


def __getattr__(name: str) -> Any:
    """Loads a name's module on demand, because the address plan also works without Mininet."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
