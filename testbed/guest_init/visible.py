"""What a run sees of the machine: a closed list. What is not named here is not there.

Of the machine: its programs and libraries, as their packages brought them (`PROGRAMS`), without
what its owner or other software put between them (`EMPTY`). Everything else is ours: ``/etc`` is
the folder ``etc`` next to this file, with `ALTERNATIVES`; ``/var`` is in `FOLDERS`.

A program that needs a file in ``/etc`` gets it from that folder: our text, never the machine's,
which may have been edited. One that needs a folder in ``/var`` or a user has a line in `FOLDERS` or
in ``etc/passwd``. User numbers are ours as well: machines give them out as packages come.
"""

from __future__ import annotations

PROGRAMS = "/usr"
"""Shown as it is, read-only, but for `EMPTY`."""

EMPTY = (
    "/usr/local",  # what the machine's owner installed by hand
    "/usr/lib/python3/dist-packages",  # but for `PYTHON_PACKAGES`; ours are in /run/site
)
"""Folders in `PROGRAMS` that are empty inside."""

PYTHON_PACKAGES = (
    "bleach",
    "blinker",
    "cachecontrol",
    "certifi",
    "chardet",
    "click",
    "cryptography",
    "flask",
    "h2",
    "hpack",
    "html5lib",
    "hyperframe",
    "idna",
    "itsdangerous",
    "jinja2",
    "jwt",
    "markupsafe",
    "msgpack",
    "psycopg",
    "requests",
    "six.py",
    "typing_extensions.py",
    "urllib3",
    "waitress",
    "webencodings",
    "websockets",
    "werkzeug",
)
"""Debian's Python packages and modules that are there, with compiled parts that fit its Python:
what the web applications (and their database's driver), the caching client, the WebSocket programs
and the maker of certificates in `testbed.programs` import."""

PYTHON_LIBRARIES = ("_cffi_backend",)
"""Those that are one compiled file each, without its Python's suffix."""

LINKS = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
"""At the root, as on the machine: links into `PROGRAMS`, or folders of programs on old systems."""

FOLDERS = {
    "/dev": "",
    "/etc": "",
    "/home": "",
    "/media": "",
    "/mnt": "",
    "/opt": "",
    "/proc": "",
    "/root": "",
    "/run": "",
    "/srv": "",
    "/sys": "",
    "/tmp": "",
    "/usr": "",
    "/var": "",
    "/etc/alternatives": "",
    "/etc/ssl": "",
    "/etc/ssl/certs": "",
    "/home/alice": "alice",
    "/run/lock": "",
    "/var/cache": "",
    "/var/lib": "",
    "/var/lib/dhcpcd": "",
    "/var/lib/frr": "frr",
    "/var/lib/misc": "",
    "/var/lib/nsd": "nsd",
    "/var/lib/openvswitch": "",
    "/var/lib/unbound": "unbound",
    "/var/log": "",
    "/var/log/frr": "frr",
    "/var/log/openvswitch": "",
    "/var/mail": "",
    "/var/spool": "",
    "/var/tmp": "",
}
"""Folders that are made, parents first → the user they belong to; root's if empty."""

FOR_ALL = ("/tmp", "/var/tmp")
"""Those of `FOLDERS` in which everybody may write."""

SYMLINKS = {"/etc/mtab": "/proc/mounts", "/var/lock": "/run/lock", "/var/run": "/run"}

ALTERNATIVES = {
    "arptables": "/usr/sbin/arptables-nft",
    "awk": "/usr/bin/mawk",
    "ebtables": "/usr/sbin/ebtables-nft",
    "ip6tables": "/usr/sbin/ip6tables-nft",
    "iptables": "/usr/sbin/iptables-nft",
    "nawk": "/usr/bin/mawk",
    "nc": "/bin/nc.openbsd",
    "ovs-vswitchd": "/usr/lib/openvswitch-switch/ovs-vswitchd",
    "pager": "/usr/bin/more",
    "tcptraceroute": "/usr/sbin/tcptraceroute.db",
    "telnet": "/usr/bin/inetutils-telnet",
    "traceroute": "/usr/bin/traceroute.db",
    "traceroute.sbin": "/usr/bin/traceroute.db",
    "traceroute6": "/usr/bin/traceroute6.db",
    "which": "/usr/bin/which.debianutils",
}
"""Programs of which Debian has several: the one that a name means here (update-alternatives(1))."""
