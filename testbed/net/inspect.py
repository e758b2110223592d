"""The actual state in the kernel: queue disciplines, sysctls, interfaces of a running network."""

from __future__ import annotations

import itertools
import os
import resource
import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from testbed.core.errors import ConfigError
from testbed.net import rtnl, traffic
from testbed.net.netlink import NetlinkSocket, attributes

if TYPE_CHECKING:
    from testbed.net.engine import Engine
    from testbed.net.plan import Plan


class Inspected(Protocol):
    """What this module needs of a network; see `testbed.net.Network`."""

    engine: Engine
    links: list[Any]
    hosts: list[Any]

    def __getitem__(self, name: str) -> Any:
        """A node by its name."""


QdiscRow = dict[str, Any]
"""``node``, ``interface``, ``place`` (``sender`` or ``wire``), ``kind``, ``parent``, ``options`` as
the kernel tells them, ``sent_bytes``, ``sent_pkts``, ``dropped_pkts``, ``overlimits``."""

RECORDED_SYSCTLS = (
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_ecn",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_no_metrics_save",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.ip_default_ttl",
)
"""Settings that change how a host or router behaves and are per node."""

_NO_QUEUE = {"noqueue", "ingress", "clsact"}
_TCA_STATS2, _TCA_STATS_BASIC, _TCA_STATS_QUEUE, _TCA_STATS_PKT64 = 7, 1, 3, 8


def raise_file_limit() -> None:
    """Raise the limit of open files as far as allowed: a network needs one per node."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def address_row(intf: Any) -> dict[str, str | None]:
    """One interface as a row of `Network.addresses`."""
    peer = intf.link.other(intf).name if intf.link else None
    ipv4 = f"{intf.ip}/{intf.prefixLen}" if intf.ip else None
    ipv6 = str(intf.ipv6) if getattr(intf, "ipv6", None) else None
    return {
        "node": intf.node.name,
        "interface": intf.name,
        "peer": peer,
        "ipv4": ipv4,
        "ipv6": ipv6,
        "mac": intf.mac,
    }


def further_rows(plan: Plan, node: str) -> list[dict[str, str | None]]:
    """A node's addresses beyond one of each version: second ones, and its loopback's."""
    ports = [(port.name, port.more) for port in plan.ports.get(node, ())]
    rows: list[dict[str, str | None]] = []
    for interface, addresses in (*ports, ("lo", plan.loopbacks.get(node, ()))):
        ipv4, ipv6 = ([str(a) for a in addresses if a.version == v] for v in (4, 6))
        rows += [
            {
                "node": node,
                "interface": interface,
                "peer": None,
                "ipv4": one,
                "ipv6": other,
                "mac": None,
            }
            for one, other in itertools.zip_longest(ipv4, ipv6)
        ]
    return rows


def qdiscs(net: Inspected) -> list[QdiscRow]:
    """The queue disciplines of all shaped links; a wire's under the interface that sends to it."""
    names: dict[str, dict[int, tuple[str, str, str]]] = {}
    spaces = {}
    for link in net.links:
        for intf in (link.intf1, link.intf2):
            if intf is None or intf.end is None or intf.end.shape.is_plain:
                continue
            sender, receiver = intf.end, link.other(intf).end
            places = [(intf.node.namespace, sender.index, "sender")]
            if receiver.far is not None:
                places.append((net.engine.wires, receiver.far, "wire"))
            for namespace, index, place in places:
                spaces[namespace.name] = namespace
                owner = (intf.node.name, intf.name, place)
                names.setdefault(namespace.name, {})[index] = owner
    rows = []
    for key, owners in names.items():
        for index, row in net.engine.ask(spaces[key], _dump_qdiscs):
            if index in owners:
                node, interface, place = owners[index]
                rows.append({"node": node, "interface": interface, "place": place, **row})
    return sorted(rows, key=lambda row: (row["interface"], row["place"], row["parent"] != "root"))


def _dump_qdiscs(socket: NetlinkSocket) -> list[tuple[int, QdiscRow]]:
    found = []
    for kind, body in socket.dump(traffic.RTM_GETQDISC, traffic.request_all()):
        if kind != traffic.RTM_NEWQDISC:
            continue
        index, parent, attrs = traffic.parse(body)
        name = bytes(attrs[traffic.TCA_KIND]).rstrip(b"\0").decode()
        if name in _NO_QUEUE:
            continue
        options = bytes(attrs.get(traffic.TCA_OPTIONS, b""))
        row: QdiscRow = {
            "kind": name,
            "parent": "root" if parent == traffic.ROOT else f"{parent >> 16:x}:{parent & 0xFFFF:x}",
            "options": READERS[name](options) if name in READERS else {},
            **_stats(attrs.get(_TCA_STATS2, memoryview(b""))),
        }
        found.append((index, row))
    return found


def _stats(data: memoryview) -> dict[str, int]:
    found = dict(attributes(data))
    sent_bytes, sent_pkts = struct.unpack_from("=QI", found[_TCA_STATS_BASIC])
    _, backlog, drops, _, overlimits = struct.unpack_from("=5I", found[_TCA_STATS_QUEUE])
    if _TCA_STATS_PKT64 in found:
        sent_pkts = struct.unpack("=Q", found[_TCA_STATS_PKT64])[0]
    return {
        "sent_bytes": sent_bytes,
        "sent_pkts": sent_pkts,
        "dropped_pkts": drops,
        "overlimits": overlimits,
        "backlog_bytes": backlog,
    }


def _read_tbf(data: bytes) -> dict[str, Any]:
    found = dict(attributes(data))
    rate = struct.unpack_from("=8xI", found[1])[0]
    if 4 in found:
        rate = struct.unpack("=Q", found[4])[0]
    buffer_ticks = struct.unpack_from("=24xII", found[1])[1]
    return {"rate_bytes_per_s": rate, "burst_ns": buffer_ticks * 64}


def _read_netem(data: bytes) -> dict[str, Any]:
    _, limit, loss, gap, duplicate, _ = struct.unpack_from("=6I", data)
    found = dict(attributes(data[24:]))
    rate = struct.unpack_from("=I", found[6])[0] if 6 in found else 0
    if 8 in found:
        rate = struct.unpack("=Q", found[8])[0]
    percent = 100 / 0xFFFFFFFF
    return {
        "limit_pkts": limit,
        "delay_ns": struct.unpack("=q", found[10])[0],
        "jitter_ns": struct.unpack("=q", found[11])[0],
        "loss_percent": round(loss * percent, 6),
        "duplicate_percent": round(duplicate * percent, 6),
        "reorder_percent": round(struct.unpack_from("=I", found[3])[0] * percent, 6) if gap else 0,
        "corrupt_percent": round(struct.unpack_from("=I", found[4])[0] * percent, 6)
        if 4 in found
        else 0,
        "rate_bytes_per_s": rate,
        "seed": struct.unpack("=Q", found[14])[0] if 14 in found else None,
    }


def _numbers(**fields: int) -> Callable[[bytes], dict[str, Any]]:
    def read(data: bytes) -> dict[str, Any]:
        found = dict(attributes(data))
        return {
            name: int.from_bytes(found[kind], "little")
            for name, kind in fields.items()
            if kind in found
        }

    return read


def _read_red(data: bytes) -> dict[str, Any]:
    found = dict(attributes(data))
    limit, low, high, weight, _, _, flags = struct.unpack_from("=IIIBBBB", found[1])
    max_p = struct.unpack("=I", found[3])[0] / 2**32 if 3 in found else None
    return {
        "limit_bytes": limit,
        "min_bytes": low,
        "max_bytes": high,
        "weight_log": weight,
        "max_p": max_p,
        "ecn": flags & 1,
    }


READERS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "tbf": _read_tbf,
    "netem": _read_netem,
    "pfifo": lambda data: {"limit_pkts": struct.unpack_from("=I", data)[0]},
    "bfifo": lambda data: {"limit_bytes": struct.unpack_from("=I", data)[0]},
    "codel": _numbers(target_us=1, limit_pkts=2, interval_us=3, ecn=4),
    "fq_codel": _numbers(target_us=1, limit_pkts=2, interval_us=3, ecn=4, flows=5, quantum_bytes=6),
    "pie": _numbers(target_us=1, limit_pkts=2, tupdate_us=3, ecn=6),
    "red": _read_red,
    "cake": _numbers(rate_bytes_per_s=2, rtt_us=7, memory_bytes=10),
}
"""Options of each kind as the kernel dumps them, in its own units (named)."""


def _sysctl_path(name: str) -> str:
    parts = name.replace(".", "/")
    if not parts.startswith("net/") or ".." in parts:
        raise ConfigError(f"sysctl '{name}': only those under net. belong to a node")
    return f"/proc/sys/{parts}"


def sysctls(net: Inspected, names: Iterable[str]) -> dict[str, dict[str, str | None]]:
    """Sysctls of every host and router; None where the kernel has no such sysctl."""
    paths = {name: _sysctl_path(name) for name in names}

    def read() -> dict[str, str | None]:
        return {name: _read_file(path) for name, path in paths.items()}

    return {node.name: net.engine.inside(node.namespace, read) for node in net.hosts}


def _read_file(path: str) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return " ".join(os.read(fd, 4096).decode().split())
    finally:
        os.close(fd)


def set_sysctl(net: Inspected, node: str, name: str, value: str) -> None:
    """Set one in a node.

    Raises:
        ConfigError: no such sysctl, or a value the kernel refuses.
    """
    path = _sysctl_path(name)

    def write() -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)

    try:
        net.engine.inside(net[node].namespace, write)
    except FileNotFoundError as error:
        raise ConfigError(f"{node}: sysctl '{name}' is unknown to this kernel") from error
    except OSError as error:
        raise ConfigError(f"{node}: sysctl '{name}': {value!r} is refused: {error}") from error


def links(net: Inspected, node: str) -> list[rtnl.LinkState]:
    """A node's interfaces in the kernel."""
    return net.engine.ask(net[node].namespace, lambda socket: list(rtnl.links(socket)))
