"""Actions: what one step of an experiment does, as values for tables of steps.

    steps = {"echo": program("h1", "ping", "-c", "3", address), ...}
    for name, act in steps.items():
        step(net, name); action(net)

Creating an action does nothing yet: it acts when called with the running network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from testbed import programs

if TYPE_CHECKING:
    from testbed.author.running_network import RunningNetwork

Action = Callable[["RunningNetwork"], None]
"""A function that takes the running network and does something in it."""

_WAIT_S = 300.0


def program(node: str, *argv: str, log: str = "") -> Action:
    """Runs a program until it ends and ignores its exit code."""

    def act(net: RunningNetwork) -> None:
        net.start(node, *argv, log=log).wait(_WAIT_S)

    return act


def own_program(node: str, name: str, *arguments: str, packages: bool = False) -> Action:
    """The same for a program of `testbed.programs`; logged as ``<node>-<name>``.

    Args:
        node: where.
        name: the program's.
        arguments: its command line.
        packages: it imports Debian's Python packages.
    """
    argv = programs.argv(name, *arguments, packages=packages)

    def act(net: RunningNetwork) -> None:
        net.start(node, *argv, log=f"{node}-{name}").wait(_WAIT_S)

    return act


def ping(node: str, target: str, count: int = 1, *, wait_s: float = 1.0, log: str = "") -> Action:
    """Sends echo requests, five per second."""
    argv = ("ping", "-n", "-c", str(count), "-i", "0.2", "-W", f"{wait_s:g}", target)
    return program(node, *argv, log=log)


def ip(node: str, *words: str, log: str = "") -> Action:
    """Runs ip(8)."""
    return program(node, "ip", *words, log=log)


def zeros(node: str, address: str, size_bytes: int = 10, *options: str) -> Action:
    """Sends zeros to a socat address."""
    return program(node, "socat", "-u", *options, f"OPEN:/dev/zero,readbytes={size_bytes}", address)


def sysctl(node: str, name: str, value: str | int) -> Action:
    """Sets a sysctl of a node."""
    return lambda net: net.sysctl(node, name, value)


def compute_checksums(*interfaces: str) -> Action:
    """Makes nodes compute the checksums of what they send from interfaces.

    Otherwise the kernel leaves those of TCP and UDP to a network card that is not there, and
    captures show segments without them.
    """

    def act(net: RunningNetwork) -> None:
        from testbed.net import offload

        for name in interfaces:
            interface = net.network.interface(name)
            net.inside(interface.node.name, partial(offload.checksums_off, interface.index))

    return act


def in_order(*acts: Action) -> Action:
    """Combines several actions into one."""

    def act(net: RunningNetwork) -> None:
        for one in acts:
            one(net)

    return act


def wait(seconds: float, *then: Action) -> Action:
    """Waits, then runs an action."""
    return in_order(lambda net: net.sleep(seconds), *then)


def nothing(net: RunningNetwork) -> None:
    """An action that does nothing."""


def when(condition: bool, act: Action, otherwise: Action = nothing) -> Action:
    """One of two actions; for faults, for example."""
    return act if condition else otherwise


def filter_packets(
    node: str, hook: str, rule: str, family: str = "ip", *, table: str = "lab"
) -> Action:
    """Adds an nftables rule at a hook (``input``, ``forward``, ``output``, ``prerouting``)."""
    chain = f"add chain {family} {table} {hook} {{ type filter hook {hook} priority 0; }}"
    text = f"add table {family} {table}; {chain}; add rule {family} {table} {hook} {rule}"

    def act(net: RunningNetwork) -> None:
        net.exec(node, "nft", text)

    return act


def masquerade(node: str, interface: str) -> Action:
    """Makes a node translate source addresses of packets that leave by an interface to its own."""
    chain = "add chain ip nat post { type nat hook postrouting priority 100; }"
    text = f"add table ip nat; {chain}; add rule ip nat post oifname {interface} masquerade"

    def act(net: RunningNetwork) -> None:
        net.exec(node, "nft", text)

    return act


def unfilter(node: str, family: str = "ip", *, table: str = "lab") -> Action:
    """Removes the rules that `filter_packets` added to one family's table."""

    def act(net: RunningNetwork) -> None:
        net.exec(node, "nft", f"delete table {family} {table}")

    return act
