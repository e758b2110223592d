"""Mininet's `iperf` test, as a function of two hosts.

Mininet's own relies on output that iperf 2.1 no longer prints, and would wait forever.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from testbed.core.errors import CommandError, ConfigError, ConvergenceError
from testbed.net.mininet_api import log

_LISTEN_WITHIN_S = 10.0
_END_WITHIN_S = 5.0
_POLL_S = 0.02
_LISTENING = {"tcp": "0A", "udp": "07"}  # states in /proc/net/tcp and /proc/net/udp


def iperf(
    net: Any,
    hosts: Sequence[Any] | None = None,
    l4Type: str = "TCP",
    udpBw: str = "10M",
    fmt: str | None = None,
    seconds: float = 5,
    port: int = 5001,
) -> list[str]:
    """Run iperf between two hosts.

    Args:
        net: a `Network` (or Mininet's own class with nodes of ours).
        hosts: client and server; default: the first and the last.
        l4Type: ``TCP`` or ``UDP``.
        udpBw: rate of UDP.
        fmt: iperf's ``-f``.
        seconds: how long to send.
        port: the server's.

    Returns:
        Rates as iperf prints them: server's, client's; before them `udpBw` for UDP.
    """
    if l4Type not in ("TCP", "UDP"):
        raise ConfigError(f"iperf l4Type: {l4Type!r} is unknown; allowed: TCP, UDP")
    client, server = hosts or (net.hosts[0], net.hosts[-1])
    for host in (client, server):
        if host in net.switches or not host.IP():
            kind = "is a switch" if host in net.switches else "has no address"
            raise ConfigError(f"iperf: {host.name} {kind}; name two hosts")
    _refuse_endless(net, client, l4Type)
    log.output(f"*** Iperf: testing {l4Type} bandwidth between {client} and {server} \n")
    base = ["iperf", "-p", str(port), *(["-u"] if l4Type == "UDP" else [])]
    base += ["-f", fmt] if fmt else []
    serving = server.popen([*base, "-s"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        _wait_listening(server, l4Type.lower(), port)
        limit = ["-b", udpBw] if l4Type == "UDP" else []
        argv = [*base, "-t", str(seconds), "-c", server.IP(), *limit]
        sending = client.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        sent = sending.communicate()[0].decode()
        if sending.returncode:
            raise CommandError(client.name, argv, sending.returncode, sent)
    finally:
        received = _end(serving)
    results = [_rate(received), _rate(sent)]
    if l4Type == "UDP":
        results.insert(0, udpBw)
    log.output(f"*** Results: {results}\n")
    return results


def _refuse_endless(net: Any, client: Any, l4Type: str) -> None:
    """On the virtual clock, TCP over links without a rate sends all it can in no time at all.

    Raises:
        ConfigError: no link has a rate.
    """
    ends = [getattr(i, "end", None) for node in net.values() for i in node.intfList()]
    limited = any(end and end.shape.rate_mbps for end in ends)
    if l4Type == "TCP" and client.engine.virtual_clock and not limited:
        raise ConfigError(
            "iperf: no link has a rate, so on the virtual clock TCP would send without end in no "
            "time; give the links bw=, or use --clock real"
        )


def _end(server: subprocess.Popen[bytes]) -> str:
    """Interrupt the server, and kill it if it ignores that; returns its output."""
    server.send_signal(signal.SIGINT)
    try:
        return server.communicate(timeout=_END_WITHIN_S)[0].decode()
    except subprocess.TimeoutExpired:
        server.kill()
        return server.communicate()[0].decode()


def _wait_listening(host: Any, protocol: str, port: int) -> None:
    deadline = time.monotonic() + _LISTEN_WITHIN_S
    entry = re.compile(rf"^\s*\d+: [0-9A-F]+:{port:04X} \S+ {_LISTENING[protocol]} ", re.M)
    while True:
        tables = [host.engine.proc(host.namespace, f"net/{protocol}{v}") for v in ("", "6")]
        if any(entry.search(table) for table in tables):
            return
        if time.monotonic() > deadline:
            what = f"iperf listening on {protocol} port {port} in {host.name}"
            raise ConvergenceError(what, _LISTEN_WITHIN_S, "the port is closed")
        time.sleep(_POLL_S)


def _rate(output: str) -> str:
    found = re.findall(r"([\d.]+ \w+/sec)", output)
    return found[-1] if found else ""
