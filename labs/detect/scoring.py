"""Reports of attacks: read from a program's lines, and compared with what happened."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from labs.detect.traffic import KINDS

MOST_LINES, LONGEST_LINE = 500, 2000
SHARE = 0.5
"""How much of the time that a report or an attack covers must be common to both."""

FIELDS = ("kind", "attacker", "victim", "begin_s", "end_s")
NOBODY = ("syn_flood", "dns_amplification")
"""Attacks with forged senders."""


@dataclass(frozen=True)
class Report:
    """One attack.

    Attributes:
        kind: one of `KINDS`.
        attacker: its IPv4 address; of ARP poisoning its hardware address; empty if it is unknown.
        victim: the victim's IPv4 address.
        begin_s, end_s: of its packets, in seconds since the capture's first packet.
    """

    kind: str
    attacker: str
    victim: str
    begin_s: float
    end_s: float

    def same(self, other: Report) -> bool:
        """True if both are about the same attack."""
        who = (self.kind, self.attacker, self.victim)
        if who != (other.kind, other.attacker, other.victim):
            return False
        common = min(self.end_s, other.end_s) - max(self.begin_s, other.begin_s)
        whole = max(self.end_s, other.end_s) - min(self.begin_s, other.begin_s)
        return whole > 0 and common >= SHARE * whole


def read(text: str) -> tuple[list[Report], list[str]]:
    """The reports of a program's output, and what is wrong with its other lines.

    Args:
        text: one JSON object per line; empty lines do not count.
    """
    reports, problems = [], []
    lines = [line for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines[:MOST_LINES], 1):
        try:
            reports.append(_report(line[:LONGEST_LINE]))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if len(lines) > MOST_LINES:
        problems.append(f"more than {MOST_LINES} lines")
    return reports, problems


def _report(line: str) -> Report:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object")
    missing = [name for name in FIELDS if name not in found]
    if missing:
        raise ValueError(f"has no {missing[0]}")
    kind = found["kind"]
    if kind not in KINDS:
        raise ValueError(f"kind is not one of {', '.join(KINDS)}")
    times = [found[name] for name in ("begin_s", "end_s")]
    if not all(isinstance(t, int | float) and abs(t) <= sys.float_info.max for t in times):
        raise ValueError("begin_s and end_s are not both finite numbers")
    attacker = _attacker(kind, found["attacker"])
    return Report(kind, attacker, _ipv4("victim", found["victim"]), *map(float, times))


def _attacker(kind: str, value: object) -> str:
    if value is None:
        return ""
    if kind != "arp_poisoning":
        return _ipv4("attacker", value)
    text = str(value).lower().replace("-", ":")
    if len(text) != 17 or not all(c in "0123456789abcdef:" for c in text):
        raise ValueError("attacker is neither a hardware address nor null")
    return text


def _ipv4(name: str, value: object) -> str:
    try:
        return str(IPv4Address(str(value)))
    except ValueError:
        raise ValueError(f"{name} is not an IPv4 address") from None


@dataclass(frozen=True)
class Score:
    """How well reports fit.

    Attributes:
        attacks: number of attacks that happened.
        found: how many of them were named.
        alarms: number of reports of what did not happen, or was named already.
    """

    attacks: int = 0
    found: int = 0
    alarms: int = 0

    def __add__(self, other: Score) -> Score:
        """Of several captures together."""
        return Score(
            self.attacks + other.attacks, self.found + other.found, self.alarms + other.alarms
        )

    @property
    def recall(self) -> float:
        """Share of the attacks that were named."""
        return self.found / self.attacks if self.attacks else 1.0

    @property
    def precision(self) -> float:
        """Share of the reports that are right; 0 without any."""
        named = self.found + self.alarms
        return self.found / named if named else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        whole = self.precision + self.recall
        return 2 * self.precision * self.recall / whole if whole else 0.0


def score(happened: Sequence[Report], reports: Iterable[Report]) -> Score:
    """Compares a capture's reports with its attacks; each attack is named once."""
    left, alarms = list(happened), 0
    for report in reports:
        match = next((attack for attack in left if attack.same(report)), None)
        if match is None:
            alarms += 1
        else:
            left.remove(match)
    return Score(len(happened), len(happened) - len(left), alarms)
