"""What runs: h1 sends, h2 takes, and r1, on the path, interferes with what is diverted to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from testbed import Action, in_order, own_program, program
from testbed.daemons import Daemon, Place, listens
from testbed.programs import argv

if TYPE_CHECKING:
    from testbed import Process

DIRECT, CHANGE, REPLAY, IMPERSONATE = 7000, 7001, 7002, 7003
PORTS = (DIRECT, CHANGE, REPLAY, IMPERSONATE)
"""h2 listens at all of them. What goes to the last three, r1 diverts to itself."""

SECRETS, PICTURES = "secrets", "pictures"
"""Folders of the scenario with keys, and with the encrypted picture."""


@dataclass(frozen=True)
class Own(Daemon):
    """One of the testbed's programs that uses Debian's python3-cryptography.

    Attributes:
        name: of the program's file.
        arguments: its command line.
        ports: where it listens.
    """

    program: ClassVar[str] = "/usr/bin/python3"
    package: ClassVar[str] = "python3-cryptography"
    name: str  # type: ignore[misc]
    arguments: tuple[str, ...]
    ports: tuple[int, ...]

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        return argv(self.name, *self.arguments, packages=True)

    def ready(self, place: Place, process: Process) -> bool:
        """Once all ports are open."""
        return all(listens(process, port) for port in self.ports)


def daemons(folder: Path, h2: str, faults: Sequence[str]) -> dict[str, list[Daemon]]:
    """The server on h2, and what r1 does with diverted connections.

    Args:
        folder: of the keys.
        h2: its address.
        faults: passed on.
    """
    server = Own("protected_server", (str(folder), _listed(PORTS), *faults), PORTS)
    diverted = PORTS[1:]
    attacks = Own("message_attacks", (h2, _listed(diverted)), diverted)
    return {"h2": [server], "r1": [attacks]}


def send(folder: Path, h2: str, faults: Sequence[str]) -> Action:
    """All messages of h1."""
    words = (str(folder), h2, _listed(PORTS), *faults)
    return own_program("h1", "protected_client", *words, packages=True)


def divert() -> Action:
    """Makes r1 take connections for h2's last three ports itself."""
    chain = "add chain ip divert pre { type nat hook prerouting priority -100; }"
    ports = ", ".join(map(str, PORTS[1:]))
    rule = f"add rule ip divert pre iifname r1-eth0 tcp dport {{ {ports} }} redirect"
    return program("r1", "nft", f"add table ip divert; {chain}; {rule}")


def alone(net_path: Path, faults: Sequence[str]) -> Action:
    """What needs no network: keys, hashes, ciphers."""
    for name in (SECRETS, PICTURES):
        (net_path / name).mkdir()
    return in_order(
        own_program("h2", "protection", str(net_path / SECRETS), *faults, packages=True),
        own_program("h1", "hashing", *faults),
        own_program("h1", "ciphers", str(net_path / PICTURES), *faults, packages=True),
    )


def _listed(ports: Sequence[int]) -> str:
    return ",".join(map(str, ports))
