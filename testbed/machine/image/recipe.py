"""What goes into an image, and what a guest never reads. Data, and one predicate over it."""

from __future__ import annotations

import re

from testbed.guest_init.visible import PYTHON_LIBRARIES, PYTHON_PACKAGES
from testbed.machine.prerequisites import BUILDS_KERNEL, packages

SUITE = "bookworm"
"""Debian 12, whatever the builder's system is: an image must not depend on who made it.

Its FRR 8.4 needs a process less in each router than FRR 10, where mgmtd reads for the others."""

_BESIDES = ("mount", "python3")
"""What every Debian host has, but a root tree of only the essential packages does not."""

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
    | (etc|var)/.
    | usr/lib/python3/dist-packages/(?!(mininet|"""
    + "|".join(PYTHON_PACKAGES)
    + r""")(/|$)|("""
    + "|".join(PYTHON_LIBRARIES)
    + r""")\.)
    """,
    re.VERBOSE,
)
"""Paths that are left out: documentation, other languages' texts, package management, services
of a booted system, and what no run sees (`testbed.guest_init.visible`)."""


def package_names() -> list[str]:
    """Debian packages to install; their dependencies come with them."""
    wanted = (
        p.name for p in packages() if p.name not in _NOT_INSIDE and p.purpose != BUILDS_KERNEL
    )
    return [*wanted, *_BESIDES]


def is_kept(path: str) -> bool:
    """Whether a path of the unpacked packages (without leading slash) goes into an image."""
    return not _DROPPED.match(path)
