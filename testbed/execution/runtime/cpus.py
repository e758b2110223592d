"""Which processor a guest runs on: one guest, one processor.

A guest is one thread at a time; on one processor its system calls cost a tenth of what they cost
when its processes wake each other across processors. A taken processor is marked by a socket
with an abstract name: every process of the same network namespace sees it, it needs no file, and
it vanishes with its owner, however that ends.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_turns = itertools.count(os.getpid())
_kept: list[socket.socket] = []
"""The mark of the processor that this process stays on."""


def stay() -> None:
    """From now on this thread, and those that it starts, run on a processor of their own.

    Two processes of a machine that call this do not share a processor while there are free ones.
    What runs here then runs one guest at a time, on that processor.
    """
    if _kept:
        return
    for cpu in sorted(os.sched_getaffinity(0)):
        if (mark := _mark(cpu, "worker")) is not None:
            _kept.append(mark)
            os.sched_setaffinity(0, {cpu})
            return


@contextmanager
def reserved_cpu(wanted: int | None = None) -> Iterator[int]:
    """A processor that no other guest uses; if all are taken, one of them, shared.

    Args:
        wanted: use this processor, whether taken or not.
    """
    allowed = sorted(os.sched_getaffinity(0))
    for cpu in [wanted] if wanted is not None else allowed:
        mark = _mark(cpu)
        if mark is not None:
            with mark:
                yield cpu
            return
    yield wanted if wanted is not None else allowed[next(_turns) % len(allowed)]


def _mark(cpu: int, whose: str = "cpu") -> socket.socket | None:
    """Take a processor; None if another process (or thread) has it."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0network-testbed-{whose}-{cpu}")
    except OSError:
        mark.close()
        return None
    return mark
