"""Joins a program inside to the user's terminal, or to the command's standard input and output.

At a terminal the program has a pseudo-terminal; this side copies bytes between it and the user's,
so Ctrl-C and Ctrl-D work inside as they do anywhere.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

_END_OF_INPUT = b"\x04"
_LOOK_S = 0.05
_SAY_AFTER_S = 2.0


@contextlib.contextmanager
def attached() -> Iterator[int]:
    """A pseudo-terminal for a program inside, joined to the user's until the block ends."""
    ours, theirs = pty.openpty()
    if sys.stdin.isatty():
        with contextlib.suppress(OSError):
            termios.tcsetwinsize(theirs, termios.tcgetwinsize(0))
    done, wake = os.pipe()
    with _raw_terminal(), contextlib.ExitStack() as stack:
        for descriptor in (done, wake, ours):
            stack.callback(os.close, descriptor)
        copier = threading.Thread(target=_copy, args=(ours, done), daemon=True)
        copier.start()
        try:
            yield theirs
        finally:
            os.close(theirs)
            os.write(wake, b".")
            copier.join(timeout=5)


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Passes every key of the user's terminal on, until the end."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _copy(terminal: int, done: int) -> None:
    """Copies in both directions until `done` is readable and nothing is left to show."""
    sources = [terminal, done, *([0] if sys.stdin.isatty() else [])]
    while True:
        ready = select.select(sources, [], [])[0]
        if terminal in ready:
            with contextlib.suppress(OSError):
                os.write(1, os.read(terminal, 65536))
                continue
            return
        if done in ready:
            return
        os.write(terminal, os.read(0, 4096) or _END_OF_INPUT)


@contextlib.contextmanager
def shown(path: Path, number: int) -> Iterator[None]:
    """Copies what a program inside writes to a file to a descriptor, until the block ends."""
    ended = threading.Event()
    path.touch()
    copier = threading.Thread(target=_follow, args=(path, number, ended), daemon=True)
    copier.start()
    try:
        yield
    finally:
        ended.set()
        copier.join(timeout=5)


def _follow(path: Path, number: int, ended: threading.Event) -> None:
    with path.open("rb", buffering=0) as file:
        while True:
            last = ended.wait(_LOOK_S)  # before reading: what comes later is not missed
            while data := file.read(65536):
                with contextlib.suppress(BrokenPipeError):
                    os.write(number, data)
            if last:
                return


def read_all_input() -> bytes:
    """Standard input to its end; nothing from a terminal. Says so if that takes a while."""
    if sys.stdin is None or sys.stdin.isatty():
        return b""
    found: list[bytes] = []
    while True:
        if not select.select([0], [], [], _SAY_AFTER_S)[0]:
            sys.stderr.write("reading standard input to its end (none: add </dev/null)\n")
            select.select([0], [], [])
        data = os.read(0, 1 << 16)
        if not data:
            return b"".join(found)
        found.append(data)
