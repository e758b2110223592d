"""Bulk TCP flows in nodes: `receive` at one end, then `send` at the other.

    bulk.receive(lab, "rx1")
    bulk.send(lab, "tx1", lab.address("rx1"), cc="cubic", seconds=30)

The program behind both is `testbed/programs/bulk.py`, and says why it is not iperf3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed import programs

if TYPE_CHECKING:
    from testbed.lab import Lab, Process

PORT = 5201

_LISTENS_S = 20.0


def receive(lab: Lab, node: str, port: int = PORT, *, log: str = "") -> Process:
    """Takes one connection to its end and throws its bytes away; listens when this returns.

    Raises:
        ConvergenceError: it does not, within 20 s; its output says why.
    """
    process = lab.start(
        node, *programs.argv("bulk", "receive", str(port)), log=log or f"{node}-bulk-{port}"
    )
    lab.wait_until(
        f"{node} listening at TCP port {port}",
        lambda: "listening" in process.output(),
        _LISTENS_S,
        every_s=0.01,
        state=process.output,
    )
    return process


def send(
    lab: Lab,
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
    """Sends zeros to a receiver for some seconds, or so many bytes; returns at once.

    Args:
        lab: the running network.
        node: the sender.
        address: of the receiver, IPv4 or IPv6.
        port: of the receiver.
        seconds: how long; what is in the socket's buffer by then still arrives.
        size_bytes: how much.
        cc: congestion control; default: the kernel's.
        sport: source port; default: the kernel's choice.
        log: name of the log; default ``<node>-bulk-<port>``.
    """
    given = {"--seconds": seconds, "--bytes": size_bytes, "--cc": cc, "--sport": sport}
    options = [w for name, value in given.items() if value is not None for w in (name, str(value))]
    argv = programs.argv("bulk", "send", *options, address, str(port))
    return lab.start(node, *argv, log=log or f"{node}-bulk-{port}")
