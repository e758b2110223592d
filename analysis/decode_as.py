"""Protocols at unusual ports: rules that a table of packets carries along (`DataFrame.attrs`).

capture = packets.read("run/r1-eth0.pcap", packets.COLUMNS)
decode_as.set_rules(capture, ["udp.port==5300,dns", "tcp.port==8443,http"])
dns.read(capture)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import pandas as pd

from testbed.core.errors import ConfigError, nearest

PROTOCOLS = ("bgp", "dns", "dhcp", "http", "openflow", "rip", "ripng")
"""Those that dissectors know by ports (HTTP: where a stream is searched for messages)."""

_ATTRIBUTE = "decode_as"
_RULE = re.compile(r"(?:tcp|udp)\.port\s*==\s*(\d{1,5})\s*,\s*(\w+)")


def set_rules(packets: pd.DataFrame, rules: Iterable[str]) -> None:
    """Lets dissectors of these packets read ports as other protocols.

    Args:
        packets: the table; what is selected from it has the rules, too.
        rules: like ``udp.port==5300,dns``, in Wireshark's words.

    Raises:
        ConfigError: a rule is malformed, or names an unknown protocol.
    """
    found = {}
    for rule in rules:
        match = _RULE.fullmatch(rule.strip())
        if match is None or int(match[1]) > 65_535:
            raise ConfigError(f"decode as '{rule}': not a rule such as udp.port==5300,dns")
        name = match[2].lower()
        if name not in PROTOCOLS:
            allowed = ", ".join(PROTOCOLS)
            raise ConfigError(
                f"decode as '{rule}': no protocol '{name}'; "
                f"allowed: {allowed}{nearest(name, PROTOCOLS)}"
            )
        found[int(match[1])] = name
    packets.attrs[_ATTRIBUTE] = found


def ports(packets: pd.DataFrame, protocol: str, usual: Collection[int]) -> frozenset[int]:
    """The ports at which a protocol is read: the usual ones, as the table's rules change them."""
    rules: dict[int, str] = packets.attrs.get(_ATTRIBUTE, {})
    named = {port for port, name in rules.items() if name == protocol}
    return frozenset({*usual, *named} - (rules.keys() - named))
