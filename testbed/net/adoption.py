"""Classes written for Mininet, put on top of ours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from testbed.net import control
from testbed.net.link import Link
from testbed.net.mininet_api import link as link_api
from testbed.net.mininet_api import node as mininet_node
from testbed.net.mininet_api import nodelib
from testbed.net.nat import NAT, NATRouter
from testbed.net.node import Host, NodeMixin, Router, adopt
from testbed.net.switch import Switch


def host_class(cls: Any, params: Mapping[str, Any]) -> Any:
    """The class of a host or router: ours, or one of Mininet's on top of ours; None: default."""
    if isinstance(cls, type) and issubclass(cls, nodelib.NAT):
        return adopt(cls, NAT)
    if params.get("nat"):
        return adopt(cls, NATRouter) or NATRouter
    if params.get("isRouter"):
        return adopt(cls, Router) or Router
    return adopt(cls, Host)


def switch_class(cls: Any) -> Any:
    """Our switch class for one of Mininet's."""
    if not isinstance(cls, type) or issubclass(cls, NodeMixin):
        return cls
    if issubclass(cls, mininet_node.OVSSwitch):
        from testbed.net import ovs

        standalone = issubclass(cls, mininet_node.OVSBridge)
        return adopt(cls, ovs.OVSBridge if standalone else ovs.OVSSwitch)
    if issubclass(cls, nodelib.LinuxBridge):
        return Switch
    return adopt(cls, Switch)


def controller_class(cls: Any) -> Any:
    """Our controller class for one of Mininet's; a factory function is returned unchanged."""
    if isinstance(cls, partial):
        return partial(controller_class(cls.func), *cls.args, **cls.keywords)
    if not isinstance(cls, type):
        return cls
    remote = issubclass(cls, mininet_node.RemoteController)
    return adopt(cls, control.RemoteController if remote else control.Controller)


def link_class(cls: Any) -> Any:
    """Our `Link` for Mininet's link classes: they differ in their options, and ours accepts all."""
    if isinstance(cls, partial):
        return partial(link_class(cls.func), *cls.args, **cls.keywords)
    if not isinstance(cls, type) or issubclass(cls, Link):
        return cls
    stock = (link_api.Link, link_api.TCLink, link_api.TCULink, link_api.OVSLink)
    return Link if cls in stock else type(cls.__name__, (cls, Link), {})
