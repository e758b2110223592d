"""Queue disciplines as netlink messages (``linux/pkt_sched.h``), made from a `LinkShape`.

All conversions of units are here: Mbit/s → bytes/s, ms → ns or µs, percent → 2^32 - 1.

The sending interface has the rate limit (tbf) with the queue as its child; what happens on the
wire (serialisation, propagation, loss, ...) is one netem behind it, see `testbed.net.wire`.
"""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

from testbed.net.netlink import (
    NEW,
    NLM_F_CREATE,
    Message,
    attribute,
    attributes,
    nest,
    number,
    number64,
    text,
)
from testbed.net.shape import ETHERNET_HEADER_BYTES, LinkShape

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC, RTM_NEWTFILTER = 36, 37, 38, 44
TCA_KIND, TCA_OPTIONS = 1, 2
ROOT, INGRESS, INGRESS_HANDLE = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFF0000

DEFAULT_QUEUE_PKTS = 1000
"""Default queue length: Linux's own (txqueuelen)."""

WIRE_LIMIT_PKTS = 1_000_000
"""More packets than are ever in flight: the wire is not where packets are dropped."""

REAL_CLOCK_BURST_S = 0.002
"""Burst of the rate limit on the real clock, in seconds of its rate. A timer there fires late (by
some 50 µs, or a millisecond next to other programs) and time beyond the burst is lost: with a burst
of one frame 100 Mbit/s would come out as 60. The wire spaces packets that leave too close
together."""

VIRTUAL_CLOCK_BURST_S = 512e-9
"""What the burst adds to one frame on the virtual clock: two readings of the clock. One costs
256 ns, and a timer due within it fires after it: at 10 Gbit/s a fifth of a frame's time."""

_TBF_HANDLE, _QUEUE_HANDLE = 0x00010000, 0x000A0000
_TBF_CHILD = _TBF_HANDLE | 1
TCMSG = struct.Struct("=BxxxiIII")  # struct tcmsg
_RATE = struct.Struct("=BBHhHI")  # struct tc_ratespec
_LINKLAYER_ETHERNET = 1
_NETEM_DIST_SCALE = 8192
_CAKE_BESTEFFORT = 3
_CAKE_BYTES_PER_PKT = 2304  # cake's only limit is memory; this is what a full frame takes of it
_RED_ECN = 1


def bytes_per_s(rate_mbps: float) -> int:
    """10^6 bit/s as the kernel's bytes per second."""
    return max(1, round(rate_mbps * 1e6 / 8))


def frame_bytes(shape: LinkShape) -> int:
    """The largest frame as rate limits and byte queues count it."""
    return shape.mtu_bytes + ETHERNET_HEADER_BYTES


def _ns(ms: float) -> int:
    return round(ms * 1e6)


def _probability(percent: float) -> int:
    return round(percent / 100 * 0xFFFFFFFF)


def qdisc(index: int, parent: int, handle: int, kind: str, options: bytes, what: str) -> Message:
    """A request to add a queue discipline or, if it exists, to change it and keep its packets.

    `options` is the payload of ``TCA_OPTIONS``.
    """
    body = TCMSG.pack(socket.AF_UNSPEC, index, handle, parent, 0)
    body += text(TCA_KIND, kind) + attribute(TCA_OPTIONS, options)
    return Message(RTM_NEWQDISC, NLM_F_CREATE, body, f"{what}: queue discipline {kind}")


def remove_root(index: int, what: str) -> Message:
    """A request to remove an interface's disciplines; no error if there are none."""
    body = TCMSG.pack(socket.AF_UNSPEC, index, 0, ROOT, 0)
    return Message(RTM_DELQDISC, 0, body, f"{what}: no queue discipline", (2, 22))


def redirect(index: int, to_index: int, what: str) -> list[Message]:
    """Requests that send everything received at one interface out of another."""
    mirror = struct.pack("=IIiiiiI", 0, 0, 4, 0, 0, 1, to_index)  # TC_ACT_STOLEN, egress redirect
    action = nest(1, text(1, "mirred"), nest(2, attribute(2, mirror)))
    protocol = socket.htons(3)  # ETH_P_ALL
    body = TCMSG.pack(socket.AF_UNSPEC, index, 0, INGRESS_HANDLE, (1 << 16) | protocol)
    body += text(TCA_KIND, "matchall") + nest(TCA_OPTIONS, nest(2, action))
    return [
        qdisc(index, INGRESS, INGRESS_HANDLE, "ingress", b"", what),
        Message(RTM_NEWTFILTER, NEW, body, f"{what}: filter matchall"),
    ]


def sender(shape: LinkShape, index: int, virtual_clock: bool, what: str) -> list[Message]:
    """Requests for the sending interface: the rate limit, and the queue as its child."""
    if shape.rate_mbps is None:
        return []  # nothing ever waits here, so no queue discipline ever acts
    kind, options = _queue(shape)
    if kind == "cake":  # a rate limit of its own, meant to be at the root
        return [qdisc(index, ROOT, _QUEUE_HANDLE, kind, options, what)]
    # A change of tbf passes its limit on to a fifo child, so it must be the child's.
    fifo_limit = struct.unpack("=I", options)[0] if kind.endswith("fifo") else 0
    limit = _rate_limit(shape, virtual_clock, fifo_limit)
    return [
        qdisc(index, ROOT, _TBF_HANDLE, "tbf", limit, what),
        qdisc(index, _TBF_CHILD, _QUEUE_HANDLE, kind, options, what),
    ]


def _rate_limit(shape: LinkShape, virtual_clock: bool, fifo_limit: int) -> bytes:
    assert shape.rate_mbps is not None
    rate = bytes_per_s(shape.rate_mbps)
    burst = frame_bytes(shape) + int(rate * VIRTUAL_CLOCK_BURST_S)
    if not virtual_clock:
        burst = max(frame_bytes(shape), round(rate * REAL_CLOCK_BURST_S))
    spec = _RATE.pack(0, _LINKLAYER_ETHERNET, 0, 0, 0, min(rate, 0xFFFFFFFF))
    none = _RATE.pack(0, 0, 0, 0, 0, 0)
    parts = [attribute(1, spec + none + struct.pack("=III", fifo_limit, 0, 0)), number(6, burst)]
    if rate > 0xFFFFFFFF:
        parts.append(number64(4, rate))
    return b"".join(parts)


def _queue(shape: LinkShape) -> tuple[str, bytes]:
    """Kind and options of the discipline that holds the queue."""
    limit_pkts = shape.queue_limit_pkts or DEFAULT_QUEUE_PKTS
    if shape.qdisc == "fifo":
        if shape.queue_bytes:
            return "bfifo", struct.pack("=I", shape.queue_bytes)
        return "pfifo", struct.pack("=I", limit_pkts)
    return shape.qdisc, _MANAGED[shape.qdisc](shape, limit_pkts)


def _cake(shape: LinkShape, limit_pkts: int) -> bytes:
    assert shape.rate_mbps is not None
    rate = number64(2, bytes_per_s(shape.rate_mbps))
    return rate + number(3, _CAKE_BESTEFFORT) + number(10, limit_pkts * _CAKE_BYTES_PER_PKT)


def _red(shape: LinkShape, limit_pkts: int) -> bytes:
    """RED after Floyd & Jacobson 1993: thresholds at 1/6 and 1/2 of the buffer, max_p 0.1.

    The weight of the average is 2^-9 (the paper's 0.002).
    """
    assert shape.rate_mbps is not None
    frame = frame_bytes(shape)
    limit = limit_pkts * frame
    low, high = max(frame, limit // 6), max(2 * frame, limit // 2)
    weight_log, max_p = 9, 0.1
    slope_log = max(0, min(31, round(math.log2((high - low) / max_p))))
    # The average decays while the queue is idle as if small packets had left (red's STAB table).
    transmission_us = frame * 8 / shape.rate_mbps
    cell_log, table = _red_idle_table(weight_log, transmission_us)
    flags = _RED_ECN if shape.ecn else 0
    parameters = struct.pack("=IIIBBBB", limit, low, high, weight_log, slope_log, cell_log, flags)
    return attribute(1, parameters) + attribute(2, table) + number(3, round(max_p * 2**32))


_MANAGED: dict[str, Callable[[LinkShape, int], bytes]] = {
    # target 5 ms and interval 100 ms are the defaults (RFC 8289 §4.3, §4.4)
    "codel": lambda s, pkts: number(2, pkts) + number(4, int(s.ecn)),
    # quantum of one frame (RFC 8290 §5.2)
    "fq_codel": lambda s, pkts: number(2, pkts) + number(4, int(s.ecn)) + number(6, frame_bytes(s)),
    # target 15 ms is the default (RFC 8033 §4.1)
    "pie": lambda s, pkts: number(2, pkts) + number(6, int(s.ecn)),
    "red": _red,
    "cake": _cake,
}
"""Options of each active queue management, given the buffer in packets."""


def _red_idle_table(weight_log: int, transmission_us: float) -> tuple[int, bytes]:
    """Shift and table by which red's average decays: after iproute2's ``tc_red_eval_idle_damping``.

    Entry i is ``-log2(1 - w) * i * 2^cell_log / transmission time``, at most 31.
    """
    decay = -math.log2(1.0 - 1.0 / (1 << weight_log)) / transmission_us
    longest_us = 31 / decay
    cell_log = next((c for c in range(32) if longest_us / (1 << c) < 512), 31)
    table = [min(31, int((i << cell_log) * decay)) for i in range(255)]
    return cell_log, bytes([*table, 31])


def wire(shape: LinkShape, index: int, seed: int, what: str) -> Message:
    """A request for the wire: serialisation at the link's rate, then everything netem does.

    netem's own rate makes a lone packet arrive after its transmission time, as on a real line
    (the rate limit before it lets the first packet of a burst go at once), and it keeps the order
    of packets whatever the jitter; only `reorder_percent` changes it.

    Args:
        shape: of this direction.
        index: the interface in the wires' namespace from which packets go to the receiver.
        seed: of netem's random numbers (kernels since 6.6).
        what: begins error messages.
    """
    loss, duplicate = _probability(shape.loss_percent), _probability(shape.duplicate_percent)
    reorder, corrupt = _probability(shape.reorder_percent), _probability(shape.corrupt_percent)
    rate = _wire_rate(shape)
    # Attributes left out keep their value in a change, so all are always sent.
    options = [
        struct.pack("=6I", 0, WIRE_LIMIT_PKTS, loss, int(bool(reorder)), duplicate, 0),
        number64(10, _ns(shape.delay_ms), signed=True),
        number64(11, _ns(shape.jitter_ms), signed=True),
        attribute(3, struct.pack("=II", reorder, 0)) if reorder else b"",
        attribute(4, struct.pack("=II", corrupt, 0)),
        attribute(6, struct.pack("=IiIi", min(rate, 0xFFFFFFFF), 0, 0, 0)),
        number64(8, rate) if rate > 0xFFFFFFFF else b"",
        number64(14, seed),
    ]
    if shape.jitter_distribution == "normal":
        options.append(attribute(2, _normal_table()))
    return qdisc(index, ROOT, _TBF_HANDLE, "netem", b"".join(options), what)


def _wire_rate(shape: LinkShape) -> int:
    """Bytes per second of netem's rate; 0: none. Jitter without a rate needs one to keep order."""
    if shape.rate_mbps is not None:
        return bytes_per_s(shape.rate_mbps)
    return 10**12 if shape.jitter_ms else 0


@cache
def _normal_table() -> bytes:
    """netem's table of the normal distribution: 4096 quantiles, one sigma being 8192."""
    normal = NormalDist(0, _NETEM_DIST_SCALE)
    quantiles = [round(normal.inv_cdf((i + 0.5) / 4096)) for i in range(4096)]
    return struct.pack("=4096h", *(max(-32768, min(32767, q)) for q in quantiles))


def request_all() -> bytes:
    """Body of a request that lists the queue disciplines of a namespace."""
    return TCMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)


def parse(body: memoryview) -> tuple[int, int, dict[int, memoryview]]:
    """Interface index, parent and attributes of a listed queue discipline."""
    _, index, _, parent, _ = TCMSG.unpack_from(body)
    return index, parent, dict(attributes(body[TCMSG.size :]))
