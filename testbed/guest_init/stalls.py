"""How late timers fire in the run's own kernel, on the real clock, for the gate.

A thread for each processor that the run may use sleeps a millisecond at a time and notes each
waking that came late. What delays it (another program on the processor, a hypervisor that took it
away, the run's own load) delays the timers of links as well.
"""

from __future__ import annotations

import _thread
import os
import time
from collections.abc import Iterable
from contextlib import suppress

from testbed.guest_init import record

STALLS = "stalls.json"
"""In the scenario's folder: ``nap_s``, how many ``cpus`` were watched, and ``stalls``: pairs of
when a timer was due (monotonic) and how late it fired, in ns. A stall took at most a nap more."""

NAP_S = 0.001
NOTED_S = 0.0005
"""A timer this late is noted."""

_MOST_CPUS = 8
"""Threads that wake a thousand times a second share Python's lock: more would delay each other."""


def watchable() -> list[int]:
    """The processors this process may use, as many as can be watched."""
    return sorted(os.sched_getaffinity(0))[:_MOST_CPUS]


class Stalls:
    """Notes late timers from its making on."""

    def __init__(self, cpus: Iterable[int]) -> None:
        """Starts; all signals must be blocked that another thread waits for.

        Args:
            cpus: all those that the run's programs may use.
        """
        self.found: list[tuple[int, int]] = []
        self._cpus = sorted(cpus)
        for cpu in self._cpus:
            _thread.start_new_thread(self._watch, (cpu,))

    def _watch(self, cpu: int) -> None:
        os.sched_setaffinity(0, {cpu})
        with suppress(OSError):  # not the load of programs, which no timer of a link waits for
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        woke_ns = time.monotonic_ns()
        while True:
            woke_ns = self._nap(woke_ns)

    def _nap(self, woke_ns: int) -> int:
        """Sleeps; returns when it woke. No time between two naps is unseen: a processor is taken
        away while it works, and this thread works between naps."""
        time.sleep(NAP_S)
        now_ns = time.monotonic_ns()
        due_ns = woke_ns + int(NAP_S * 1e9)
        if now_ns - due_ns >= NOTED_S * 1e9:
            self.found.append((due_ns, now_ns - due_ns))
        return now_ns

    def write(self, folder: str) -> None:
        """Writes what was noted so far, wholly or not at all."""
        noted = {"nap_s": NAP_S, "cpus": len(self._cpus), "stalls": sorted(self.found)}
        record.write(folder, STALLS, noted)
