"""Mininet's link options (`TCLink`'s) as a `LinkShape`: the one place that knows their units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from testbed.core.errors import ConfigError
from testbed.net.shape import LinkShape

SHAPING = ("bw", "delay", "jitter", "loss", "max_queue_size", "enable_ecn", "enable_red")
"""Mininet's options that shape a link."""

WITHOUT_EFFECT = ("gro", "txo", "rxo", "speedup", "use_hfsc", "use_tbf", "use_htb", "latency_ms")
"""Options that choose among Mininet's own mechanisms, all replaced by one here."""

_UNIT_MS = {
    "s": 1e3,
    "sec": 1e3,
    "secs": 1e3,
    "ms": 1.0,
    "msec": 1.0,
    "msecs": 1.0,
    "us": 1e-3,
    "usec": 1e-3,
    "usecs": 1e-3,
    "": 1e-3,
}


def take_shape(params: dict[str, Any], side: int, where: str) -> LinkShape:
    """Extract a side's shape from a link's options.

    Args:
        params: options of the link; those about its shape are removed.
        side: 1 or 2.
        where: begins error messages, e.g. ``link h1 s1``.

    Raises:
        ConfigError: an option has an impossible value.
    """
    shape = params.pop(f"shape{side}", None) or params.pop("shape", None)
    params.pop("shape", None), params.pop("shape1", None), params.pop("shape2", None)
    given = {name: params.pop(name, None) for name in SHAPING}
    for name in WITHOUT_EFFECT:
        params.pop(name, None)
    try:
        return from_mininet(shape or LinkShape(), **given)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def shape_of(info: Mapping[str, Any], side: int, where: str = "link") -> LinkShape:
    """The shape for packets that one side of a link sends, from the topology's options.

    Args:
        info: the link's data, as Mininet's `Topo` has it; stays as it is.
        side: 1 or 2.
        where: begins error messages.
    """
    return take_shape({**info, **(info.get(f"params{side}") or {})}, side, where)


def from_mininet(
    base: LinkShape,
    bw: float | None = None,
    delay: str | float | None = None,
    jitter: str | float | None = None,
    loss: float | None = None,
    max_queue_size: int | None = None,
    enable_ecn: bool | None = None,
    enable_red: bool | None = None,
) -> LinkShape:
    """Mininet's options over a shape.

    Args:
        base: what the options change.
        bw: 10^6 bit/s.
        delay: one-way, as tc reads it: ``5ms``; a bare number is µs.
        jitter: the same.
        loss: percent.
        max_queue_size: packets.
        enable_ecn: RED that marks.
        enable_red: RED that drops.
    """
    changes: dict[str, Any] = {}
    if bw is not None:
        changes["rate_mbps"] = _number(bw, "bw", "10")
    for name, value in (("delay_ms", delay), ("jitter_ms", jitter)):
        if value is not None:
            changes[name] = parse_ms(value, name.removesuffix("_ms"))
    if loss is not None:
        changes["loss_percent"] = _number(loss, "loss", "5")
    if max_queue_size is not None:
        queue_pkts = int(_number(max_queue_size, "max_queue_size", "100"))
        changes |= {"queue_pkts": queue_pkts, "queue_bytes": None, "queue_bdp": None}
    if enable_ecn or enable_red:
        changes |= {"qdisc": "red", "ecn": bool(enable_ecn)}
    return replace(base, **changes) if changes else base


def _number(value: Any, name: str, example: str) -> Any:
    """A number, also one that was written as a text."""
    try:
        return float(value) if isinstance(value, str) else value + 0
    except (TypeError, ValueError):
        raise ConfigError(f"{name}: {value!r} is not a number; write {name}={example}") from None


def parse_ms(value: str | float, name: str) -> float:
    """A duration as tc reads it, in ms."""
    match = re.fullmatch(r"\s*([0-9.]+(?:e-?\d+)?)\s*([a-z]*)\s*", str(value).lower())
    if not match or match[2] not in _UNIT_MS or match[1].count(".") > 1:
        raise ConfigError(f"{name}: {value!r} is not a duration; write it like '5ms'")
    return float(match[1]) * _UNIT_MS[match[2]]


def check_port(port: Any, where: str) -> None:
    """Refuses a port that is not a number.

    Raises:
        ConfigError: says what the third and the fourth argument of `addLink` are.
    """
    if isinstance(port, bool) or not isinstance(port, int) or port < 0:
        raise ConfigError(
            f"{where}: port {port!r} is not a number; the third and fourth argument of addLink are "
            "ports, so write options by name: bw=10, delay='5ms', cls=TCLink"
        )
