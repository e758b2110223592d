"""Route-netlink requests: links, bridges, addresses, routes, neighbours (``linux/rtnetlink.h``)."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from testbed.net.netlink import (
    NEW,
    NLM_F_CREATE,
    NLM_F_REPLACE,
    Message,
    NetlinkSocket,
    attribute,
    attributes,
    nest,
    number,
    text,
)

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH = 28

IFF_UP, IFF_RUNNING, IFF_LOWER_UP = 0x1, 0x40, 0x10000
LOOPBACK_INDEX = 1

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 10, 18
IFLA_NET_NS_FD, IFLA_GSO_MAX_SEGS = 28, 40
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
_VETH_INFO_PEER = 1
_IFLA_BR_FORWARD_DELAY, _IFLA_BR_STP_STATE, _IFLA_BR_PRIORITY = 1, 5, 6
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS, _IFA_F_NODAD = 1, 2, 8, 0x02
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY = 1, 4, 5, 6
_RT_TABLE_MAIN, _RTN_UNICAST, _SCOPE_LINK = 254, 1, 253
RTPROT_STATIC = 4
_NUD_PERMANENT = 0x80

_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
_ADDRESS = struct.Struct("=BBBBi")  # struct ifaddrmsg
_ROUTE = struct.Struct("=BBBBBBBBI")  # struct rtmsg
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # struct ndmsg

Interface4or6 = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Network4or6 = ipaddress.IPv4Network | ipaddress.IPv6Network
Address4or6 = ipaddress.IPv4Address | ipaddress.IPv6Address


def mac_bytes(mac: str) -> bytes:
    """``02:00:00:00:00:01`` as six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def mac_text(raw: bytes | memoryview) -> str:
    """Six bytes as ``02:00:00:00:00:01``."""
    return bytes(raw).hex(":")


@dataclass(frozen=True, slots=True, kw_only=True)
class VethEnd:
    """One end of a veth pair.

    Attributes:
        namespace_fd: open file of the namespace it is created in.
        single_segments: never more than one MTU-sized packet in a buffer (no TSO/GSO).
    """

    namespace_fd: int
    name: str
    index: int
    mac: str
    mtu_bytes: int = 1500
    single_segments: bool = False

    def encode(self, up: bool) -> bytes:
        """``struct ifinfomsg`` and attributes."""
        flag = IFF_UP if up else 0
        parts = [
            _LINK.pack(socket.AF_UNSPEC, 0, self.index, flag, flag),
            text(IFLA_IFNAME, self.name),
            attribute(IFLA_ADDRESS, mac_bytes(self.mac)),
            number(IFLA_NET_NS_FD, self.namespace_fd),
            number(IFLA_MTU, self.mtu_bytes),
        ]
        if self.single_segments:
            parts.append(number(IFLA_GSO_MAX_SEGS, 1))
        return b"".join(parts)


def new_veth(one: VethEnd, two: VethEnd) -> Message:
    """A pair, each end made in its namespace under its final name, index and MAC.

    The first is up; the kernel cannot bring the second up before both exist.
    """
    peer = attribute(_VETH_INFO_PEER, two.encode(up=False))
    info = nest(IFLA_LINKINFO, text(IFLA_INFO_KIND, "veth"), nest(IFLA_INFO_DATA, peer))
    return Message(RTM_NEWLINK, NEW, one.encode(up=True) + info, f"link {one.name} to {two.name}")


def new_bridge(name: str, index: int, mac: str, stp: bool, priority: int) -> Message:
    """A bridge, up. With spanning tree, the priority is as in IEEE 802.1D (the lowest is root)."""
    data = [number(_IFLA_BR_STP_STATE, int(stp))]
    if stp:
        data.append(attribute(_IFLA_BR_PRIORITY, struct.pack("=H", priority)))
    body = (
        _LINK.pack(socket.AF_UNSPEC, 0, index, IFF_UP, IFF_UP)
        + text(IFLA_IFNAME, name)
        + attribute(IFLA_ADDRESS, mac_bytes(mac))
        + nest(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"), nest(IFLA_INFO_DATA, *data))
    )
    return Message(RTM_NEWLINK, NEW, body, f"switch {name}")


def set_up(index: int, up: bool, what: str) -> Message:
    """Bring an interface up or down."""
    body = _LINK.pack(socket.AF_UNSPEC, 0, index, IFF_UP if up else 0, IFF_UP)
    return Message(RTM_NEWLINK, 0, body, f"{what} {'up' if up else 'down'}")


def set_link(index: int, what: str, *attrs: bytes) -> Message:
    """Change attributes of an interface, e.g. its master, name or MAC."""
    return Message(
        RTM_NEWLINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + b"".join(attrs), what
    )


def set_master(index: int, bridge_index: int, what: str) -> Message:
    """Make an interface a port of a bridge (0: of none)."""
    return set_link(index, f"{what} as a switch port", number(IFLA_MASTER, bridge_index))


def delete_link(index: int, what: str) -> Message:
    """Remove an interface and, for veth, its peer; no error if it is gone."""
    body = _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)
    return Message(RTM_DELLINK, 0, body, f"removal of {what}", (errno.ENODEV,))


def _family(version: int) -> int:
    return int(socket.AF_INET if version == 4 else socket.AF_INET6)


def _address(kind: int, flags: int, index: int, address: Interface4or6, what: str) -> Message:
    raw = address.ip.packed
    body = _ADDRESS.pack(_family(address.version), address.network.prefixlen, 0, 0, index)
    body += attribute(_IFA_LOCAL, raw) + attribute(_IFA_ADDRESS, raw)
    if address.version == 6:
        # Addresses are unique by plan: detection would only delay the first packet by a second.
        body += number(_IFA_FLAGS, _IFA_F_NODAD)
    return Message(kind, flags, body, f"address {address} on {what}")


def add_address(index: int, address: Interface4or6, what: str) -> Message:
    """Give an interface an address, usable at once."""
    return _address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, address, what)


def delete_address(index: int, address: Interface4or6, what: str) -> Message:
    """Remove an address; no error if it is gone."""
    message = _address(RTM_DELADDR, 0, index, address, what)
    return Message(
        message.kind, 0, message.body, f"removal of {message.what}", (errno.EADDRNOTAVAIL,)
    )


def add_route(
    destination: Network4or6,
    what: str,
    *,
    via: Address4or6 | None = None,
    index: int | None = None,
    metric: int | None = None,
) -> Message:
    """A static route (replaces one to the same destination), by next hop, interface or both."""
    scope = 0 if via else _SCOPE_LINK
    body = _ROUTE.pack(
        _family(destination.version),
        destination.prefixlen,
        0,
        0,
        _RT_TABLE_MAIN,
        RTPROT_STATIC,
        scope,
        _RTN_UNICAST,
        0,
    )
    if destination.prefixlen:
        body += attribute(_RTA_DST, destination.network_address.packed)
    if via:
        body += attribute(_RTA_GATEWAY, via.packed)
    if index is not None:
        body += number(_RTA_OIF, index)
    if metric is not None:
        body += number(_RTA_PRIORITY, metric)
    hop = f" via {via}" if via else ""
    return Message(
        RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body, f"{what}: route to {destination}{hop}"
    )


def add_neighbour(index: int, address: Address4or6, mac: str, what: str) -> Message:
    """A permanent ARP/ND entry."""
    body = _NEIGHBOUR.pack(_family(address.version), index, _NUD_PERMANENT, 0, _RTN_UNICAST)
    body += attribute(1, address.packed) + attribute(2, mac_bytes(mac))
    flags = NLM_F_CREATE | NLM_F_REPLACE
    return Message(RTM_NEWNEIGH, flags, body, f"{what}: neighbour {address}")


@dataclass(frozen=True, slots=True)
class LinkState:
    """An interface in the kernel."""

    index: int
    name: str
    up: bool
    running: bool
    mac: str
    mtu_bytes: int


def links(socket_: NetlinkSocket) -> Iterator[LinkState]:
    """The interfaces of the socket's namespace."""
    for kind, body in socket_.dump(RTM_GETLINK, _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        if kind != RTM_NEWLINK:
            continue
        _, _, index, flags, _ = _LINK.unpack_from(body)
        found = dict(attributes(body[_LINK.size :]))
        yield LinkState(
            index,
            bytes(found[IFLA_IFNAME]).rstrip(b"\0").decode(),
            bool(flags & IFF_UP),
            bool(flags & IFF_LOWER_UP),
            mac_text(found.get(IFLA_ADDRESS, memoryview(b""))),
            int.from_bytes(found[IFLA_MTU], "little"),
        )


def addresses(socket_: NetlinkSocket) -> Iterator[tuple[int, Interface4or6]]:
    """The addresses of the socket's namespace as (interface index, address)."""
    for kind, body in socket_.dump(RTM_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0)):
        if kind != RTM_NEWADDR:
            continue
        _, prefix_length, _, _, index = _ADDRESS.unpack_from(body)
        found = dict(attributes(body[_ADDRESS.size :]))
        raw = found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS))
        if raw is not None:
            yield index, ipaddress.ip_interface((bytes(raw), prefix_length))
