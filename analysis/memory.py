"""Memory that is free, given back to the system."""

from __future__ import annotations

import ctypes
import gc

import pyarrow as pa


def release() -> None:
    """Gives back what allocators keep for later: after one large step and before the next.

    Columns of a large capture are freed in the order in which they were made or not at all, and
    glibc keeps what is between them.
    """
    gc.collect()
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim is not None:
        trim(0)
