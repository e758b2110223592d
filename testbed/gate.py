"""The fidelity gate of the real clock: was the host too busy for the result to mean anything?

On the virtual clock a busy host cannot disturb a run. On the real one it can, in ways that look
like a network's: a timer that fires late is jitter, a full backlog is loss. So a watch runs beside
each network and asks the host, and the verdicts of a disturbed run are INCONCLUSIVE, never FAIL.

==================  =============================================================  ===============
what is watched     how                                                            too much
==================  =============================================================  ===============
scheduling delay    a thread that sleeps 5 ms: how late it wakes beyond the 2 ms   1 % of the run
                    that the rate limits make good (`FORGIVEN_S`)
CPU pressure        ``/proc/pressure/cpu``: share of time in which some program    60 % of the run
                    waited for a processor
clock steps         wall clock less monotonic clock, twenty times a second         1 ms
host's backlog      ``/proc/net/softnet_stat``: packets dropped before any queue   one packet
wires               netem's drops on a wire that has no loss                       one packet
captures            packets a capture could not keep                               one packet
==================  =============================================================  ===============
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed.rundir import RunDir, read_json

GATE = "gate.json"

FORGIVEN_S = 0.002
"""Burst of the rate limits on the real clock (`testbed.net.traffic.REAL_CLOCK_BURST_S`): a timer
later than this loses capacity for good."""

MAX_LATE_SHARE = 0.01
MAX_PRESSURE_SHARE = 0.6
MAX_CLOCK_STEP_S = 0.001

_NAP_S = 0.005
_CLOCKS_EVERY = 10
_SETTLING_S = 0.5
"""No judgement over less: a share of nearly nothing means nothing."""


class Watch(threading.Thread):
    """Watches the host while a network runs."""

    def __init__(self) -> None:
        super().__init__(name="gate", daemon=True)
        self._done = threading.Event()
        self._began_s = time.monotonic()
        self._pressure_us = cpu_pressure_us()
        self._backlog = backlog_drops()
        self._offset_s = _clock_offset_s()
        self.late_s = self.worst_late_s = self.step_s = 0.0

    def run(self) -> None:
        """Sleeps, and looks how late it wakes."""
        naps = 0
        while not self._done.is_set():
            before_s = time.monotonic()
            time.sleep(_NAP_S)
            late_s = time.monotonic() - before_s - _NAP_S
            self.late_s += max(0.0, late_s - FORGIVEN_S)
            self.worst_late_s = max(self.worst_late_s, late_s)
            naps += 1
            if naps % _CLOCKS_EVERY == 0:
                self._look_at_clocks()

    def _look_at_clocks(self) -> None:
        now_s = _clock_offset_s()
        self.step_s = max(self.step_s, abs(now_s - self._offset_s))
        self._offset_s = now_s  # a slow drift (NTP's slewing) is no step

    def stop(self) -> None:
        """Ends the watch; its numbers stand from now on."""
        self._done.set()
        self.join()
        self._look_at_clocks()
        self.watched_s = time.monotonic() - self._began_s
        self.pressure_s = (cpu_pressure_us() - self._pressure_us) / 1e6
        self.backlog_drops = backlog_drops() - self._backlog

    def data(self) -> dict[str, float | int]:
        """What was seen, as it stands in ``gate.json``."""
        return {
            "watched_s": round(self.watched_s, 3),
            "late_s": round(self.late_s, 6),
            "worst_late_s": round(self.worst_late_s, 6),
            "pressure_s": round(self.pressure_s, 6),
            "clock_step_s": round(self.step_s, 6),
            "backlog_drops": self.backlog_drops,
        }


@contextmanager
def watching(wanted: bool) -> Iterator[Watch | None]:
    """Watches while the block runs; None if not wanted."""
    if not wanted:
        yield None
        return
    watch = Watch()
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def cpu_pressure_us(path: Path = Path("/proc/pressure/cpu")) -> int:
    """Microseconds since boot in which some program waited for a CPU; 0 where unknown."""
    try:
        first = path.read_text().splitlines()[0]
    except (OSError, IndexError):
        return 0
    return int(first.rsplit("total=", 1)[1])


def backlog_drops(path: Path = Path("/proc/net/softnet_stat")) -> int:
    """Packets the kernel dropped since boot because a CPU's backlog was full."""
    try:
        rows = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(row.split()[1], 16) for row in rows)


def _clock_offset_s() -> float:
    """Wall clock less monotonic clock, of the closest of three readings."""
    readings = []
    for _ in range(3):
        before_ns, wall_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        readings.append((after_ns - before_ns, wall_ns - (before_ns + after_ns) // 2))
    return min(readings)[1] / 1e9


# ---- judgement, from the run directory


def reasons(run: RunDir, scenarios: list[str]) -> str:
    """Why the run's numbers cannot be trusted, in one line; empty if they can."""
    found = []
    for name in scenarios:
        found += [f"{name}: {why}" for why in _disturbances(run.scenario(name))]
    return "; ".join(found)


def _disturbances(folder: Path) -> Iterator[str]:
    if (folder / GATE).is_file():
        yield from host_disturbances(read_json(folder / GATE))
    for name, lost in _wire_drops(folder).items():
        yield f"the wire behind {name} dropped {lost} packets, though it has no loss"
    captures = folder / "captures" / "captures.json"
    if captures.is_file():
        for name, stats in read_json(captures).items():
            if stats["dropped"] < 0:
                yield f"capture {name} did not come to its end"
            elif stats["dropped"] > 0:
                yield f"capture {name} missed {stats['dropped']} packets"


def host_disturbances(seen: dict[str, Any]) -> Iterator[str]:
    """What the host did to a run, from the contents of ``gate.json``."""
    watched_s = seen["watched_s"]
    if watched_s >= _SETTLING_S:
        if seen["late_s"] > MAX_LATE_SHARE * watched_s:
            yield (
                f"timers fired late for {seen['late_s'] / watched_s:.1%} of the time "
                f"(at most {MAX_LATE_SHARE:.0%}; worst {1e3 * seen['worst_late_s']:.0f} ms)"
            )
        if seen["pressure_s"] > MAX_PRESSURE_SHARE * watched_s:
            yield (
                f"programs waited for a CPU {seen['pressure_s'] / watched_s:.0%} of the time "
                f"(at most {MAX_PRESSURE_SHARE:.0%})"
            )
    if seen["clock_step_s"] > MAX_CLOCK_STEP_S:
        yield f"the clock was set by {1e3 * seen['clock_step_s']:.1f} ms"
    if seen["backlog_drops"]:
        yield f"the host's backlog dropped {seen['backlog_drops']} packets"


def _wire_drops(folder: Path) -> dict[str, int]:
    """Drops of each loss-free wire, by the interface that sends to it."""
    after = folder / "network_after.json"
    if not after.is_file():
        return {}
    lossy = _lossy(folder)
    return {
        row["interface"]: row["dropped_pkts"]
        for row in read_json(after)["qdiscs"]
        if row["place"] == "wire" and row["dropped_pkts"] and row["interface"] not in lossy
    }


def _lossy(folder: Path) -> set[str]:
    """Interfaces whose wire was told to lose packets at some time."""
    found = set()
    for link in read_json(folder / "topology.json")["links"]:
        for end in ("1", "2"):
            if link[f"shape{end}"].get("loss_percent"):
                found.add(link[f"interface{end}"])
    events = folder / "events.jsonl"
    for line in events.read_text(encoding="utf-8").splitlines() if events.is_file() else ():
        row = json.loads(line)
        if row["event"] == "reshape" and row["shape"].get("loss_percent"):
            found.add(row["interface"])
    return found
