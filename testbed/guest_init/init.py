"""Process 1 of a run: builds its world, starts the program, tells how it ended, switches off."""

from __future__ import annotations

import ctypes
import fcntl
import os
import runpy
import signal
import socket
import struct
import sys
import time
import traceback
from contextlib import suppress

from testbed.guest_init import (
    ENVIRONMENT,
    EXIT_FILE,
    FIRST_S,
    HOSTNAME,
    LAB,
    LAB_FD,
    PROGRESS_FD,
    PROJECT,
    SITE,
    files,
    modules,
    record,
)
from testbed.guest_init.progress import report
from testbed.guest_init.stalls import Stalls, watchable

_PROGRESS_TTY = "/dev/tty1"
_TICK_S = 1.0
_RB_POWER_OFF = 0x4321FEDC
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_WORLD_FAILED = 70
_PR_SET_NAME = 15
_NAME = b"python3"
"""What the kernel calls this process and what it forks; the loader started it under its own."""

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> None:
    """Runs a module in the world it builds first.

    Args:
        arguments: ``guest`` or ``host``, then the module's name.
    """
    kind, module = arguments
    guest = kind == "guest"
    stalls = None
    try:
        _prepare(guest)
        cpus = [] if _on_virtual_clock() else watchable()
        if cpus:
            os.sched_setaffinity(0, cpus)  # the programs' as well: where they run is watched
        program = _start(module)
        if cpus:
            stalls = Stalls(cpus)  # threads: behind the fork
        result = _supervise(program)
    except OSError as error:
        traceback.print_exc()
        result = {"exit_code": _WORLD_FAILED, "reason": f"cannot prepare the run's world: {error}"}
    if stalls:
        with suppress(OSError):  # without it nothing is judged; `_leave` reports a full disk
            stalls.write(LAB)
    _leave(result, guest)


def _prepare(guest: bool) -> None:
    os.umask(0o022)
    if guest:
        _libc.prctl(_PR_SET_NAME, _NAME)
        modules.load_all()
        files.build(files.mount_hostfs, guest=True)
        os.dup2(os.open(_PROGRESS_TTY, os.O_WRONLY | os.O_NOCTTY), PROGRESS_FD)
    else:
        files.build(files.mount_bound, guest=False)
    socket.sethostname(HOSTNAME)
    _loopback_up()
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    standard = [p for p in sys.path if p.startswith(sys.base_prefix + "/lib")]
    sys.path[:] = [PROJECT, SITE, *standard]
    sys.path_importer_cache.clear()
    for name, module in sys.modules.items():  # first found by a path that is gone now
        if name.partition(".")[0] == "testbed" and hasattr(module, "__path__"):
            module.__path__ = [f"{PROJECT}/{name.replace('.', '/')}"]


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = fcntl.ioctl(s, _SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
        flags = struct.unpack("16sh22x", request)[1]
        fcntl.ioctl(s, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


def _start(module: str) -> int:
    """Forks the program: cheaper than starting another interpreter. Returns its process id."""
    if _on_virtual_clock():
        time.sleep(max(0.0, FIRST_S - time.monotonic()))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # it may end before one waits
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            os.chdir(LAB)
            os.setsid()
            sys.argv = [module, LAB]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def _on_virtual_clock() -> bool:
    with open("/proc/cmdline") as line:
        return "time-travel=" in line.read()


def _supervise(main_pid: int) -> dict[str, object]:
    """Reaps processes until the program ends; meanwhile tells the time, once a second."""
    while True:
        if signal.sigtimedwait({signal.SIGCHLD}, _TICK_S) is None:
            report("")
            continue
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == main_pid:
                code = os.waitstatus_to_exitcode(status)
                return {"exit_code": code, "reason": "", "oom_kills": _oom_kills()}
            if pid == 0:
                break


def _oom_kills() -> int:
    with open("/proc/vmstat") as lines:
        return next((int(x.split()[1]) for x in lines if x.startswith("oom_kill ")), 0)


def _leave(result: dict[str, object], guest: bool) -> None:
    folder = LAB if os.path.isdir(LAB) else f"/proc/self/fd/{LAB_FD}"
    result["clock_s"] = round(time.monotonic(), 9)
    result["lost"] = _unwritten(folder)
    try:
        record.write(folder, EXIT_FILE, result)
    except OSError as error:
        print(f"testbed: cannot write {EXIT_FILE}: {error}", flush=True)  # noqa: T201 (console)
    if guest:
        _libc.reboot(_RB_POWER_OFF)
    os._exit(0)


def _unwritten(folder: str) -> str:
    """Why something that was written did not reach the folder; empty if all of it did.

    A full disk shows only when the guest's memory of a file goes to the host's.
    """
    fd = os.open(folder, os.O_RDONLY)
    failed = _libc.syncfs(fd) != 0
    number = ctypes.get_errno()
    os.close(fd)
    return os.strerror(number) if failed else ""
