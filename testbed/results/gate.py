"""The fidelity gate of the real clock: was the host too busy for a meaningful result?

On the virtual clock a busy host cannot disturb a run. On the real one it can, in ways that look
like a network's: a timer that fires late is jitter, a full backlog is loss. So each run is watched,
from inside (`guest_init.stalls`) and from the host, and the observations are compared with what the
claims tolerate.

==================  =============================================================  ===============
what is watched     how                                                            too much
==================  =============================================================  ===============
scheduling delay    threads in the run's own kernel that sleep 1 ms at a time:     12 % of the run
                    how late each sleep ends, and when
clock steps         wall clock less monotonic clock, twenty times a second         1 ms
host's backlog      ``/proc/net/softnet_stat``: packets dropped before any queue   one packet
wires               netem's drops on a wire that has no loss                       one packet
captures            packets that a capture lost                                    one packet
==================  =============================================================  ===============

Too much of any of these in a scenario makes all verdicts on it INCONCLUSIVE, as does a run whose
timers were not watched. A single stall has less effect: a claim that passes despite stalls stays
PASS; one that does not is INCONCLUSIVE if a timer was later than the claim tolerates (``@claim(…,
bears_stall_s=…)``) in one of its scenarios, and FAIL otherwise. That is enough for counts of
losses: a stall that loses packets shows in one of the lower three rows.

CPU pressure (``/proc/pressure/cpu``: share of time in which some program of the host waited for a
processor) is reported with a reason, but never decides the verdict: the waiting programs may not
belong to the run.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.core.errors import said_once
from testbed.core.quantities import number
from testbed.core.rundir import RunDir, read_json
from testbed.guest_init.stalls import STALLS

GATE = "gate.json"

MAX_LATE_SHARE = 0.12
"""Lies between two groups: timers were late for 0.2 to 7 % of a run without busy
loops, and for 20 to 33 % with one per processor (docs/fidelity.md, which also says how that was
measured)."""

MAX_CLOCK_STEP_S = 0.001

_LOOK_S = 0.05
_SETTLING_S = 0.5
"""Shorter runs are not judged: a share of almost nothing means nothing."""


class Watch(threading.Thread):
    """Watches the host while a network runs."""

    def __init__(self) -> None:
        super().__init__(name="gate", daemon=True)
        self._done = threading.Event()
        self._began_s = time.monotonic()
        self._pressure_us = cpu_pressure_us()
        self._backlog = backlog_drops()
        self._offset_s = _clock_offset_s()
        self.step_s = 0.0

    def run(self) -> None:
        """Reads the clocks, twenty times a second."""
        while not self._done.wait(_LOOK_S):
            self._look_at_clocks()

    def _look_at_clocks(self) -> None:
        now_s = _clock_offset_s()
        self.step_s = max(self.step_s, abs(now_s - self._offset_s))
        self._offset_s = now_s  # a slow drift (NTP's slewing) is not a step

    def stop(self) -> None:
        """Ends the watch; its numbers are final from now on."""
        self._done.set()
        self.join()
        self._look_at_clocks()
        self.watched_s = time.monotonic() - self._began_s
        self.pressure_s = (cpu_pressure_us() - self._pressure_us) / 1e6
        self.backlog_drops = backlog_drops() - self._backlog

    def data(self) -> dict[str, float | int]:
        """The observations, as in ``gate.json``."""
        return {
            "watched_s": round(self.watched_s, 3),
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
    """Microseconds since boot in which some program waited for a CPU; 0 if unknown."""
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


@dataclass(frozen=True)
class Stall:
    """A timer of the run's kernel fired late.

    Attributes:
        began_ns, ended_ns: on the run's monotonic clock; the stall lies within.
        late_ns: how late the timer was; the stall took that long, or up to a nap longer.
    """

    began_ns: int
    ended_ns: int
    late_ns: int


def stalls(folder: Path) -> list[Stall]:
    """A scenario's stalls during the experiment's `run`; none on the virtual clock."""
    if not (folder / STALLS).is_file():
        return []
    noted = read_json(folder / STALLS)
    nap_ns = int(noted["nap_s"] * 1e9)
    began_ns, ended_ns = _window_ns(folder)
    found = [Stall(due - nap_ns, due + late, late) for due, late in noted["stalls"]]
    return [s for s in found if s.ended_ns > began_ns and s.began_ns < ended_ns]


def _window_ns(folder: Path) -> tuple[int, int]:
    """Monotonic times at which `run` began and ended; all time if unknown."""
    path = folder / "events.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    at = {e["event"]: e.get("monotonic_ns") for e in map(json.loads, lines)}
    return at.get("start") or 0, at.get("end") or 1 << 63


def stalled(run: RunDir, scenarios: Iterable[str], bears_s: float) -> str:
    """Why a failure in these scenarios may be the host's fault; empty if it cannot be."""
    found = []
    for name in scenarios:
        worst_ns = max((s.late_ns for s in stalls(run.scenario(name))), default=0)
        if worst_ns > bears_s * 1e9:
            found.append(
                f"{name}: a timer fired {worst_ns / 1e6:.1f} ms late "
                f"(the claim tolerates {1e3 * bears_s:g} ms){_pressure(run.scenario(name))}"
            )
    return "; ".join(found)


def _pressure(folder: Path) -> str:
    """CPU pressure, as a note on a reason."""
    if not (folder / GATE).is_file():
        return ""
    seen = read_json(folder / GATE)
    share = seen["pressure_s"] / seen["watched_s"] if seen["watched_s"] else 0.0
    return f"; programs waited for a CPU {share:.0%} of the time"


def reasons(run: RunDir, scenarios: Iterable[str]) -> str:
    """Why the numbers of these scenarios cannot be trusted, in one line; empty if they can be."""
    names = list(scenarios)
    found = {name: "; ".join(_disturbances(run.scenario(name))) for name in names}
    return said_once({name: why for name, why in found.items() if why}, len(names))


def _disturbances(folder: Path) -> Iterator[str]:
    yield from _late(folder)
    if (folder / GATE).is_file():
        yield from host_disturbances(read_json(folder / GATE))
    for name, lost in _wire_drops(folder).items():
        yield f"the wire behind {name} dropped {number(lost, 'packets')}, though it has no loss"
    captures = folder / "captures" / "captures.json"
    if captures.is_file():
        for name, stats in read_json(captures).items():
            if stats["dropped"] < 0:
                yield f"capture {name} did not finish"
            elif stats["dropped"] > 0:
                yield f"capture {name} lost {number(stats['dropped'], 'packets')}"


def _late(folder: Path) -> Iterator[str]:
    """Why timers were late for too much of a run, or were not watched."""
    if not (folder / STALLS).is_file():
        yield f"its timers were not watched (no {STALLS})"
        return
    found = stalls(folder)
    if not found:
        return
    began_ns, ended_ns = _window_ns(folder)
    watched_s = (ended_ns - began_ns) / 1e9
    late_s = sum(s.late_ns for s in found) / 1e9 / read_json(folder / STALLS)["cpus"]
    if watched_s >= _SETTLING_S and late_s > MAX_LATE_SHARE * watched_s:
        worst_ms = max(s.late_ns for s in found) / 1e6
        yield (
            f"timers fired late for {late_s / watched_s:.1%} of the time "
            f"(at most {MAX_LATE_SHARE:.0%}; worst {worst_ms:.1f} ms){_pressure(folder)}"
        )


def host_disturbances(seen: dict[str, Any]) -> Iterator[str]:
    """How the host disturbed a run, from the contents of ``gate.json``."""
    if seen["clock_step_s"] > MAX_CLOCK_STEP_S:
        yield f"the clock was set by {1e3 * seen['clock_step_s']:.1f} ms"
    if seen["backlog_drops"]:
        yield f"the host's backlog dropped {number(seen['backlog_drops'], 'packets')}"


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
    """Interfaces whose wire was configured to lose packets at some time."""
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
