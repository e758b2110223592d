"""What can be broken on purpose, to see which claims fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed import Action, filter_packets, in_order, nothing, sysctl

from .conversations import CONVERSATION_FAULTS

if TYPE_CHECKING:
    from testbed import RunningNetwork

NETWORK_FAULTS = tuple(
    (
        "few-acks single lossy-samples timestamps no-probe always-probe no-sack always-sack "
        "wide-windows mute dead alive no-update-lost crumbs unscaled always-scaled narrow "
        "wide-network"
    ).split()
)
FEW_ACKS = "tcp flags & (fin | syn | rst) == 0 numgen inc mod 3 { 0, 1 } drop"
"""What h4 does not send of its acknowledgements."""


def _route(node: str, *metric: str) -> Action:
    """Gives a host's default route a metric."""

    def act(net: RunningNetwork) -> None:
        gateway = net.exec(node, "ip", "-4", "route", "show", "default").split()[2]
        net.exec(node, "ip", "route", "change", "default", "via", gateway, *metric)

    return act


FAULTS: dict[str, Action] = {
    "none": nothing,
    "loud": filter_packets("h4", "input", "@th,512,32 0xdeadbeef reject"),
    "hasty": sysctl("h1", "net.ipv4.tcp_reordering", 1),
    "patient": in_order(
        sysctl("h1", "net.ipv4.tcp_reordering", 30), sysctl("h1", "net.ipv4.tcp_recovery", 0)
    ),
    "no-dsack": sysctl("h4", "net.ipv4.tcp_dsack", 0),
    "quick-ack": _route("h4", "quickack", "1"),
    "long-timer": _route("h1", "rto_min", "1s"),
    **dict.fromkeys(CONVERSATION_FAULTS, nothing),  # see `windows`
    **dict.fromkeys(NETWORK_FAULTS, nothing),  # see the experiment's steps
}
"""What is broken on purpose."""
