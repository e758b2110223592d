"""Becomes another machine, and runs a command there: ``other_machine.py FOLDER COMMAND...``.

In a mount namespace of its own: nothing of the real machine changes. Everything is different at
once that a run must not see: ``/etc``, installed Python packages, programs in /usr/local, locales,
what is in home folders and in /opt, the environment and the host's name.
"""

import ctypes
import os
import shutil
import sys
import sysconfig
from pathlib import Path

NEWNS, NEWUTS, NEWUSER = 0x20000, 0x4000000, 0x10000000
BIND, PRIVATE = 0x1000, 0x44000
libc = ctypes.CDLL(None, use_errno=True)

ETC = {
    "resolv.conf": "nameserver 192.0.2.53\noptions timeout:7\nsearch elsewhere.example\n",
    "hosts": "127.0.0.1 localhost\n10.0.0.1 h1.elsewhere.example h1\n::1 localhost\n",
    "machine-id": "0123456789abcdef0123456789abcdef\n",
    "hostname": "elsewhere\n",
    "os-release": 'PRETTY_NAME="Another 99"\nID=another\nVERSION_ID="99"\n',
    "timezone": "Asia/Shanghai\n",
    "locale.conf": "LANG=de_DE.UTF-8\n",
    "environment": "ELSEWHERE=yes\n",
    "gai.conf": "precedence ::ffff:0:0/96 100\n",
    "ld.so.conf": "/opt/elsewhere/lib\n",
    "protocols": "ip 0 IP\nelsewhere 1 ELSEWHERE\n",
    "services": "elsewhere 5001/tcp\nelsewhere 53/udp\n",
    "iproute2/rt_protos": "2 elsewhere\n",
    "dhcpcd.conf": "hostname\nduid\n",
    "ssl/openssl.cnf": "[default]\nMinProtocol = TLSv1.3\n",
    "python3.11/sitecustomize.py": "import pexpect\n",
    "nsswitch.conf": "passwd: files systemd\nhosts: files mdns4_minimal dns\n",
}
ENVIRONMENT = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-SSE4_2:glibc.malloc.tcache_count=1",
    "LANG": "de_DE.UTF-8",
    "LC_ALL": "C.UTF-8",
    "LD_BIND_NOW": "1",
    "MALLOC_ARENA_MAX": "1",
    "OPENSSL_CONF": "/opt/elsewhere/openssl.cnf",
    "PYTHONHASHSEED": "99",
    "RES_OPTIONS": "attempts:9",
    "TZ": "Asia/Shanghai",
}
PEXPECT = "import random, time\nrandom.random(); time.time()\nclass spawn: pass\n"


def main(folder: Path, command: list[str]) -> None:
    root, cache = os.geteuid() == 0, os.environ["TESTBED_CACHE"]
    user, group = os.getuid(), os.getgid()
    if libc.unshare(NEWNS | NEWUTS | (0 if root else NEWUSER)) != 0:
        sys.exit("no mount namespace")
    if not root:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    mount("none", "/", flags=PRIVATE)
    libc.sethostname(b"elsewhere", 9)
    home = folder / "owner"
    (home / ".config").mkdir(parents=True)
    (home / ".curlrc").write_text("silent\n")
    instead("/etc", etc(folder / "etc"))
    used = {Path.cwd(), folder, Path(cache), Path(sys.prefix)}
    for path in (Path("/home"), Path("/opt"), Path("/srv")):
        if not any(path in place.parents for place in used):
            instead(str(path), other(folder / path.name))
    instead("/usr/local", local(folder / "local"))
    above("/usr/lib/python3/dist-packages", other(folder / "debian"))
    instead("/usr/lib/locale", locales(folder / "locale"))
    above(sysconfig.get_path("purelib"), other(folder / "site"))
    environment = {**os.environ, **ENVIRONMENT, "HOME": str(home), "TESTBED_CACHE": cache}
    os.execve(command[0], command, environment)


def mount(source: str, target: str, kind: str = "none", flags: int = 0, options: str = "") -> None:
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()) != 0:
        sys.exit(f"mount {target}: {os.strerror(ctypes.get_errno())}")


def instead(path: str, folder: Path) -> None:
    """From now on a folder is seen in the place of another."""
    mount(str(folder), path, flags=BIND)


def above(path: str, folder: Path) -> None:
    """From now on a folder's files are seen among those of another."""
    work = folder.with_name(f"{folder.name}-work")
    work.mkdir()
    options = f"lowerdir={path},upperdir={folder},workdir={work}"
    mount("overlay", path, "overlay", options=options)


def etc(folder: Path) -> Path:
    """The machine's /etc, edited: user numbers, time zone, alternatives and all of `ETC`."""
    folder.mkdir()
    for name in ("passwd", "group"):
        lines = [line.split(":") for line in Path("/etc", name).read_text().splitlines()]
        moved = [[*x[:2], str(int(x[2]) + 1000 * (0 < int(x[2]) < 60000)), *x[3:]] for x in lines]
        (folder / name).write_text("".join(":".join(row) + "\n" for row in moved))
    shutil.copytree("/etc/alternatives", folder / "alternatives", symlinks=True)
    (folder / "localtime").symlink_to("/usr/share/zoneinfo/Asia/Shanghai")
    for name, text in ETC.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def other(folder: Path) -> Path:
    folder.mkdir()
    (folder / "pexpect").mkdir()
    (folder / "pexpect/__init__.py").write_text(PEXPECT)
    (folder / "elsewhere.pth").write_text("import pexpect\n")
    return folder


def local(folder: Path) -> Path:
    """Programs and Python packages that the machine's owner installed."""
    for place in ("bin", "sbin"):
        (folder / place).mkdir(parents=True)
        for name in ("ping", "ip", "tcpdump", "sh"):
            program = folder / place / name
            program.write_text(f'#!/bin/dash\nsleep 0.01\nexec /usr/bin/{name} "$@"\n')
            program.chmod(0o755)
    version = f"python3.{sys.version_info.minor}"
    (folder / "lib" / version).mkdir(parents=True)
    other(folder / "lib" / version / "dist-packages")
    return folder


def locales(folder: Path) -> Path:
    shutil.copytree("/usr/lib/locale", folder)
    (folder / "locale-archive").write_bytes(b"\x09\x01\x02\xde" + bytes(4092))
    return folder


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
