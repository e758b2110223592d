"""What the hosts of `udp` send: correct datagrams, and those that no correct sender makes."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

from testbed import Action, MissingDataError, in_order, own_program, program, programs, wait

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from testbed import Process, RunningNetwork, ScenarioData

SERVER, CLIENT = "rx1", "tx1"
ECHO, PLAIN, SMALL, PEEKED, TINY, LENIENT, CLOSED = 7, 7000, 7001, 7002, 7003, 7004, 9
"""Ports of the server; nobody listens at the last one."""

SMALL_BUFFER_BYTES, TINY_BUFFER_BYTES = 100, 4096
FIRST_PORT, SECOND_PORT = 6001, 6002
"""Source ports of the client, where they matter."""

SIZES = (0, 1, 100, 1472)
"""Payloads in bytes; the last one fills a packet."""

MESSAGES = (1, 500, 3, 1472, 0, 20)
"""Payloads that are all sent before the reader reads."""

LONG_BYTES, NEXT_BYTES = 1000, 50
BURST_PKTS, BURST_BYTES = 100, 1000
DAMAGED_PKTS, NUMBERED_PKTS = 60, 300
LARGEST_BYTES = 65_535 - 20 - 8
"""Payload that IPv4's total length allows (RFC 791)."""

LARGEST6_BYTES = 65_535 - 8
"""Payload that UDP's length allows; IPv6's payload length does not count its own header."""

SNDBUF_BYTES, ABOVE_SNDBUF_BYTES = 4608, 30_000
CLIENTS = {("tx1", 6001): 11, ("tx1", 6002): 12, ("tx2", 6001): 21, ("tx3", 6001): 31}
"""(host, source port) → bytes asked."""

DATA = "00112233445566778899"
"""Data of datagrams made by hand, in hexadecimal."""

FLIPPED, SURPLUS_BYTES = 3, 4
"""The byte of the data that is damaged; how much the length field says too much or too little."""

_SNAPSHOTS = ("before", "after")
_SETTLE_S = 0.5
"""More than a round trip."""


def send(*words: str | int, node: str = CLIENT) -> Action:
    """Runs `udp.py send`."""
    return own_program(node, "udp", "send", *map(str, words))


def by_hand(*datagrams: dict[str, Any]) -> Action:
    """Runs `raw_udp.py` in the client."""
    defaults = {"sport": FIRST_PORT, "dport": PLAIN, "data": DATA}
    return own_program(CLIENT, "raw_udp", json.dumps([defaults | d for d in datagrams]))


def counted(name: str, *acts: Action) -> Action:
    """Acts, and saves the server's UDP counters before and after."""

    def snapshot(when: str) -> Action:
        files = ("/proc/net/snmp", "/proc/net/snmp6")
        return program(SERVER, "cat", *files, log=f"counters-{name}-{when}")

    before, after = map(snapshot, _SNAPSHOTS)
    return in_order(before, *acts, wait(_SETTLE_S), after)


def while_stopped(receiver: Process, act: Action) -> Action:
    """Acts while the receiving program does not run."""

    def stopped(net: RunningNetwork) -> None:
        receiver.send_signal(signal.SIGSTOP)
        act(net)
        net.sleep(_SETTLE_S)
        receiver.send_signal(signal.SIGCONT)

    return stopped


def counters(data: ScenarioData) -> pd.DataFrame:
    """The server's UDP counters around steps: step, counter, before, after.

    Counters of IPv4 have the names of /proc/net/snmp (``InErrors``), those of IPv6 the names of
    /proc/net/snmp6 (``Udp6InErrors``).
    """
    import pandas as pd

    rows = []
    for path in sorted((data.path / "logs").glob("counters-*-before.log")):
        step = path.stem.removeprefix("counters-").removesuffix("-before")
        before, after = (_udp_counters(data.log(f"counters-{step}-{w}")) for w in _SNAPSHOTS)
        rows += [
            {"step": step, "counter": name, "before": value, "after": after[name]}
            for name, value in before.items()
        ]
    return pd.DataFrame(rows, columns=["step", "counter", "before", "after"])


def _udp_counters(text: str) -> dict[str, int]:
    lines = [line.split() for line in text.splitlines()]
    udp = [line[1:] for line in lines if line[0] == "Udp:"]
    if len(udp) != 2:
        raise MissingDataError("the server did not report its counters")
    names, values = udp
    found = dict(zip(names, map(int, values), strict=True))
    return found | {line[0]: int(line[1]) for line in lines if line[0].startswith("Udp6")}


def headers(host: str, host6: str, elsewhere: str, faults: Collection[str]) -> dict[str, Action]:
    """Steps about single fields of the header.

    Args:
        host, host6: addresses of the server.
        elsewhere: another host's address.
        faults: what is broken; ``honest``: what no correct sender makes is sent correctly.
    """
    honest = "honest" in faults
    whole = 8 + len(DATA) // 2

    def wrong(**fields: Any) -> dict[str, Any]:
        return {"host": host} | ({} if honest else fields)

    return {
        "sizes": send("--from", FIRST_PORT, host, PLAIN, *SIZES),
        "sizes-ipv6": send("--from", FIRST_PORT, host6, PLAIN, *SIZES[:-1]),
        "no-source-port": by_hand({"host": host, "sport": 0}),
        "all-ones": by_hand({"host": host, "balance": not honest}),
        "no-checksum": in_order(
            send("--from", FIRST_PORT, "--no-checksum", host, PLAIN, SIZES[2]),
            by_hand({"host": host, "checksum": 0, "flip": FLIPPED}),
        ),
        "no-checksum-ipv6": counted(
            "no-checksum-ipv6",
            by_hand(
                *(
                    {"host": host6, "dport": port} | ({} if honest else {"checksum": 0})
                    for port in (PLAIN, LENIENT)
                )
            ),
        ),
        "wrong-checksum": counted("wrong-checksum", by_hand(wrong(flip=FLIPPED))),
        "other-address": counted("other-address", by_hand(wrong(pseudo=elsewhere))),
        "short-length": by_hand(wrong(length=whole - SURPLUS_BYTES)),
        "wrong-length": counted(
            "wrong-length", by_hand(wrong(length=7), wrong(length=whole + SURPLUS_BYTES))
        ),
    }


def receive(net: RunningNetwork, faults: Collection[str]) -> Process:
    """Starts the server: one program with a socket for each port."""
    small = 65_536 if "large-buffers" in faults else SMALL_BUFFER_BYTES
    tiny = 4 << 20 if "large-buffers" in faults else TINY_BUFFER_BYTES
    plain = f"{PLAIN}/{SMALL_BUFFER_BYTES}" if "small-reader" in faults else str(PLAIN)
    plain += ",tidy" if "tidy" in faults else ""
    ports = (
        f"{ECHO},echo",
        plain,
        f"{SMALL}/{small}",
        f"{PEEKED}/{small},peek",
        f"{TINY},rcvbuf={tiny}",
        f"{LENIENT},no-checksum6",
    )
    receiver = net.start(SERVER, *programs.argv("udp", "receive", *ports), log="received")
    net.wait_until("server ready", lambda: "ready" in receiver.output(), 10)
    return receiver


def ask_together(net: RunningNetwork) -> None:
    """All clients ask the echo server at the same time."""
    target = (net.address(SERVER), str(ECHO))
    asking = [_ask(net, node, port, *target, str(size)) for (node, port), size in CLIENTS.items()]
    for client in asking:
        client.wait(30)


def connect(faults: Collection[str]) -> tuple[str, ...]:
    """The option that connects a socket."""
    return () if "unconnected" in faults else ("--connect",)


def strangers(faults: Collection[str], net: RunningNetwork) -> None:
    """tx2 sends to two sockets of tx1, of which the first is connected to the server."""
    own, server = net.address(CLIENT), net.address(SERVER)
    waiting = [
        _ask(net, CLIENT, FIRST_PORT, *connect(faults), server, str(PLAIN), "10"),
        _ask(net, CLIENT, SECOND_PORT, server, str(PLAIN), "10"),
    ]
    net.sleep(_SETTLE_S)
    for port in (FIRST_PORT, SECOND_PORT):
        send(own, port, NEXT_BYTES, node="tx2")(net)
    for client in waiting:
        client.wait(30)


def _ask(net: RunningNetwork, node: str, port: int, *words: str) -> Process:
    """Sends a datagram and waits for a reply; returns at once."""
    argv = programs.argv("udp", "send", "--from", str(port), "--reply-s", "2", *words)
    return net.start(node, *argv, log=f"{node}-udp")
