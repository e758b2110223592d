"""Unnamed namespaces, and processes in them, owned by one thread.

Only one thread of ours enters namespaces, so the caller's own thread never leaves its namespaces,
whatever interrupts it. Only open files keep network namespaces alive: when this process ends,
however it ends, the kernel removes them and everything in them.

Programs run in a PID namespace of the network's own, whose first process (the warden) reads from a
pipe only this process can write to. When this process dies, the warden reads end-of-file and ends,
and the kernel kills everything in the PID namespace, daemons that detached themselves included.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from testbed.core.errors import CommandError, MissingPrerequisiteError
from testbed.guest_init import LAB, PROJECT, SITE, layers
from testbed.machine.prerequisites import install_command
from testbed.net.netlink import NetlinkSocket
from testbed.net.owned import VARIABLE

CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID = 0x00020000, 0x40000000, 0x20000000
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_NOSUID_NODEV_NOEXEC = 0x1000, 0x4000, 0x40000, 0xE

TERM_GRACE_S = 2.0
"""Grace period for a program to end by itself (and write its buffers) before it is killed."""

_OURS = (LAB, PROJECT, SITE)
"""Folders without which no program of a run works."""

_WARDEN = "mount -t proc proc /proc && trap '' CHLD && echo ready && exec cat >/dev/null"

_libc = ctypes.CDLL(None, use_errno=True)
Result = TypeVar("Result")


def _check(result: int, what: str) -> None:
    if result == 0:
        return
    number = ctypes.get_errno()
    if number == 1:
        raise MissingPrerequisiteError(
            "the right to create networks", "sudo, or use the guest runtime", what
        )
    raise OSError(number, f"{what}: {os.strerror(number)}")


def _unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def _setns(fd: int, kind: int) -> None:
    _check(_libc.setns(fd, kind), "setns")


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    args = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None)
    _check(_libc.mount(*args), f"mount {source} on {target}")


@dataclass(frozen=True, slots=True)
class MountView:
    """A mount namespace and the root folder in it (they differ inside a chroot)."""

    fd: int
    root_fd: int

    def close(self) -> None:
        """Release it."""
        os.close(self.fd)
        os.close(self.root_fd)


@dataclass(slots=True)
class Namespace:
    """A network namespace, created by the first `Rooms.create`.

    Attributes:
        name: for people, e.g. ``h1``.
        settings: sysctls written while it is still empty, ``net/ipv4/ip_forward`` → ``1``.
        private_dirs: folders that processes in it see as their own: a path (then empty) or a
            pair (path, folder shown there).
        fd: open file that holds it; None before it is created.
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    private_dirs: Sequence[str | tuple[str, str]] = ()
    fd: int | None = None
    view: MountView | None = None
    next_index: int = 2

    def take_index(self) -> int:
        """An interface index that none of our interfaces here uses (1 is the loopback)."""
        self.next_index += 1
        return self.next_index - 1


class Rooms:
    """The namespaces and processes of one network, and the thread that enters them.

    Attributes:
        run_id: mark in the environment of every process it starts.
    """

    def __init__(self, run_id: str, *, on_machine: bool = True) -> None:
        """Creates nothing yet; `on_machine`: the kernel is the machine's, not a guest's."""
        self.run_id, self._on_machine = run_id, on_machine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"rooms-{run_id}")
        self._namespaces: list[Namespace] = []
        self._processes: list[subprocess.Popen[Any]] = []
        self._warden: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._base: MountView | None = None
        self._proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._here = Path.cwd()
        self.closed = False

    def call(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run `function` in the thread that may enter namespaces."""
        return self._thread.submit(function, *args).result()

    def _own(self, kind: str) -> int:
        """Open file of one of this thread's namespaces."""
        path = f"thread-self/ns/{kind}"
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)

    # What follows up to `popen` runs in the thread.

    def create(self, namespace: Namespace, fresh: Mapping[str, str]) -> None:
        """Create the namespace and write the settings that a `fresh` one lacks. Only by `call`."""
        _unshare(CLONE_NEWNET)
        namespace.fd = self._own("net")
        self._namespaces.append(namespace)
        write_settings({p: v for p, v in namespace.settings.items() if fresh.get(p) != v})

    def adopt(self, namespace: Namespace, pid: int) -> None:
        """Hold the network namespace of a foreign process. Only by `call`."""
        path = f"{pid}/ns/net"
        namespace.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        self._namespaces.append(namespace)

    def enter(self, namespace: Namespace) -> None:
        """Put the thread into a network namespace. Only by `call`."""
        assert namespace.fd is not None, namespace.name
        _setns(namespace.fd, CLONE_NEWNET)

    def read_proc(self, path: str) -> str:
        """A file of this thread in /proc, e.g. ``net/tcp``. Only by `call`."""
        fd = os.open(f"thread-self/{path}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        with os.fdopen(fd, encoding="utf-8") as file:
            return file.read()

    def socket(self, namespace: Namespace) -> NetlinkSocket:
        """A netlink socket of the namespace. Only by `call`."""
        self.enter(namespace)
        return NetlinkSocket()

    def _enter_view(self, view: MountView) -> None:
        _setns(view.fd, CLONE_NEWNS)
        os.fchdir(view.root_fd)
        os.chroot(".")

    def _take_view(self) -> MountView:
        root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return MountView(self._own("mnt"), root)

    def _start_warden(self, origin: Namespace) -> None:
        """PID 1 of the network, in the network's own mount namespace."""
        self.enter(origin)
        if not layers.are_here():  # a caller on the machine itself: its nodes write to layers
            layers.enter([folder for folder in (str(Path.cwd()),) if layers.may_be_kept(folder)])
        _unshare(CLONE_NEWNS | CLONE_NEWPID)  # from now on this thread's children are inside
        _mount("none", "/", "none", _MS_REC | _MS_PRIVATE)
        reader, self._lifeline = os.pipe2(os.O_CLOEXEC)
        argv = ["/bin/sh", "-c", _WARDEN]
        self._warden = subprocess.Popen(
            argv,
            stdin=reader,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(os.environ),
            start_new_session=True,
        )
        os.close(reader)
        assert self._warden.stdout and self._warden.stderr
        if self._warden.stdout.readline() != b"ready\n":
            reason = self._warden.stderr.read().decode(errors="replace")
            raise CommandError("the network", argv, self._warden.wait(), stderr=reason)
        self._warden.stdout.close()
        self._warden.stderr.close()
        if self._on_machine:
            layers.seal_settings()  # in the /proc that the warden mounted
        self._base = self._take_view()

    def _make_view(self, namespace: Namespace) -> MountView:
        """Mounts of a node: /sys of its network, and its private folders."""
        assert self._base
        self._enter_view(self._base)
        _unshare(CLONE_NEWNS)
        _mount("sysfs", "/sys", "sysfs", _MS_NOSUID_NODEV_NOEXEC)
        for item in namespace.private_dirs:
            path, source = item if isinstance(item, tuple) else (item, "")
            Path(path).mkdir(parents=True, exist_ok=True)
            with _still_seen(path, self._here):
                if source:
                    Path(source).mkdir(parents=True, exist_ok=True)
                    _mount(source, path, "none", _MS_BIND)
                else:
                    _mount("tmpfs", path, "tmpfs", 0)
        return self._take_view()

    def _spawn(
        self, namespace: Namespace, argv: Sequence[str], kwargs: dict[str, Any]
    ) -> subprocess.Popen[Any]:
        self._enter_view(self._view(namespace))
        return subprocess.Popen(argv, **kwargs)

    def _view(self, namespace: Namespace) -> MountView:
        """The mounts of a node, created on first use; the thread is in its network."""
        if self._warden is None:
            self._start_warden(namespace)
        self.enter(namespace)
        if namespace.view is None:
            namespace.view = self._make_view(namespace)
        return namespace.view

    def show(self, namespace: Namespace, source: str, path: str) -> None:
        """Processes of the namespace see the folder `source` at `path` as well. Only by `call`."""
        self._enter_view(self._view(namespace))
        Path(path).mkdir(parents=True, exist_ok=True)
        _mount(source, path, "none", _MS_BIND)

    def popen(
        self, namespace: Namespace, argv: Sequence[str], **kwargs: Any
    ) -> subprocess.Popen[Any]:
        """Start a program in the namespace; it cannot outlive this process.

        Entering happens before the fork, in the thread, so that Python's cheap vfork can be used.

        Args:
            namespace: where.
            argv: program and arguments.
            kwargs: as for `subprocess.Popen`.

        Raises:
            MissingPrerequisiteError: there is no such program.
        """
        env = kwargs.pop("env", None)
        kwargs["env"] = self.environment(os.environ if env is None else env)
        kwargs.setdefault("cwd", str(Path.cwd()))
        path = kwargs["env"].get("PATH")
        if "/" not in argv[0] and shutil.which(argv[0], path=path) is None:
            raise MissingPrerequisiteError(argv[0], install_command(argv[0]))
        process = self.call(self._spawn, namespace, list(argv), kwargs)
        self._processes = [p for p in self._processes if p.returncode is None]
        self._processes.append(process)
        return process

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """`env` with this network's mark."""
        return {**env, VARIABLE: self.run_id}

    def drop(self, namespace: Namespace) -> None:
        """Release one namespace; the kernel removes it when nothing runs in it."""
        if namespace in self._namespaces:
            self._namespaces.remove(namespace)
        if namespace.view:
            namespace.view.close()
        if namespace.fd is not None:
            os.close(namespace.fd)
        namespace.view = namespace.fd = None

    def close(self) -> None:
        """End every program and release every namespace; may be called twice."""
        if self.closed:
            return
        self.closed = True
        try:
            self._end_programs()
        finally:  # after Ctrl-C, too
            self._thread.shutdown(wait=True)
            for namespace in list(self._namespaces):
                self.drop(namespace)
            if self._base:
                self._base.close()
            os.close(self._proc)

    def _end_programs(self) -> None:
        """Ask, wait, kill; the warden last, because it cannot end before the rest is reaped."""
        alive = [p for p in self._processes if p.poll() is None]
        for process in alive:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGHUP)  # interactive shells react only to this one
        deadline_s = time.monotonic() + TERM_GRACE_S
        try:
            for process in alive:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline_s - time.monotonic()))
        finally:
            self._kill_all(alive)

    def _kill_all(self, alive: Iterable[subprocess.Popen[Any]]) -> None:
        if self._warden is None or self._lifeline is None:
            return
        os.close(self._lifeline)
        self._warden.kill()
        for process in alive:
            process.wait()
        self._warden.wait()


@contextlib.contextmanager
def _still_seen(path: str, here: Path) -> Iterator[None]:
    """Our folders, and `here`, stay seen when the block covers a folder above them."""
    covered = Path(path).resolve()
    ours = {here, *(Path(p) for p in _OURS)}
    inside = sorted(p for p in ours if p != covered and p.is_relative_to(covered))
    held = {p: os.open(p, os.O_PATH | os.O_CLOEXEC) for p in inside if p.is_dir()}
    try:
        yield
        for place, fd in held.items():
            place.mkdir(parents=True, exist_ok=True)
            os.fchdir(fd)  # by no path in /proc: that of the node is of other processes
            _mount(".", str(place), "none", _MS_BIND | _MS_REC)
        os.chdir("/")
    finally:
        for fd in held.values():
            os.close(fd)


def write_settings(settings: Mapping[str, str]) -> None:
    """Write sysctls of the namespace the calling thread is in.

    The folders ``net/ipv4`` and ``net/ipv6`` are opened once each: to find them the kernel goes
    through those of all namespaces, as they have the same name.

    Args:
        settings: e.g. ``net/ipv4/ip_forward`` → ``1``.
    """
    folders: dict[str, int] = {}
    try:
        for path, value in settings.items():
            folder = "/".join(path.split("/", 2)[:2])
            if folder not in folders:
                flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
                folders[folder] = os.open(f"/proc/sys/{folder}", flags)
            rest = path[len(folder) + 1 :]
            fd = os.open(rest, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folders[folder])
            try:
                os.write(fd, value.encode())
            finally:
                os.close(fd)
    finally:
        for fd in folders.values():
            os.close(fd)


def read_setting(path: str) -> str:
    """Read a sysctl of the namespace the calling thread is in."""
    fd = os.open(f"/proc/sys/{path}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096).decode().strip()
    finally:
        os.close(fd)
