"""What two speakers of BGP must agree on before they have a session (RFC 4271 §6.2). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from testbed.core.errors import ConfigError
from testbed.daemons.frr.config import Block, is_instance
from testbed.daemons.frr.folder import Written
from testbed.net.plan import Plan

_NEIGHBOUR = re.compile(r"neighbor (\S+) (remote-as|local-as|password|peer-group) (\S+)")


@dataclass
class _Speaker:
    """One router's BGP: its AS number, and what it says of each neighbour, with lines."""

    asn: str
    said: dict[str, dict[str, tuple[str, int]]] = field(default_factory=dict)


def check(plan: Plan, configs: Mapping[str, Written], parsed: Mapping[str, list[Block]]) -> None:
    """Raises ConfigError for the first session that cannot come up, with its place."""
    owners = {
        str(address.ip): router
        for router in configs
        for addresses in (
            plan.loopbacks.get(router, ()),
            *(p.addresses for p in plan.ports[router]),
        )
        for address in addresses
    }
    speakers = {router: found for router in configs if (found := _speaker(parsed[router]))}
    for router, speaker in speakers.items():
        for address, mine in speaker.said.items():
            other = speakers.get(owners.get(address, ""))
            if other is None or "remote-as" not in mine:
                continue
            own = {str(a.ip) for p in plan.ports[router] for a in p.addresses}
            own |= {str(a.ip) for a in plan.loopbacks.get(router, ())}
            back = next((said for a, said in other.said.items() if a in own), {})
            where = f"{configs[router].place(mine['remote-as'][1])}: neighbor {address}"
            asn = mine.get("local-as", (speaker.asn, 0))[0]
            _check_asn(where, mine["remote-as"][0], asn, back, other, owners[address])
            passwords = [said.get("password", ("none", 0))[0] for said in (mine, back)]
            if back and passwords[0] != passwords[1]:
                raise ConfigError(
                    f"{where}: password is {passwords[0]}, that of {owners[address]} "
                    f"{passwords[1]}; make them the same"
                )


def _check_asn(
    where: str,
    wanted: str,
    own: str,
    back: Mapping[str, tuple[str, int]],
    other: _Speaker,
    name: str,
) -> None:
    theirs = back.get("local-as", (other.asn, 0))[0]
    right = {"internal": theirs == own, "external": theirs != own}.get(wanted, wanted == theirs)
    if not right:
        raise ConfigError(f"{where}: remote-as is {wanted}, but {name} is in AS {theirs}")


def _speaker(parsed: list[Block]) -> _Speaker | None:
    for block in parsed:
        words = block.head.split()
        if words[:2] == ["router", "bgp"] and words[2:] and not is_instance(block.head):
            speaker = _Speaker(words[2])
            for number, line in block.lines:
                if match := _NEIGHBOUR.match(line):
                    speaker.said.setdefault(match[1], {})[match[2]] = (match[3], number)
            groups = speaker.said
            speaker.said = {
                name: groups.get(said.get("peer-group", ("", 0))[0], {}) | said
                for name, said in groups.items()
            }
            return speaker
    return None
