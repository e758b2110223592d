"""Filters students' configurations line by line, so that the result is safe for a daemon.

Daemons run as root, and their configurations can do more than networking: write logs anywhere,
start scripts, read other files. So only statements on these lists go through; all other lines are
left out, and the student is informed. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Cleaned = tuple[str, list[str]]
"""The usable text, and what was left out: one line for the student each."""

_LONGEST_LINE = 500
_MOST_LINES = 2000
_MOST_TOLD = 8


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FRR_TOP = re.compile(
    r"(no )?(interface [\w.-]{1,15}|router (rip|ripng|ospf|ospf6)|(ip|ipv6) route \S+ .*"
    r"|(ip|ipv6) (prefix-list|access-list) .*|access-list .*|(ipv6 )?route-map \S+ .*"
    r"|key chain \S+|(ip|ipv6) forwarding|(ip )?router-id \S+|hostname [\w.-]+)"
)
_FRR_IGNORED = re.compile(
    r"!.*|#.*|end|exit.*|frr (version|defaults) .*|service integrated-vtysh-config|line vty"
    r"|(no )?log .*|debug .*|(no )?service .*|exec-timeout .*"
)
_FRR_BODY = _words("""
    accept-lifetime access-list address-family aggregation allow-ecmp area auto-cost bandwidth call
    capability compatible continue default-information default-metric description distance
    distribute-list interface ip ipv6 key key-string link-detect log-adjacency-changes match
    max-metric maximum-paths metric multicast neighbor network offset-list on-match ospf ospf6
    passive-interface redistribute refresh route router-id send-lifetime set shutdown stub-router
    summary-address timers version
""")

_DNSMASQ = _words("""
    address all-servers auth-server auth-soa auth-ttl auth-zone bogus-priv cache-size cname
    dhcp-authoritative dhcp-boot dhcp-host dhcp-ignore dhcp-ignore-names dhcp-lease-max dhcp-mac
    dhcp-match dhcp-no-override dhcp-option dhcp-option-force dhcp-range dhcp-rapid-commit
    dhcp-relay dhcp-reply-delay dhcp-sequential-ip domain domain-needed except-interface
    expand-hosts filterwin2k host-record interface listen-address local local-ttl log-dhcp
    log-queries max-cache-ttl max-ttl min-cache-ttl mx-host naptr-record neg-ttl no-dhcp-interface
    no-hosts no-negcache no-poll no-resolv port ptr-record rev-server server srv-host
    stop-dns-rebind strict-order txt-record
""")
_DNSMASQ_LINE = re.compile(r"([a-z0-9-]+)\s*(?:=\s*(.*))?")

_ZONE_DIRECTIVES = ("$ORIGIN", "$TTL")


def frr(text: str) -> Cleaned:
    """One router's ``frr.conf``: interfaces, routing protocols, routes and filters."""
    top_taken = False

    def keep(line: str) -> str | None:
        nonlocal top_taken
        words = " ".join(line.split())
        if not words or _FRR_IGNORED.fullmatch(words):
            return ""
        if line[0].isspace():
            first = words.split()[1:2] if words.startswith("no ") else words.split()[:1]
            return line if top_taken and first and first[0] in _FRR_BODY else None
        top_taken = _FRR_TOP.fullmatch(words) is not None
        return words if top_taken else None

    return _filtered(text, keep, "is not a routing statement")


def dnsmasq(text: str) -> Cleaned:
    """Options of dnsmasq that serve names and addresses, and name no file or program."""

    def keep(line: str) -> str | None:
        words = line.strip()
        if not words or words.startswith("#"):
            return ""
        match = _DNSMASQ_LINE.fullmatch(words)
        return words if match and match[1] in _DNSMASQ else None

    why = "is not an option needed for names and addresses"
    return _filtered(text, keep, why, numbered=True)


def zone(text: str) -> Cleaned:
    """A zone's master file (RFC 1035 §5) in one piece: includes nothing, generates nothing."""

    def keep(line: str) -> str | None:
        words = line.split()
        if words and words[0].startswith("$") and words[0].upper() not in _ZONE_DIRECTIVES:
            return None
        return line.rstrip()

    return _filtered(text, keep, "is a directive that is not allowed", numbered=True)


def _filtered(
    text: str, keep: Callable[[str], str | None], why: str, *, numbered: bool = False
) -> Cleaned:
    """Lines that `keep` returns text for; None is left out and reported, an empty one left out.

    With `numbered`, an empty line is in the place of each: the daemon's line numbers are the
    student's.
    """
    kept: list[str] = []
    told: list[str] = []
    lines = text.expandtabs(4).splitlines()
    for number, line in enumerate(lines[:_MOST_LINES], 1):
        printable = line.isprintable() and len(line) <= _LONGEST_LINE
        found = keep(line) if printable else None
        if found or numbered:
            kept.append(found or "")
        if found is None:
            from testbed.grading.answers import shown

            words = shown(line.strip()[:60])
            told.append(f"line {number}: '{words}' {why}; it was left out")
    if len(lines) > _MOST_LINES:
        told.append(f"only the first {_MOST_LINES} of {len(lines)} lines were read")
    if len(told) > _MOST_TOLD:
        told[_MOST_TOLD:] = [f"… and {len(told) - _MOST_TOLD} more lines like that"]
    return "\n".join(kept) + "\n" if any(kept) else "", told


CLEANERS: dict[str, Callable[[str], Cleaned]] = {"frr": frr, "dnsmasq": dnsmasq, "zone": zone}
"""Kind of file → its cleaner."""
