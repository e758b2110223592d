"""What a run sees: the same folders, environment and name, whatever machine and user it has.

This package runs inside: first as process 1 of a guest kernel, or of new namespaces of the host's
kernel. It uses the standard library alone, and little of it: in a guest every page of code costs.

The system's programs and libraries are there, so they just work (`visible` is the list). What
belongs to a user or a machine is not: ``/etc``, home directories, the host's name.
"""

from __future__ import annotations

LAB = "/run/lab"
"""The scenario's folder, inside: the only place whose content is kept."""

PROJECT = "/run/testbed"
"""The project's root, inside: read-only."""

SITE = "/run/site"
"""The guest side's Python libraries, inside: read-only."""

CONTROLLERS = f"{SITE}/controllers"
"""What controllers also import."""

QUIC = f"{SITE}/quic"
"""What programs that speak QUIC also import."""

LAB_FD, PROJECT_FD, SITE_FD, ROOT_FD, PROGRESS_FD = 3, 4, 5, 6, 9
"""Descriptors the launcher hands over: the folders above, a guest's root, a file for progress."""

TERMINAL_FD = 7
"""A guest's descriptor of the user's terminal, apart from the console with the kernel's words."""

LENT_FDS = range(10, 42)
"""Descriptors of the user's folders that a guest may look into."""

BOOT = (
    "import ctypes,sys;"
    f"ctypes.CDLL(None).mount(b'none',b'/mnt',b'hostfs',1,b'/proc/self/fd/{PROJECT_FD}');"
    "sys.path.insert(0,'/mnt');"
    "from testbed.guest_init.init import main;"
    "main(sys.argv[1:])"
)
"""A guest's first program. Its root may be an image, in which the project is not to be seen yet.
No blank at a wrong place, no quotation mark, no equals sign: the kernel's command line has its own
use for them."""

HOSTNAME = "lab"

_OFF = (
    "AVX512F",
    "AVX512VL",
    "AVX512BW",
    "AVX512DQ",
    "AVX512CD",
    "AVX2",
    "AVX",
    "FMA",
    "FMA4",
    "BMI1",
    "BMI2",
    "LZCNT",
    "MOVBE",
    "POPCNT",
    "SSSE3",
    "SSE4_1",
    "SSE4_2",
    "ERMS",
    "RTM",
)
"""What glibc does without: all that not every x86-64 processor has. It would search other folders
for libraries, and take other routines; those of libm round differently with FMA."""

ENVIRONMENT = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=" + ",".join(f"-{name}" for name in _OFF),
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LOCPATH": "/usr/lib/locale",  # without it the machine's archive of locales comes first
    "LOGNAME": "root",
    "OPENSSL_ia32cap": "~0x200000200000000",  # no AES-NI, which decides the order of ciphers
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
    "TMPDIR": "/tmp",
    "TZ": "UTC",
    "USER": "root",
}

FIRST_PROCESS = (
    "GLIBC_TUNABLES",
    "LANG",
    "LOCPATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHASHSEED",
    "TZ",
)
"""Variables that process 1 is started with; it sets the others."""

FIRST_S = 10.0
"""The clock's reading when the program starts: several programs take 0 s for 'not set'."""

CONSOLE = "console.log"
"""In the scenario's folder: what the kernel and the programs said."""

EXIT_FILE = "exit.json"
"""In the scenario's folder: how the program inside ended, written whole at the very end."""
