"""Students' programs in a guest: unprivileged, isolated, within limits.

Bubblewrap isolates them: the system's programs and libraries read-only, the submission's own
files read-only in /work, a small /out and /tmp to write. There is no /run (the lab, the project),
no /home, no /etc but what the loader needs, no other process, no capability, no user namespace, and
only the node's network. Limits on processes, memory, files and file sizes hold for each program; if
the guest's memory ends all the same, theirs are the first processes the kernel ends.

What they print goes to a log of bounded size, what they leave in /out is copied by root when all
has stopped: regular files only, none bigger than a program may write.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.core.errors import MissingPrerequisiteError
from testbed.core.files import open_regular
from testbed.guest_init import ENVIRONMENT, FIRST_PROCESS
from testbed.guest_init.mounts import mount
from testbed.machine.prerequisites import install_command

if TYPE_CHECKING:
    from testbed.author.process import Process
    from testbed.author.running_network import RunningNetwork

USER = 61001
"""User and group of students' programs, used by nobody else."""

WORK, OUT = "/work", "/out"
"""In the sandbox: the submission's files, and the folder for output."""

PROGRAMS = ("bwrap", "choom", "prlimit", "setpriv")

_OUT_ROOT = Path("/run/out")
_MB = 1 << 20
_OUT_MB = 8
_MOST_FILES = 1000
_LARGEST_FILE_BYTES = 4 * _MB
_LIMITS = (
    "--nproc=64",
    f"--as={512 * _MB}",
    f"--fsize={_LARGEST_FILE_BYTES}",
    "--nofile=256",
    "--core=0",
)
_ETC = ("alternatives", "nsswitch.conf", "protocols", "services")
_ENVIRONMENT = {
    **{name: ENVIRONMENT[name] for name in (*FIRST_PROCESS, "OPENSSL_ia32cap")},
    "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
    "HOME": OUT,
    "PYTHONUNBUFFERED": "1",
}
_CAPABILITIES = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
"""What setpriv needs to become `USER`; gone when the program starts."""


def shown_of_host() -> list[Path]:
    """System folders that every submission sees, at their real paths."""
    shown = ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/sbin", *python_packages().values()]
    return sorted({Path(path).resolve() for path in shown})


def prepare() -> None:
    """Prepares the guest for students' programs; once, before the network is created."""
    _OUT_ROOT.mkdir()
    mount("tmpfs", str(_OUT_ROOT), "tmpfs", 0, f"size={_OUT_MB}M,nr_inodes={_MOST_FILES}")
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    Path("/proc/sys/kernel/dmesg_restrict").write_text("1")  # it tells of floods, for example


def out_folder(name: str, *, shared: bool = False) -> Path:
    """Folder in the guest behind /out of the program `name`; created here, unless it is shared."""
    folder = _OUT_ROOT / name
    folder.mkdir(exist_ok=shared)
    os.chown(folder, USER, USER)
    return folder


def argv(
    command: Sequence[str],
    work: Path,
    out: Path,
    *,
    shown: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    network: bool = True,
) -> list[str]:
    """The line that starts `command` in the sandbox.

    Args:
        command: program and arguments; a program of the submission is in `WORK`.
        work: folder shown read-only as `WORK`.
        out: folder shown as `OUT`, writable.
        shown: more that is shown read-only, as path inside → path outside.
        environment: more variables.
        network: False: not even the node's.
    """
    for program in PROGRAMS:
        if shutil.which(program) is None:
            raise MissingPrerequisiteError(program, install_command(program))
    variables = {**_ENVIRONMENT, **(environment or {})}
    return [
        *("choom", "-n", "1000", "--"),
        *("prlimit", *_LIMITS, "--"),
        *("bwrap", *_namespaces(network), "--clearenv"),
        *(w for name, value in variables.items() for w in ("--setenv", name, value)),
        *_files(work, out, shown or {}),
        "--",
        *("setpriv", *_UNPRIVILEGED),
        *command,
    ]


_UNPRIVILEGED = (
    f"--reuid={USER}",
    f"--regid={USER}",
    "--clear-groups",
    "--no-new-privs",
    "--inh-caps=-all",
    "--bounding-set=-all",
)


def _namespaces(network: bool) -> list[str]:
    """Namespaces of its own, and no more capabilities than `_CAPABILITIES`."""
    return [
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup"),
        *([] if network else ["--unshare-net"]),
        *("--die-with-parent", "--new-session"),
        *("--cap-drop", "ALL"),
        *(w for c in _CAPABILITIES for w in ("--cap-add", c)),
    ]


def _files(work: Path, out: Path, shown: Mapping[str, str]) -> list[str]:
    """All that is visible, in the order in which it is mounted."""
    return [
        *_folders(["/etc/x", *shown]),
        *("--ro-bind", "/usr", "/usr"),
        *_links(),
        *_etc(),
        *("--proc", "/proc"),
        *("--dev", "/dev"),
        *("--size", str(_OUT_MB * _MB), "--perms", "1777", "--tmpfs", "/tmp"),
        *(w for inside, path in shown.items() for w in ("--ro-bind", path, inside)),
        *("--ro-bind", str(work), WORK),
        *("--bind", str(out), OUT),
        *("--chdir", WORK),
        *("--remount-ro", "/"),
    ]


def _folders(paths: Iterable[str]) -> list[str]:
    """Parents of what is shown, accessible to all: bubblewrap would create them for root only."""
    found = {str(p) for path in paths for p in Path(path).parents if str(p) != "/"}
    return [word for folder in sorted(found) for word in ("--dir", folder)]


def start(
    net: RunningNetwork,
    node: str,
    command: Sequence[str],
    work: Path,
    log: str,
    *,
    shown: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    errors_apart: bool = False,
    shared: str = "",
    network: bool = True,
) -> Process:
    """Starts a student's program in a node; its output is in the log of that name.

    Args:
        net: the running network.
        node: where.
        command, work, shown, environment: as for `argv`.
        log: name of its log, and of its folder for output.
        errors_apart: what it writes to standard error goes to the log ``<log>-errors``.
        shared: name of the folder for output, if programs share it; default: its own.
        network: as for `argv`.
    """
    out = out_folder(shared or log, shared=bool(shared))
    line = argv(command, work, out, shown=shown, environment=environment, network=network)
    if not errors_apart:
        return net.start(node, *line, log=log)
    with (net.path / "logs" / f"{log}.log").open("wb") as stdout:
        return net.start(node, *line, log=f"{log}-errors", stdout=stdout)


def python_packages() -> dict[str, str]:
    """What a Python program needs to import the testbed's dependencies: path inside → path here."""
    site = [p for p in sys.path if p.endswith(("/site", "site-packages")) and Path(p).is_dir()]
    return {"/site": site[0]} if site else {}


_DEEPEST = 8
"""Depth of nested folders that is searched."""


def collect(folder: Path) -> None:
    """Copies what programs left in /out to ``out/<log>/`` of a scenario's folder."""
    for source in sorted(_OUT_ROOT.iterdir()):
        for relative, fd in _regular_files(source):
            target = folder / "out" / source.name / relative
            with os.fdopen(fd, "rb") as file, contextlib.suppress(OSError):  # a path too long
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read(_LARGEST_FILE_BYTES))


def files_with(name: str, marks: Sequence[bytes]) -> dict[str, int]:
    """Path → mode of the files in a program's folder for output that contain one of the marks."""
    found = {}
    for relative, fd in _regular_files(_OUT_ROOT / name):
        with os.fdopen(fd, "rb") as file:
            text = file.read(_LARGEST_FILE_BYTES)
            if any(mark in text for mark in marks):
                found[relative] = stat.S_IMODE(os.fstat(fd).st_mode)
    return found


def _regular_files(root: Path) -> Iterator[tuple[str, int]]:
    """Open files below a folder, by path; links, devices and pipes are skipped."""
    for path, folders, names, at in os.fwalk(root, follow_symlinks=False):
        folders.sort()
        if len(Path(path).relative_to(root).parts) >= _DEEPEST:
            folders.clear()
        for name in sorted(names):
            inside = Path(path, name).relative_to(root)
            if all(_plain(part) for part in inside.parts):
                try:
                    fd = open_regular(name, at)
                except OSError:  # a link, say, or gone: a program that still runs may change it
                    continue
                yield str(inside), fd


def _plain(name: str) -> bool:
    """A portable name: printable ASCII."""
    return name.isascii() and name.isprintable() and len(name) <= 100


def _links() -> Iterator[str]:
    """The folders that are links into /usr on a merged system, or the folders themselves."""
    for name in ("bin", "lib", "lib32", "lib64", "sbin"):
        path = Path("/", name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))


def _etc() -> Iterator[str]:
    for name in _ETC:
        if Path("/etc", name).exists():
            yield from ("--ro-bind", f"/etc/{name}", f"/etc/{name}")
