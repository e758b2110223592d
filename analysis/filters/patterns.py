"""Regular expressions in filters: `matches`, for at most some seconds."""

from __future__ import annotations

import re
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from analysis.filters.values import Field, Mask, Word, Wrong, encoded

LONGEST_S = 5.0
"""A pattern may take time that grows exponentially with what it is tried on."""


class _TooLong(Exception):
    """The time is over."""


def matches(field: Field, word: Word) -> Mask:
    """Where the pattern is found in a field of texts or bytes.

    Raises:
        Wrong: the pattern is not valid, or takes longer than `LONGEST_S`.
    """
    in_bytes = field.kind == "bytes"
    search = _compiled(encoded(word.text) if in_bytes else word.text, word.column).search
    try:
        with _at_most(LONGEST_S):
            if in_bytes:
                return field.any(lambda values: [bool(search(one)) for one in values])
            return field.any_text(lambda text: bool(search(text)))
    except _TooLong as error:
        raise Wrong(
            word.column, f"the pattern takes more than {LONGEST_S:g} s; repeat less in it"
        ) from error


def _compiled(text: Any, column: int) -> re.Pattern[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of patterns that Python may read otherwise one day
            return re.compile(text, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        what = str(error) or "is nested too deep"
        raise Wrong(column, f"the pattern is not valid: {what}") from error


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Interrupts what runs inside by an alarm, which only the main thread can have."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
