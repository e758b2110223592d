"""What a run sees: the same folders, environment and name, whatever machine and user it has.

This package runs inside: first as process 1 of a guest kernel, or of new namespaces of the host's
kernel. It uses the standard library alone, and little of it: in a guest every page of code costs.

The system's own files are there (read-only, under a layer in memory that takes all writes), so
its programs just work. What belongs to a user or a machine is not: home directories, temporary
files, the host's name.
"""

from __future__ import annotations

LAB = "/run/lab"
"""The scenario's folder, inside: the only place whose content is kept."""

PROJECT = "/run/testbed"
"""The project's root, inside: read-only."""

SITE = "/run/site"
"""The virtual environment's packages, inside: read-only."""

LAB_FD, PROJECT_FD, SITE_FD, ROOT_FD, PROGRESS_FD = 3, 4, 5, 6, 9
"""Descriptors the launcher hands over: the folders above, a guest's root, a file for progress."""

OWNERS = "/usr/lib/testbed/owners.json"
"""In an image: path → user and group, of what is not root's. An unpacked image has one owner."""

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

ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LOGNAME": "root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
    "TMPDIR": "/tmp",
    "TZ": "UTC",
    "USER": "root",
}

FIRST_S = 10.0
"""The clock's reading when the program starts: several programs take 0 s for 'not set'."""

CONSOLE = "console.log"
"""In the scenario's folder: what the kernel and the programs said."""

EXIT_FILE = "exit.json"
"""In the scenario's folder: how the program inside ended, written whole at the very end."""
