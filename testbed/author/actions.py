"""Acts: what one step of an experiment does, as values to put into tables of steps.

    steps = {"echo": program("h1", "ping", "-c", "3", address), ...}
    for name, act in steps.items():
        step(lab, name); act(lab)

An act that is made does nothing yet: the running lab is its argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from testbed import programs

if TYPE_CHECKING:
    from testbed.lab import Lab

Act = Callable[["Lab"], None]
"""What takes the lab and does something in it."""

_WAIT_S = 300.0


def program(node: str, *argv: str, log: str = "") -> Act:
    """Runs a program to its end, whatever its exit code says of the answers it got."""

    def act(lab: Lab) -> None:
        lab.start(node, *argv, log=log).wait(_WAIT_S)

    return act


def own_program(node: str, name: str, *arguments: str) -> Act:
    """The same for a program of `testbed.programs`; logged as ``<node>-<name>``."""

    def act(lab: Lab) -> None:
        lab.start(node, *programs.argv(name, *arguments), log=f"{node}-{name}").wait(_WAIT_S)

    return act


def ping(node: str, target: str, count: int = 1, *, wait_s: float = 1.0, log: str = "") -> Act:
    """Asks for echoes, five a second."""
    argv = ("ping", "-n", "-c", str(count), "-i", "0.2", "-W", f"{wait_s:g}", target)
    return program(node, *argv, log=log)


def ip(node: str, *words: str, log: str = "") -> Act:
    """Runs ip(8)."""
    return program(node, "ip", *words, log=log)


def zeros(node: str, address: str, size_bytes: int = 10, *options: str) -> Act:
    """Sends zeros to a socat address."""
    return program(node, "socat", "-u", *options, f"OPEN:/dev/zero,readbytes={size_bytes}", address)


def sysctl(node: str, name: str, value: str | int) -> Act:
    """Sets a sysctl of a node."""
    return lambda lab: lab.sysctl(node, name, value)


def in_order(*acts: Act) -> Act:
    """Several acts as one."""

    def act(lab: Lab) -> None:
        for one in acts:
            one(lab)

    return act


def wait(seconds: float, *then: Act) -> Act:
    """Lets time pass, then acts."""
    return in_order(lambda lab: lab.sleep(seconds), *then)


def nothing(lab: Lab) -> None:
    """An act that does nothing."""


def filter_packets(node: str, hook: str, rule: str, family: str = "ip") -> Act:
    """Adds an nftables rule at a hook (``input``, ``forward``, ``output``, ``prerouting``)."""
    chain = f"add chain {family} lab {hook} {{ type filter hook {hook} priority 0; }}"
    text = f"add table {family} lab; {chain}; add rule {family} lab {hook} {rule}"

    def act(lab: Lab) -> None:
        lab.exec(node, "nft", text)

    return act


def masquerade(node: str, interface: str) -> Act:
    """Makes a node translate the sources of what leaves by an interface to its own address."""
    chain = "add chain ip nat post { type nat hook postrouting priority 100; }"
    text = f"add table ip nat; {chain}; add rule ip nat post oifname {interface} masquerade"

    def act(lab: Lab) -> None:
        lab.exec(node, "nft", text)

    return act


def unfilter(node: str, family: str = "ip") -> Act:
    """Removes the rules that `filter_packets` added for one family."""

    def act(lab: Lab) -> None:
        lab.exec(node, "nft", f"delete table {family} lab")

    return act
