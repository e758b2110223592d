"""Options of nodes and links whose names are almost right: Mininet would ignore them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from testbed.core.errors import ConfigError

_NODE = (
    "ip",
    "ipv6",
    "addresses",
    "planned",
    "mac",
    "defaultRoute",
    "inNamespace",
    "privateDirs",
    "cls",
)
HOST = (*_NODE, "cpu", "cores", "isRouter", "nat", "loopback", "shell")
SWITCH = (
    *_NODE,
    "stp",
    "prio",
    "dpid",
    "opts",
    "listenPort",
    "failMode",
    "datapath",
    "dpopts",
    "protocols",
    "inband",
    "batch",
    "reconnectms",
)
LINK = (
    "bw",
    "delay",
    "jitter",
    "loss",
    "max_queue_size",
    "enable_ecn",
    "enable_red",
    "shape",
    "shape1",
    "shape2",
    "params1",
    "params2",
    "port1",
    "port2",
    "intfName1",
    "intfName2",
    "addr1",
    "addr2",
    "cls",
    "cls1",
    "cls2",
    "intf",
    "ip",
    "mac",
    "planned",
)

_SYNONYMS = {
    "bandwidth": "bw",
    "rate": "bw",
    "latency": "delay",
    "packet_loss": "loss",
    "queue": "max_queue_size",
    "queue_size": "max_queue_size",
    "ipv4": "ip",
    "address": "ip",
    "gateway": "defaultRoute",
    "gw": "defaultRoute",
    "spanning_tree": "stp",
    "priority": "prio",
}
_DATA = ("ip6",)
"""Names that posted scripts give to data of their own."""

_ALMOST = 0.75
"""Similarity of names (of difflib) from which one is taken for a misspelling of the other."""


def check(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuses an option that is almost one of ours; a topology's own data pass.

    Args:
        where: begins the error message, e.g. ``link h1 s1``.
        given: names of options.
        known: those that have an effect: `HOST`, `SWITCH` or `LINK`.

    Raises:
        ConfigError: names the option, and the one that was probably meant.
    """
    allowed = tuple(known)
    for name in given:
        meant = _meant(name, allowed)
        if meant:
            raise ConfigError(
                f"{where}: option {name}= is unknown and would be ignored (did you mean '{meant}'?)"
            )


def _meant(name: str, known: tuple[str, ...]) -> str | None:
    """The option that a name almost is; None where it is one, or is like none."""
    if name in known or name in _DATA:
        return None
    if _SYNONYMS.get(name.lower()) in known:
        return _SYNONYMS[name.lower()]
    if name.rstrip("0123456789") in known:  # a numbered one is data of the topology's own
        return None
    same_letters = [k for k in known if sorted(k.lower()) == sorted(name.lower())]
    close = difflib.get_close_matches(name, known, n=1, cutoff=_ALMOST)
    return next(iter([*same_letters, *close]), None)
