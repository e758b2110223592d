"""How a command begins and ends: it hears signals before anything else, as imports take long.

INT, TERM and HUP end it with one line and exit code 128 + the signal's number. If the orderly end
takes longer than `GRACE_S`, it ends at once: what it leaves then is removed all the same
(`testbed.lifetime.guard`).
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import time

GRACE_S = 3.0
"""How long the orderly end after a signal may take."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOW_CURSOR = "\033[?25h"
_heard: list[int] = []
_told: list[int] = []

TYPE_CHECKING = False  # importing it would take as long as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn


class Interrupted(BaseException):
    """A signal asks this command to end.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted ({signal.Signals(number).name})")
        self.number = number


def command(name: str, run: Callable[[], object]) -> None:
    """Runs a command under its guard; after a signal it does not return.

    Args:
        name: of the command; begins the name of its temporary folder.
        run: all of it, its own imports too.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    _thread.start_new_thread(_end_late, (reader,))
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as of nohup
            signal.signal(number, _on_signal)
    sys.unraisablehook = _on_swallowed
    try:
        from testbed.lifetime import guard

        with guard.command(name):
            run()
    except (Interrupted, KeyboardInterrupt) as error:
        _end(error.number if isinstance(error, Interrupted) else signal.SIGINT)


def leave_ctrl_c() -> None:
    """Ctrl-C is again what Python makes of it: a `KeyboardInterrupt`, to be caught by a script."""
    if signal.getsignal(signal.SIGINT) is _on_signal:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _heard:  # once more: somebody is in a hurry
        _end(number)
    _heard.append(number)
    raise Interrupted(number)


def _on_swallowed(given: sys.UnraisableHookArgs) -> None:
    """Python calls this with an exception in a finalizer, which it raises no further."""
    if isinstance(given.exc_value, Interrupted):
        _end(given.exc_value.number)
    if isinstance(given.exc_value, KeyboardInterrupt):  # after `leave_ctrl_c`
        _end(signal.SIGINT)
    sys.__unraisablehook__(given)


def _end_late(signals: int) -> None:
    """Ends the process some time after a signal; a thread of its own.

    An exception may be swallowed, what it passes through may take long, and a library's call that
    takes long keeps Python from raising it at all.
    """
    number = 0
    while signal.getsignal(number or signal.SIGKILL) is not _on_signal:
        number = os.read(signals, 1)[0]
    time.sleep(GRACE_S)
    _end(number)


def _end(number: int) -> NoReturn:
    if not _told:
        _told.append(number)
        cursor = _SHOW_CURSOR if os.isatty(2) else ""
        with contextlib.suppress(OSError):  # the terminal is gone, say
            os.write(2, f"{cursor}interrupted ({signal.Signals(number).name})\n".encode())
    os._exit(128 + number)
