"""`Intf` and `Link` with Mininet's interface, done over netlink."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any

from testbed.core.errors import ConfigError
from testbed.net import rtnl, tclink, wire
from testbed.net.mininet_api import link as mininet_link
from testbed.net.netlink import NetlinkSocket, attribute, number, text
from testbed.net.plan import interface_name
from testbed.net.rtnl import LinkState
from testbed.net.shape import LinkShape
from testbed.net.wire import End


class Intf(mininet_link.Intf):  # type: ignore[misc]
    """An interface of a node.

    Attributes:
        end: its end of the link; None for the loopback and for interfaces not ours.
        ipv6: its IPv6 address with prefix length, or None.
        wanted: shape requested before its link was complete, or None.
    """

    name: str
    ip: str | None
    prefixLen: int | None
    mac: str | None

    def __init__(self, name: str, node: Any = None, end: End | None = None, **params: Any) -> None:
        self.end = end
        self.ipv6: ipaddress.IPv6Interface | None = None
        self._ipv4: ipaddress.IPv4Interface | None = None
        self._more: tuple[rtnl.Interface4or6, ...] = ()
        self.wanted: LinkShape | None = None
        super().__init__(name, node=node, **params)

    @property
    def index(self) -> int:
        """The kernel's number of the interface."""
        if self.end and self.end.name == self.name:  # a script may name its VLAN device instead
            return self.end.index
        if self.name == "lo":
            return rtnl.LOOPBACK_INDEX
        return int(
            self.node.engine.inside(self.node.namespace, lambda: socket.if_nametoindex(self.name))
        )

    def _request(self, *messages: Any) -> None:
        self.node.engine.request(self.node.namespace, *messages)

    def _state(self) -> LinkState | None:
        """Its state in the kernel; None if it is gone."""
        found = self.node.engine.ask(self.node.namespace, lambda s: list(rtnl.links(s)))
        return next((state for state in found if state.name == self.name), None)

    def setIP(self, ipstr: str, prefixLen: int | None = None) -> str:
        """Replace the interface's address of this IP version.

        Raises:
            ConfigError: no address, or no prefix length.
        """
        if "/" not in ipstr:
            if prefixLen is None:
                raise ConfigError(f"{self.name}: ip {ipstr!r} needs a prefix length, e.g. /24")
            ipstr = f"{ipstr}/{prefixLen}"
        try:
            address = ipaddress.ip_interface(ipstr)
        except ValueError as error:
            raise ConfigError(f"{self.name}: ip {ipstr!r} is not an address: {error}") from error
        if isinstance(address, ipaddress.IPv6Interface):
            old6, self.ipv6 = self.ipv6, address
            self._replace(old6, address)
        else:
            old4, self._ipv4 = self._ipv4, address
            self._replace(old4, address)
            self.ip, self.prefixLen = str(address.ip), address.network.prefixlen
        return ""

    def _replace(self, old: rtnl.Interface4or6 | None, new: rtnl.Interface4or6) -> None:
        if old == new:
            return
        if old:
            self._request(rtnl.delete_address(self.index, old, self.name))
        self._request(rtnl.add_address(self.index, new, self.name))

    def add_addresses(self, addresses: Sequence[rtnl.Interface4or6]) -> None:
        """Give the interface addresses besides its first of each version."""
        self._more += tuple(addresses)
        self._request(*(rtnl.add_address(self.index, a, self.name) for a in addresses))

    def put_back(self) -> None:
        """Restore a recreated interface's addresses, routes and switch port."""
        mine = (*(a for a in (self._ipv4, self.ipv6) if a), *self._more)
        self._request(*(rtnl.add_address(self.index, a, self.name) for a in mine))
        self.node.restore_routes(self.name)
        if hasattr(self.node, "attach"):
            self.node.attach(self)

    def setMAC(self, macstr: str) -> str:
        """Change the MAC address."""
        self.mac = macstr
        raw = attribute(rtnl.IFLA_ADDRESS, rtnl.mac_bytes(macstr))
        self._request(rtnl.set_link(self.index, f"MAC {macstr} on {self.name}", raw))
        return ""

    def ifconfig(self, *args: str) -> str:
        """Handles ``up``, ``down`` and an address directly; runs the program for anything else."""
        if args in (("up",), ("down",)):
            self._set_up(args[0] == "up")
            return ""
        if args and args[0][:1].isdigit() and args[1:] in ((), ("up",)):
            self.setIP(args[0], None)
            return self.ifconfig(*args[1:]) if args[1:] else ""
        return str(self.cmd("ifconfig", self.name, *args))

    def _set_up(self, up: bool) -> None:
        """Also removes the carrier at the other end of a wire, like pulling a plug."""
        self._request(rtnl.set_up(self.index, up, self.name))
        if self.link and self.end and self.end.far is not None:
            other = self.link.other(self).end
            message = rtnl.set_up(other.far, up, f"carrier of {other.name}")
            self.node.engine.request(self.node.engine.wires, message)
        if up:
            self.node.restore_routes(self.name)

    def isUp(self, setUp: bool = False) -> bool:
        """Whether the interface is up; with `setUp`, bring it up."""
        if setUp:
            if not self.end:  # links are already up
                self.ifconfig("up")
            return True
        state = self._state()
        return bool(state and state.up)

    def updateAddr(self) -> tuple[str | None, str | None]:
        """Read the current IPv4 and MAC addresses from the kernel."""
        return self.updateIP(), self.updateMAC()

    def updateIP(self) -> str | None:
        """Read the current IPv4 address from the kernel."""
        index = self.index
        found = self.node.engine.ask(self.node.namespace, lambda s: list(rtnl.addresses(s)))
        mine = [a for i, a in found if i == index and a.version == 4]
        self._ipv4 = mine[0] if mine else None
        self.ip = str(mine[0].ip) if mine else None
        self.prefixLen = mine[0].network.prefixlen if mine else None
        return self.ip

    def updateMAC(self) -> str | None:
        """Read the current MAC address from the kernel."""
        state = self._state()
        self.mac = state.mac if state else None
        return self.mac

    def rename(self, newname: str) -> str:
        """Rename the interface."""
        self.node.nameToIntf[newname] = self.node.nameToIntf.pop(self.name)
        index = self.index
        renaming = rtnl.set_link(index, f"rename to {newname}", text(rtnl.IFLA_IFNAME, newname))
        self._request(rtnl.set_up(index, False, self.name), renaming)
        self.name = newname
        if self.end:
            self.end.name = newname
        self.ifconfig("up")
        return ""

    def config(self, **params: Any) -> dict[str, Any]:
        """Mininet's options of an interface, those of `TCIntf` and ``shape=`` included."""
        shaping = {k: v for k, v in params.items() if k in tclink.SHAPING and v is not None}
        shape = params.pop("shape", None)
        for name in (*tclink.SHAPING, *tclink.WITHOUT_EFFECT):
            params.pop(name, None)
        result: dict[str, Any] = super().config(**params)
        if (shaping or shape) and self.end and self.link:
            new = tclink.from_mininet(shape or self.end.shape, **shaping)
            if hasattr(self.link, "intf2"):
                self.link.reshape(self, new)
            else:  # of a class that shapes by itself, active while its link is created
                self.wanted = new
        return result

    def delete(self) -> None:
        """Remove the interface and forget it."""
        self._request(rtnl.delete_link(self.index, self.name))
        self.node.delIntf(self)
        self.link = None

    def status(self) -> str:
        """``OK``, ``DOWN`` or ``MISSING``."""
        state = self._state()
        return "MISSING" if state is None else "OK" if state.up else "DOWN"


def move_intf(intf: Any, node: Any) -> None:
    """Move an interface of this process's own network into a node."""
    fd = node.engine.fd(node.namespace)
    name = str(intf)

    def move() -> None:
        with NetlinkSocket() as netlink:
            index = socket.if_nametoindex(name)
            what = f"move of {name} to {node.name}"
            netlink.send([rtnl.set_link(index, what, number(rtnl.IFLA_NET_NS_FD, fd))])

    move()


class Link(mininet_link.Link):  # type: ignore[misc]
    """A link between two nodes; options as Mininet's, or ``shape=``, ``shape1=``, ``shape2=``."""

    def __init__(
        self,
        node1: Any,
        node2: Any,
        port1: int | None = None,
        port2: int | None = None,
        intfName1: str | None = None,
        intfName2: str | None = None,
        addr1: str | None = None,
        addr2: str | None = None,
        intf: Any = None,
        cls1: Any = None,
        cls2: Any = None,
        params1: dict[str, Any] | None = None,
        params2: dict[str, Any] | None = None,
        seed: int = 0,
        whole: bool = False,
        **params: Any,
    ) -> None:
        for node in (node1, node2):
            if not hasattr(node, "engine"):
                raise ConfigError(
                    f"link {node1} {node2}: {node} is one of Mininet's own nodes; "
                    "use hosts and switches of testbed.net with this link (mn: --host, --switch)"
                )
        self.engine, self.seed = node1.engine, seed
        names, addrs, ports = (intfName1, intfName2), (addr1, addr2), (port1, port2)
        ends: list[End] = []
        options: list[dict[str, Any]] = []
        for side, node in enumerate((node1, node2), 1):
            own = {**params, **((params1, params2)[side - 1] or {})}
            shape = tclink.take_shape(own, side, f"link {node1} {node2}")
            port = own.pop("port", None)
            port = ports[side - 1] if ports[side - 1] is not None else port
            own["port"] = node.newPort() if port is None else port
            name = names[side - 1] or interface_name(node.name, own["port"])
            ends.append(_end(node, name, addrs[side - 1], shape, ends))
            options.append(own)
        wire.lay(self.engine, ends[0], ends[1], seed=seed, whole=whole)
        made = []
        for node, end, own, cls in zip((node1, node2), ends, options, (cls1, cls2), strict=True):
            made.append(
                interface_class(cls or intf)(
                    end.name,
                    node=node,
                    end=end,
                    link=self,
                    mac=end.mac,
                    moveIntfFn=lambda *_, **__: None,
                    **own,
                )
            )
        self.intf1, self.intf2 = made
        for own in made:
            if own.wanted:
                self.reshape(own, own.wanted)

    def other(self, intf: Intf) -> Intf:
        """The interface at the other side."""
        other: Intf = self.intf2 if intf is self.intf1 else self.intf1
        return other

    def reshape(self, sender: Intf, shape: LinkShape) -> None:
        """Change what happens to packets that `sender` sends, while the link runs."""
        receiver = self.other(sender)
        assert sender.end and receiver.end
        if not wire.reshape(self.engine, sender.end, receiver.end, shape, self.seed):
            self._lay_anew(sender, shape)

    def _lay_anew(self, sender: Intf, shape: LinkShape) -> None:
        """Replace a link without a wire by one with a wire, keeping everything on it."""
        assert self.intf1.end and self.intf2.end and sender.end
        with self.engine.batch():
            gone = rtnl.delete_link(sender.index, str(self))
            self.engine.request(sender.node.namespace, gone)
            self.engine.flush()
            sender.end.shape = shape
            wire.lay(self.engine, self.intf1.end, self.intf2.end, seed=self.seed, whole=True)
            for intf in (self.intf1, self.intf2):
                intf.put_back()

    def delete(self) -> None:
        """Remove the link."""
        for intf in (self.intf1, self.intf2):
            if intf is not None and intf.end and intf.end.far is not None:
                gone = rtnl.delete_link(intf.end.far, f"wire of {intf.name}")
                self.engine.request(self.engine.wires, gone)
        super().delete()


def _end(node: Any, name: str, mac: str | None, shape: LinkShape, others: list[End]) -> End:
    index = node.engine.index(node.namespace)
    if others and others[0].index == index:
        # Ends of the same number look like a lone device to the kernel, which then takes up to a
        # second to notice the carrier (linkwatch); IPv6 waits for that.
        index = node.engine.index(node.namespace)
    return End(node.namespace, name, index, mac or _mac_from(node, index), shape)


def _mac_from(node: Any, index: int) -> str:
    """A MAC for an unplanned link: derived from names, so that it is the same in every run."""
    digest = wire.direction_seed(0, f"{node.name} {index}").to_bytes(8, "little")
    return (b"\x02\x80" + digest[:4]).hex(":")


def interface_class(cls: Any) -> Any:
    """Our `Intf`, or the given class mixed with it; a factory function is returned unchanged."""
    if cls is None or cls in (mininet_link.Intf, mininet_link.TCIntf):
        return Intf
    if isinstance(cls, partial):
        return partial(interface_class(cls.func), *cls.args, **cls.keywords)
    if not isinstance(cls, type):
        return cls
    if issubclass(cls, Intf):
        return cls
    return type(cls.__name__, (cls, Intf), {})
