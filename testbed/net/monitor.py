"""Changes of routes, neighbours and links in every node, from the kernel's own notifications.

One thread listens to one netlink socket per node. It wakes only when the kernel reports something,
and records the time and the raw message; messages are decoded when recording ends. On the virtual
clock computation takes no time, so the recorded time is that of the change.

``routes.jsonl``, ``neighbours.jsonl`` and ``links.jsonl``, one object per line, all with
``time_ns`` (since 1970), ``node`` and ``action``: ``have`` (there when recording began), ``new``,
``replace`` or ``del``. The rest of the keys: see `route_row`, `neighbour_row`, `link_row`.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import math
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.net.netlink import NLM_F_REPLACE, NetlinkSocket, attributes

if TYPE_CHECKING:
    from testbed.net import Network

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30

_GROUPS = {"routes": (7, 11), "neighbours": (3,), "links": (1,)}
"""``RTNLGRP_IPV4_ROUTE`` and ``_IPV6_ROUTE``, ``RTNLGRP_NEIGH``, ``RTNLGRP_LINK``."""

_DUMPS = {"routes": RTM_GETROUTE, "neighbours": RTM_GETNEIGH, "links": RTM_GETLINK}
_KIND_OF = {
    RTM_NEWROUTE: "routes",
    RTM_DELROUTE: "routes",
    RTM_NEWNEIGH: "neighbours",
    RTM_DELNEIGH: "neighbours",
    RTM_NEWLINK: "links",
    RTM_DELLINK: "links",
}
_DELETIONS = (RTM_DELLINK, RTM_DELROUTE, RTM_DELNEIGH)

_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_SO_RCVBUFFORCE = 33  # beyond net.core.rmem_max
_HEADER = struct.Struct("=IHHII")
_BUFFER_BYTES = 4 << 20
_RTF_MAIN_TABLE = 254
_RTN_UNICAST = 1
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_MULTIPATH, _RTA_TABLE = 1, 4, 5, 6, 9, 15
_RTA_VIA = 18

ROUTE_PROTOCOLS = {
    2: "kernel",
    3: "boot",
    4: "static",
    11: "zebra",
    16: "dhcp",
    17: "mrouted",
    186: "bgp",
    187: "isis",
    188: "ospf",
    189: "rip",
    190: "ripng",
    196: "static",
}
"""``rtm_protocol``; ospf6d's routes come as ``ospf`` too, 196 is FRR's staticd."""

NEIGHBOUR_STATES = {
    0x01: "INCOMPLETE",
    0x02: "REACHABLE",
    0x04: "STALE",
    0x08: "DELAY",
    0x10: "PROBE",
    0x20: "FAILED",
    0x40: "NOARP",
    0x80: "PERMANENT",
}

Row = dict[str, Any]


class Monitor:
    """Listens in the nodes of a network from its creation until `close`."""

    def __init__(self, net: Network, folder: Path, kinds: Iterable[str] = ("routes",)) -> None:
        """Starts listening.

        Args:
            net: the network; all its hosts and routers are listened to.
            folder: where the files go.
            kinds: some of ``routes``, ``neighbours`` and ``links``.
        """
        self._folder, self._kinds = folder, tuple(kinds)
        self._notes: list[tuple[int, str, str, bytes]] = []  # time, node, action if known, bytes
        self._names: dict[str, dict[int, str]] = {}
        self._lost: list[str] = []
        self._sockets: dict[int, tuple[str, socket.socket]] = {}
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._poll.register(self._wake, select.EPOLLIN)
        for node in net.hosts:
            self._names[node.name] = {intf.index: intf.name for intf in node.intfList()} | {1: "lo"}
            listener = net.engine.inside(node.namespace, self._listen)
            self._sockets[listener.fileno()] = (node.name, listener)
            net.engine.ask(node.namespace, lambda s, n=node.name: self._list(s, n))  # type: ignore[misc]
        for fd in self._sockets:
            self._poll.register(fd, select.EPOLLIN)
        self._thread = threading.Thread(target=self._work, name="monitor", daemon=True)
        self._thread.start()

    def _listen(self) -> socket.socket:
        flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        listener = socket.socket(socket.AF_NETLINK, flags, socket.NETLINK_ROUTE)
        listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        listener.bind((0, 0))
        for kind in self._kinds:
            for group in _GROUPS[kind]:
                listener.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        return listener

    def _list(self, asking: NetlinkSocket, node: str) -> None:
        """Records what already exists."""
        for kind in self._kinds:
            for number, body in asking.dump(_DUMPS[kind], bytes(16)):
                raw = _HEADER.pack(_HEADER.size + len(body), number, 0, 0, 0) + bytes(body)
                self._notes.append((time.time_ns(), node, "have", raw))

    def _work(self) -> None:
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._wake:
                    return
                self._drain(*self._sockets[fd])

    def _drain(self, node: str, listener: socket.socket) -> None:
        """Records everything that waits in one socket."""
        now_ns = time.time_ns()
        while True:
            try:
                self._notes.append((now_ns, node, "", listener.recv(1 << 16)))
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._lost.append(node)

    @property
    def calm_s(self) -> float:
        """How long the kernel has reported nothing."""
        return (time.time_ns() - self._notes[-1][0]) / 1e9 if self._notes else math.inf

    def close(self) -> list[str]:
        """Stops listening and writes the files.

        Returns:
            Nodes whose notifications were lost (the kernel's buffer was full).
        """
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        for node, listener in self._sockets.values():
            self._drain(node, listener)
            listener.close()
        self._poll.close()
        os.close(self._wake)
        rows: dict[str, list[Row]] = {kind: [] for kind in self._kinds}
        for time_ns, node, action, data in self._notes:
            for kind, row in read_messages(data, self._names[node], action):
                if kind in rows:
                    rows[kind].append({"time_ns": time_ns, "node": node, **row})
        for kind, found in rows.items():
            lines = [json.dumps(row) + "\n" for row in found]
            (self._folder / f"{kind}.jsonl").write_text("".join(lines), encoding="utf-8")
        return sorted(set(self._lost))


def read_messages(
    data: bytes, names: Mapping[int, str], action: str = ""
) -> Iterable[tuple[str, Row]]:
    """The rows in a buffer of netlink messages, each with its kind. Pure.

    Args:
        data: consecutive messages.
        names: interface index → name.
        action: of all of them, where it is known; else by message type.
    """
    view, at = memoryview(data), 0
    while at + _HEADER.size <= len(view):
        size, number, flags, _, _ = _HEADER.unpack_from(view, at)
        if size < _HEADER.size:
            return
        body = view[at + _HEADER.size : at + size]
        at += (size + 3) & ~3
        kind = _KIND_OF.get(number)
        row = _READERS[kind](body, names) if kind else None
        if kind and row is not None:
            done = "replace" if flags & NLM_F_REPLACE else "new"
            verb = action or ("del" if number in _DELETIONS else done)
            yield kind, {"action": verb, **row}


def route_row(body: memoryview, names: Mapping[int, str]) -> Row | None:
    """A unicast route of the main table; None for others.

    Keys: ``family`` (4 or 6), ``destination`` (prefix), ``protocol`` (`ROUTE_PROTOCOLS`),
    ``metric``, ``hops``: list of {``via``, ``out``, ``weight``}.
    """
    family, length, _, _, table, protocol, _, kind = struct.unpack_from("=8B", body)
    found = dict(attributes(body[12:]))
    if _RTA_TABLE in found:
        table = _int(found[_RTA_TABLE])
    if table != _RTF_MAIN_TABLE or kind != _RTN_UNICAST or family not in _ANY:
        return None
    destination = _address(found[_RTA_DST]) if _RTA_DST in found else _ANY[family]
    hops = [_hop(found, names, 1)] if _RTA_OIF in found else []
    if _RTA_MULTIPATH in found:
        hops = list(_hops(found[_RTA_MULTIPATH], names))
    return {
        "family": 4 if family == socket.AF_INET else 6,
        "destination": f"{destination}/{length}",
        "protocol": ROUTE_PROTOCOLS.get(protocol, str(protocol)),
        "metric": _int(found[_RTA_PRIORITY]) if _RTA_PRIORITY in found else 0,
        "hops": hops,
    }


_ANY: dict[int, str] = {int(socket.AF_INET): "0.0.0.0", int(socket.AF_INET6): "::"}


def _hops(data: memoryview, names: Mapping[int, str]) -> Iterable[Row]:
    """The next hops of a multipath route (``struct rtnexthop``)."""
    at = 0
    while at + 8 <= len(data):
        size, _, weight, index = struct.unpack_from("=HBBi", data, at)
        if size < 8:
            return
        found = dict(attributes(data[at + 8 : at + size]))
        yield _hop({**found, _RTA_OIF: index.to_bytes(4, "little")}, names, weight + 1)
        at += (size + 3) & ~3


def _hop(found: Mapping[int, memoryview | bytes], names: Mapping[int, str], weight: int) -> Row:
    index = _int(found[_RTA_OIF])
    via = None
    if _RTA_GATEWAY in found:
        via = _address(found[_RTA_GATEWAY])
    elif _RTA_VIA in found:
        via = _address(found[_RTA_VIA][2:])
    return {"via": via, "out": names.get(index, str(index)), "weight": weight}


def neighbour_row(body: memoryview, names: Mapping[int, str]) -> Row | None:
    """An entry of the ARP or ND cache; None for others.

    Keys: ``family``, ``interface``, ``address``, ``mac`` (None while unknown), ``state``.
    """
    family, index, state = struct.unpack_from("=BxxxiH", body)
    found = dict(attributes(body[12:]))
    if family not in _ANY or 1 not in found:
        return None
    return {
        "family": 4 if family == socket.AF_INET else 6,
        "interface": names.get(index, str(index)),
        "address": _address(found[1]),
        "mac": bytes(found[2]).hex(":") if 2 in found else None,
        "state": NEIGHBOUR_STATES.get(state, hex(state)),
    }


def link_row(body: memoryview, names: Mapping[int, str]) -> Row | None:
    """An interface. Keys: ``interface``, ``up`` (set up by its owner), ``carrier``."""
    index, flags = struct.unpack_from("=4xiI", body)
    if index not in names:
        return None
    return {"interface": names[index], "up": bool(flags & 0x1), "carrier": bool(flags & 0x10000)}


_READERS: dict[str, Callable[[memoryview, Mapping[int, str]], Row | None]] = {
    "routes": route_row,
    "neighbours": neighbour_row,
    "links": link_row,
}


def _address(raw: memoryview | bytes) -> str:
    return str(ipaddress.ip_address(bytes(raw)))


def _int(raw: memoryview | bytes) -> int:
    return int.from_bytes(raw, "little")
