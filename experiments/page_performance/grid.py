"""The grid: at which rate, round-trip time and loss, and by which congestion control, is visited.

Each point is a visit by somebody new. Its name is that of the visit and of the step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from testbed import ConfigError

VERSIONS = ("1.1", "2", "3")
"""Of HTTP; each has a scenario of its own."""

INITIAL_SEGMENTS = 10
"""What a connection may send at first (RFC 6928 §2)."""

WINDOWS_SEGMENTS = (2, 10, 40)
"""First windows that are compared."""

MOST_VISITS = 400
"""Of one scenario."""

NEW_TLS, NO_TLS = "1.3", "none"
HASTY_TLS, OLD_TLS = "1.2", "1.2-cbc"
"""TLS 1.2 with a cipher with which Chromium speaks before the handshake has ended (RFC 7918), and
with one with which it does not."""


def scenario(version: str) -> str:
    """The scenario of a version of HTTP."""
    return f"http{version.partition('.')[0]}"


SCENARIOS = {scenario(version): version for version in VERSIONS}


@dataclass(frozen=True)
class Point:
    """One visit.

    Attributes:
        rate_mbps, rtt_ms, loss_percent: of the path to the client.
        cc: the server's congestion control.
        window_segments: the server's first window.
        tls: version of TLS, or `NO_TLS`.
    """

    rate_mbps: float
    rtt_ms: float
    loss_percent: float
    cc: str
    window_segments: int = INITIAL_SEGMENTS
    tls: str = NEW_TLS

    @property
    def name(self) -> str:
        """Of the visit."""
        parts = [f"{self.rate_mbps:g}mbps", f"{self.rtt_ms:g}ms", f"{self.loss_percent:g}lost"]
        parts.append(self.cc)
        parts += [f"{self.window_segments}segments"] * (self.window_segments != INITIAL_SEGMENTS)
        parts += [f"tls-{self.tls}"] * (self.tls != NEW_TLS)
        return "-".join(parts)


def points(params: Any, version: str) -> Iterator[Point]:
    """All visits of a scenario, in order: those of the grid, then those beside it.

    The loss changes least often, because its sequence begins anew when it is set. The first
    congestion control is used everywhere, others with HTTP/2 at the higher rates, where the window
    and not the link limits a page.
    """
    p = params
    first, *others = controls(p.cc, version)
    rates = sorted(set(p.rates_mbps))
    for loss, rate, rtt in product(*_axes(p)):
        yield Point(rate, rtt, loss, first)
        for cc in others if version == "2" and rate >= rates[len(rates) // 2] else ():
            yield Point(rate, rtt, loss, cc)
    far = farthest(p, version)
    if version == "2":
        windows = (w for w in WINDOWS_SEGMENTS if w != INITIAL_SEGMENTS)
        yield from (replace(far, window_segments=segments) for segments in windows)
    if version == "1.1":
        yield from (replace(far, tls=tls) for tls in (NO_TLS, HASTY_TLS, OLD_TLS))


def _axes(params: Any) -> list[list[float]]:
    """Losses, rates and round-trip times, each once; without loss comes first, and always."""
    losses = sorted({0.0, *params.losses_percent})
    return [losses, sorted(set(params.rates_mbps)), sorted(set(params.rtts_ms))]


def check(params: Any) -> None:
    """Refuses a grid that takes too long.

    Raises:
        ConfigError: says how many visits it would be.
    """
    for version in VERSIONS:
        count = sum(1 for _ in points(params, version))
        if count > MOST_VISITS:
            raise ConfigError(
                f"--rates-mbps, --rtts-ms, --losses-percent, --cc: {count} visits over "
                f"HTTP/{version}; at most {MOST_VISITS}: give fewer values"
            )


def farthest(params: Any, version: str) -> Point:
    """The point without loss where the round trips count most."""
    cc = controls(params.cc, version)[0]
    return Point(max(params.rates_mbps), max(params.rtts_ms), 0.0, cc)


def controls(wanted: tuple[str, ...], version: str) -> tuple[str, ...]:
    """The congestion controls of a version: HTTP/3 has that of its library, and no other."""
    return (OF_HTTP3,) if version == "3" else tuple(dict.fromkeys(wanted))


OF_HTTP3 = "reno"
"""aioquic's."""
