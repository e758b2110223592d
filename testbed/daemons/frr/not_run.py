"""What of an FRR configuration has no effect here: reported with its place, never ignored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from testbed.daemons.frr.config import PROTOCOLS, blocks, daemon_names, is_instance

DAEMONS = (
    "pimd",
    "pim6d",
    "ldpd",
    "eigrpd",
    "babeld",
    "vrrpd",
    "pbrd",
    "nhrpd",
    "pathd",
    "fabricd",
)
"""Daemons of FRR that are never started here."""

_TOP = {
    "mpls ldp": "MPLS and LDP are not run",
    "segment-routing": "segment routing is not run",
    "vrf ": "VRFs are not run",
    "pbr-map": "policy routing (pbrd) is not run",
    "ip pim": "multicast routing (pimd) is not run",
    "ip multicast-routing": "multicast routing (pimd) is not run",
    "rpki": "FRR's RPKI module is not loaded",
}
_INTERFACE = {
    r"ip (pim|igmp)\b": "multicast routing (pimd) is not run",
    r"vrrp\b": "VRRP (vrrpd) is not run",
    r"ip nhrp\b": "NHRP (nhrpd) is not run",
    r"mpls\b": "MPLS is not run",
    r"ip ospf \d+ ": "further instances of OSPF are not run",
    r"(ip|ipv6) router (eigrp|openfabric)\b": "this protocol is not run",
}
_YES_OR_NO = re.compile(r"^(\w+d)=(yes|no)\b", re.MULTILINE)


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines of a configuration that have no effect, as (number, why)."""
    for block in blocks(text):
        words = block.head.split()
        if words[0] == "router":
            if words[1:] and words[1] not in PROTOCOLS:
                yield block.line, f"'{block.head}': is not run here; {_known()}"
            elif is_instance(block.head):
                yield block.line, f"'{block.head}': only the first process of a protocol is run"
            continue
        for start, why in _TOP.items():
            if f"{block.head} ".startswith(start):
                yield block.line, f"'{block.head}': {why}"
        if words[0] == "interface":
            if "vrf" in words[2:]:
                yield block.line, f"'{block.head}': VRFs are not run; the interface is in none"
            for number, line in block.lines:
                found = (why for pattern, why in _INTERFACE.items() if re.match(pattern, line))
                yield from ((number, f"'{line}': {why}") for why in found)


def _known() -> str:
    return f"run are: router {', '.join(PROTOCOLS)}"


def by_daemons_file(folder: Path, texts: Iterable[str]) -> Iterator[str]:
    """Where the file ``daemons`` and the configuration disagree about what runs."""
    file = folder / "daemons"
    if not file.is_file():
        return
    needed = {name for text in texts for name in daemon_names(text)}
    for match in _YES_OR_NO.finditer(file.read_text(encoding="utf-8", errors="replace")):
        name, word = match.groups()
        if word == "yes" and name in DAEMONS:
            yield f"{file}: {name}=yes: {name} is not run here"
        if word == "no" and name in needed and name not in ("zebra", "staticd"):
            yield f"{file}: {name}=no: {name} is run all the same, since the configuration needs it"
