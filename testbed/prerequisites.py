"""Which Debian package holds a program that experiments start."""

from __future__ import annotations

_PACKAGE = {"ping": "iputils-ping", "arping": "iputils-arping", "ip": "iproute2", "tc": "iproute2"}
"""Where the package's name is not the program's."""


def install_command(program: str) -> str:
    """The one command that installs `program`."""
    return f"sudo apt-get install {_PACKAGE.get(program, program)}"
