"""What students do not see of the detection lab: more captures, and what is judged there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labs.detect.hidden_material import material
from labs.detect.lab import EDGE, MOST_NUMBER, Lab, Plan, judged
from labs.detect.scoring import Score
from labs.detect.traffic import KINDS, PUBLIC
from testbed import SeededRandom, Tables, Verdict, claim, holds, param

NAMES = ("hidden-1", "hidden-2", "hidden-3", "hidden-4")
"""Captures: three with attacks, of two kinds fewer each; and one without."""


class Hidden(Lab):
    """The lab as the grader has it."""

    @dataclass(frozen=True)
    class Parameters(Lab.Parameters):
        """And what students do not know."""

        hidden: int = param(1, "what the hidden captures have", low=0, high=MOST_NUMBER)

    params: Parameters
    secret_files = (
        *("rounds/hidden-*", "logs/hidden-*", "out/hidden-*"),
        f"captures/{EDGE}.pcap",
    )
    published = PUBLIC
    """For mutants that know what is in the bundle, and nothing else."""

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """One more number."""
        return {**super().variant(random), "hidden": random.integer(2, MOST_NUMBER)}

    def rounds(self) -> list[Plan]:
        """The public one, then those of the grader: each kind is in two of three."""
        number = self.params.hidden
        random = SeededRandom(b"the hidden captures", "rounds", str(number))
        out = random.shuffled(KINDS)
        mixed = [[k for k in KINDS if k not in out[place : place + 2]] for place in (0, 2, 4)]
        hidden = [
            Plan(name, number + place, kinds, material(random))
            for place, (name, kinds) in enumerate(
                zip(NAMES, random.shuffled([*mixed, []]), strict=True)
            )
        ]
        return [*super().rounds(), *hidden]

    def learnt(self) -> str:
        """Lines that print the answers of the capture in the bundle, for a mutant."""
        answers = Path(__file__).with_name("given") / "practice.jsonl"
        return f"    print({answers.read_text('utf-8').strip()!r})\n"

    def _hidden(self, tables: Tables, kind: str) -> Verdict:
        """Reports of one kind in all hidden captures."""
        return judged(sum((self.score(tables, name, [kind]) for name in NAMES), Score()))

    # ---- hidden checks

    @claim("SYN floods are named: many handshakes that nobody completes.", source="RFC 4987 §2")
    def syn_flood(self, tables: Tables) -> Verdict:
        """In two captures."""
        return self._hidden(tables, "syn_flood")

    @claim("Port scans are named: one host, many ports.", source="RFC 4949 (port scan)")
    def port_scan(self, tables: Tables) -> Verdict:
        """In two captures."""
        return self._hidden(tables, "port_scan")

    @claim("Guessed passwords are named: many logins that fail.", source="CWE-307")
    def password_guessing(self, tables: Tables) -> Verdict:
        """In two captures."""
        return self._hidden(tables, "password_guessing")

    @claim("SQL injection is named: text that is more than a text.", source="CWE-89")
    def sql_injection(self, tables: Tables) -> Verdict:
        """In two captures."""
        return self._hidden(tables, "sql_injection")

    @claim(
        "DNS amplification is named: many questions with long answers, in the victim's name.",
        source="RFC 4732 §3.1; RFC 5358",
    )
    def dns_amplification(self, tables: Tables) -> Verdict:
        """In two captures."""
        return self._hidden(tables, "dns_amplification")

    @claim(
        "ARP poisoning is named: an address that moves to another card.",
        source="RFC 826; RFC 5227 §1",
    )
    def arp_poisoning(self, tables: Tables) -> Verdict:
        """In two captures."""
        return self._hidden(tables, "arp_poisoning")

    @claim("Where nothing happens, nothing is reported.", source="the handout")
    def quiet(self, tables: Tables) -> Verdict:
        """Of a program that finds attacks elsewhere."""
        nothing = next(plan.name for plan in self.rounds() if not plan.kinds)
        quiet = self.score(tables, nothing)
        found = sum(self.score(tables, name).found for name in NAMES)
        return holds(
            not quiet.alarms and found > 0,
            observed=f"{quiet.alarms} false alarms; {found} attacks named in other captures",
            expected="0 false alarms; 1 attack or more named in other captures",
        )
