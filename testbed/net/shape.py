"""The shape of a link: what its wire and its queue do to packets. Pure data, no commands."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Self

from testbed.core.errors import ConfigError, nearest

QDISCS = ("fifo", "red", "codel", "fq_codel", "pie", "cake")
"""Queue disciplines of the sending side's buffer. `fifo` counts packets, or bytes (queue_bytes)."""

ECN_QDISCS = ("red", "codel", "fq_codel", "pie", "cake")

ETHERNET_HEADER_BYTES = 14
"""What the rate limit counts besides the IP packet (the kernel counts no preamble and no FCS)."""

_MAX = {
    "rate_mbps": 400_000.0, "delay_ms": 600_000.0, "jitter_ms": 600_000.0, "rtt_ms": 1_200_000.0,
    "queue_pkts": 40_000_000, "queue_bytes": 2_500_000_000, "queue_bdp": 10_000.0,
    "mtu_bytes": 65_535,
}  # fmt: skip


QUEUE_MAX_BYTES = 2_500_000_000
"""Queue disciplines count in 32 bits, some of them more for a packet than its bytes."""


@dataclass(frozen=True, kw_only=True)
class LinkShape:
    """One direction of a link.

    The rate limit and the queue are at the sending interface; propagation delay, jitter, loss,
    duplication and corruption happen on the wire behind it, whose own buffer never drops.

    Attributes:
        rate_mbps: line rate, 10^6 bit/s, counted over Ethernet frames; None: not limited.
        delay_ms: one-way propagation delay.
        jitter_ms: standard deviation (normal) or half range (uniform) around the delay.
        jitter_distribution: ``uniform`` or ``normal``.
        loss_percent: independent random loss on the wire.
        duplicate_percent: packets sent twice by the wire.
        corrupt_percent: packets with one bit flipped by the wire.
        reorder_percent: packets that skip the delay.
        queue_pkts: the buffer at the sending side, in packets.
        queue_bytes: the same in bytes (fifo only).
        queue_bdp: the same in bandwidth-delay products of `rtt_ms`.
        rtt_ms: round-trip time that `queue_bdp` refers to; default twice `delay_ms`.
        qdisc: one of `QDISCS`.
        ecn: mark instead of dropping, where the discipline supports it.
        mtu_bytes: largest IP packet.
    """

    rate_mbps: float | None = None
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    jitter_distribution: str = "uniform"
    loss_percent: float = 0.0
    duplicate_percent: float = 0.0
    corrupt_percent: float = 0.0
    reorder_percent: float = 0.0
    queue_pkts: int | None = None
    queue_bytes: int | None = None
    queue_bdp: float | None = None
    rtt_ms: float | None = None
    qdisc: str = "fifo"
    ecn: bool = False
    mtu_bytes: int = 1500

    def __new__(cls, *_: Any, **given: Any) -> Self:
        """As for every class, but unknown fields are refused with our own error."""
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                others = nearest(name, known) or f"; known: {', '.join(known)}"
                raise ConfigError(f"link {name}: LinkShape has no such field{others}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_numbers()
        self._check_queue()

    def _check_choices(self) -> None:
        for field, allowed in (
            ("qdisc", QDISCS),
            ("jitter_distribution", ("uniform", "normal")),
        ):
            value = getattr(self, field)
            if value not in allowed:
                raise ConfigError(
                    f"link {field}: {value!r} is unknown; "
                    f"allowed: {', '.join(allowed)}{nearest(str(value), allowed)}"
                )
        if self.ecn and self.qdisc not in ECN_QDISCS:
            raise ConfigError(
                f"link ecn: '{self.qdisc}' cannot mark; choose one of {', '.join(ECN_QDISCS)}"
            )

    def _check_numbers(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            top = _MAX.get(field.name, 100.0 if field.name.endswith("_percent") else math.inf)
            positive = field.name in {
                "rate_mbps",
                "queue_pkts",
                "queue_bytes",
                "queue_bdp",
                "rtt_ms",
                "mtu_bytes",
            }
            low_ok = value > 0 if positive else value >= 0
            if not (math.isfinite(value) and low_ok and value <= top):
                low = "more than 0" if positive else "0 or more"
                high = f" and at most {top:g}" if math.isfinite(top) else ""
                raise ConfigError(f"link {field.name}: {value} is out of range; {low}{high}")
        if not 68 <= self.mtu_bytes <= 65535:
            raise ConfigError(f"link mtu_bytes: {self.mtu_bytes} is out of range; 68 to 65535")

    def _check_queue(self) -> None:
        given = [f for f in ("queue_pkts", "queue_bytes", "queue_bdp") if getattr(self, f)]
        if len(given) > 1:
            raise ConfigError(f"link {' and '.join(given)}: give the queue's length once")
        if self.queue_bytes and self.qdisc != "fifo":
            raise ConfigError(f"link queue_bytes: '{self.qdisc}' counts packets; give queue_pkts")
        if self.queue_bdp and (self.rate_mbps is None or not (self.rtt_ms or self.delay_ms)):
            raise ConfigError("link queue_bdp: needs rate_mbps and rtt_ms (or delay_ms)")
        frame_bytes = self.mtu_bytes + ETHERNET_HEADER_BYTES
        size_bytes = self.queue_bytes or (self.queue_limit_pkts or 0) * frame_bytes
        if size_bytes > QUEUE_MAX_BYTES:
            raise ConfigError(
                f"link {given[0]}: {getattr(self, given[0])} makes a queue of "
                f"{size_bytes / 1e9:.3g} GB; at most {QUEUE_MAX_BYTES / 1e9:.3g} GB"
            )

    @property
    def queue_limit_pkts(self) -> int | None:
        """The buffer in packets of `mtu_bytes`; None if not given, or given in bytes."""
        if self.queue_bdp is None or self.rate_mbps is None:
            return self.queue_pkts
        rtt_s = (self.rtt_ms or 2 * self.delay_ms) / 1e3
        frame_bits = 8 * (self.mtu_bytes + ETHERNET_HEADER_BYTES)
        return max(1, round(self.queue_bdp * self.rate_mbps * 1e6 * rtt_s / frame_bits))

    @property
    def is_plain(self) -> bool:
        """True if the link needs no traffic control at all."""
        return self == LinkShape(mtu_bytes=self.mtu_bytes)

    def as_dict(self) -> dict[str, Any]:
        """What was set, for the run directory: only fields that differ from the default."""
        default = type(self)()
        return {
            f.name: value
            for f in fields(self)
            if (value := getattr(self, f.name)) != getattr(default, f.name)
        }
