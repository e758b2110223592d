"""Bulk TCP flows in nodes: `receive` at one end, then `send` at the other.

    bulk.receive(net, "rx1")
    bulk.send(net, "tx1", net.address("rx1"), cc="cubic", seconds=30)

The program behind both is `testbed/programs/bulk.py`, which says why it is not iperf3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed import programs

if TYPE_CHECKING:
    from testbed.author.process import Process
    from testbed.author.running_network import RunningNetwork

PORT = 5201

_LISTENS_S = 20.0


def receive(net: RunningNetwork, node: str, port: int = PORT, *, log: str = "") -> Process:
    """Accepts one connection and discards its bytes; already listens when this returns.

    Raises:
        ConvergenceError: it does not listen within 20 s; its output says why.
    """
    process = net.start(
        node, *programs.argv("bulk", "receive", str(port)), log=log or f"{node}-bulk-{port}"
    )
    net.wait_until(
        f"{node} listening at TCP port {port}",
        lambda: "listening" in process.output(),
        _LISTENS_S,
        every_s=0.01,
        state=process.output,
    )
    return process


def send(
    net: RunningNetwork,
    node: str,
    address: str,
    port: int = PORT,
    *,
    seconds: float | None = None,
    size_bytes: int | None = None,
    cc: str | None = None,
    sport: int | None = None,
    log: str = "",
) -> Process:
    """Sends zeros to a receiver, for some seconds or up to a number of bytes; returns at once.

    Args:
        net: the running network.
        node: the sender.
        address: of the receiver, IPv4 or IPv6.
        port: of the receiver.
        seconds: how long; data in the socket's buffer by then still arrives.
        size_bytes: how much.
        cc: congestion control; default: the kernel's.
        sport: source port; default: the kernel's choice.
        log: name of the log; default ``<node>-bulk-<port>``.
    """
    given = {"--seconds": seconds, "--bytes": size_bytes, "--cc": cc, "--sport": sport}
    options = [w for name, value in given.items() if value is not None for w in (name, str(value))]
    argv = programs.argv("bulk", "send", *options, address, str(port))
    return net.start(node, *argv, log=log or f"{node}-bulk-{port}")
