"""What goes into an image, and what a guest never reads. Data, and one question about it."""

from __future__ import annotations

import re

from testbed.machine.prerequisites import BUILDS_KERNEL, packages

SUITE = "bookworm"
"""Debian 12, whatever the builder's system is: an image shall not depend on who made it.

Its FRR 8.4 needs a process less in each router than FRR 10, where mgmtd reads for the others."""

LIBRARIES = (
    "pyroute2",
    "os-ken",
    "idna",
    "netaddr",
    "oslo.config",
    "oslo.i18n",
    "packaging",
    "pbr",
    "rfc3986",
    "stevedore",
)
"""Python libraries of the guest side, each of the version that the builder's Python has: what
`testbed.execution.inside` and the controllers import. None has compiled parts."""

_BESIDES = ("mount", "python3")
"""What every Debian host has, and a root tree of the essential packages alone has not."""

_NOT_INSIDE = {"python3-venv", "tshark"}

_DROPPED = re.compile(
    r"""
    (boot|dev|proc|sys|run|tmp|media|mnt|srv|home|root|opt)/.
    | usr/share/
        (?!(dhcpcd|dns|dnsmasq-base|frr|iproute2|openvswitch|readline|tabset|terminfo|yang)(/|$))
        [^/]+(/|$)
    | usr/(games|include|src|libexec)/.
    | usr/lib/(apt|debug|dpkg|init|kernel|locale|lsb|mime|systemd|udev|valgrind|libsupp\.a
        |(binfmt|environment|modprobe|modules-load|pcrlock|sysusers|tmpfiles)\.d)(/|$)
    | usr/lib/x86_64-linux-gnu/(gconv|perl-base|perl|systemd)(/|$)
    | usr/lib/python3\.\d+/
        (test|idlelib|turtledemo|tkinter|lib2to3|ensurepip|pydoc_data|venv|config-3.*)(/|$)
    | .*/__pycache__(/|$)
    | usr/bin/(perl.*|apt.*|dpkg.*|deb-.*|debconf.*|systemd.*|[a-z]+ctl$|chage|chfn|chsh|gpasswd
        |newgrp|passwd|su|crontab|expiry)$
    | usr/sbin/(adduser|deluser|addgroup|delgroup|dpkg-.*|pam.*|cron|logrotate)$
    | etc/(g?shadow|subuid|subgid|machine-id|hostname|resolv\.conf|\.pwd\.lock|mtab|debconf\.conf
        |motd|issue.*|.*-)$
    | etc/nsd/nsd_\w+\.(key|pem)$
    | etc/(apparmor|apt|binfmt|cron[^/]*|credstore[^/]*|dpkg|init|logrotate|perl|rc.|skel|systemd
        |update-motd|X11)(\.d)?(/|$)
    | var/(backups|cache|local|log|mail|opt|spool|tmp)/.
    | var/lib/(apt|dpkg|libuuid|logrotate|misc|pam|private|python|shells\.state|systemd|ucf)(/|$)
    """,
    re.VERBOSE,
)
"""Paths that are left out: documentation, other languages' texts, package management, services
of a booted system, and what belongs to the moment of building (a package's fresh keys, too)."""

_KEPT = re.compile(r"var/(log|lib)/(frr|nsd|unbound|openvswitch|dhcpcd)(/|$)")
"""Kept all the same: folders that daemons look for."""


UNREAD_TABLES = ("netaddr/eui",)
"""Folders of the libraries whose text files are left out: the makers of all network cards."""


def package_names() -> list[str]:
    """Debian packages that are asked for; what they depend on comes with them."""
    wanted = (
        p.name for p in packages() if p.name not in _NOT_INSIDE and p.purpose != BUILDS_KERNEL
    )
    return [*wanted, *_BESIDES]


def is_kept(path: str) -> bool:
    """Whether a path of the unpacked packages (without leading slash) goes into an image."""
    return bool(_KEPT.match(path)) or not _DROPPED.match(path)
