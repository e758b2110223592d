"""Runs a program, and ends all of its processes when it or its starter ends.

``python -I -S testbed/lifetime/supervise.py LIFELINE PROGRAM [ARGUMENT...]``: LIFELINE is the
number of a pipe's end whose other end the starter holds. Orphans of the program become children of
this process, so that none escapes, in whichever session, group or namespace it is.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_NOT_FOUND = 127
_STEP_S = 0.005

_libc = ctypes.CDLL(None)


def main(lifeline: int, argv: list[str]) -> int:
    """Runs it; returns its exit code, or 128 and more if a signal ended it."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        _become(lifeline, argv)
    ended = os.pidfd_open(child)
    poll = select.poll()  # select() takes no descriptors above 1023
    poll.register(lifeline, select.POLLIN)
    poll.register(ended, select.POLLIN)
    ready = dict(poll.poll())
    code = 128 + signal.SIGKILL
    if ended in ready:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    _end_all()
    return code if code >= 0 else 128 - code


def _become(lifeline: int, argv: list[str]) -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.close(lifeline)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(_NOT_FOUND)


def _end_all() -> None:
    """Ends the children, those that become ours thereby, and so on until there are none."""
    while True:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(_STEP_S)


def _children() -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            if int(file.read().rsplit(b")", 1)[1].split()[1]) == os.getpid():
                found.append(int(name))
    return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
