"""Attacks against defences: what an experiment tries, and what became of it.

Each run of an `AttackExperiment` has a table ``defences``, from which its figure and the book's
page "Defence in depth" are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from testbed.author.experiment import Experiment

if TYPE_CHECKING:
    from testbed.core.tables import Tables

NO_DEFENCE = "none"
"""The key of the defence that is none: against it each attack shows that it works."""


class Outcome(StrEnum):
    """What became of an attack."""

    STOPPED = "stopped"
    HINDERED = "hindered"
    WORKS = "works"
    MISSING = "no data"

    @classmethod
    def of(cls, works: bool, *, harder: bool = False) -> Outcome:
        """An outcome from what was seen.

        Args:
            works: the attacker gets what the attack is for.
            harder: but less of it, or later.
        """
        if not works:
            return cls.STOPPED
        return cls.HINDERED if harder else cls.WORKS


class Layer(StrEnum):
    """Where a defence is, from the outside in."""

    NETWORK = "network"
    HOST = "host"
    CRYPTOGRAPHY = "cryptography"
    SERVER = "server"
    APPLICATION = "application"
    BROWSER = "browser"
    SEVERAL = "several at once"


@dataclass(frozen=True)
class Defence:
    """One defence of an experiment.

    Attributes:
        label: what it is called, in the field's words.
        layer: where it is; None for `NO_DEFENCE`.
        claim: name of the claim that says what it does.
    """

    label: str
    layer: Layer | None
    claim: str


class AttackExperiment(Experiment):
    """An experiment that tries attacks against defences."""

    attacks: ClassVar[Mapping[str, str]] = {}
    """Name → what it does, in a few words."""
    defences: ClassVar[Mapping[str, Defence]] = {}
    """Name → defence; one is `NO_DEFENCE`."""

    def outcome(self, tables: Tables, attack: str, defence: str) -> Outcome | None:
        """What became of an attack against a defence, from the tables alone.

        Args:
            tables: of the run.
            attack, defence: their names.

        Returns:
            None if the experiment does not try this pair.

        Raises:
            MissingDataError: the run lacks the data.
        """
        raise NotImplementedError
