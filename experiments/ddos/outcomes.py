"""Attacks against defences: what honest clients keep, and what is reflected to the victim."""

from __future__ import annotations

from testbed import NO_DEFENCE, AttackExperiment, Defence, Layer, MissingDataError, Outcome, Tables

from .links import DOWN, UP
from .observations import VICTIM_SIDE
from .reflections import Reflections

ATTACKS = {
    "flood": "flood from many true senders",
    "forged": "flood from forged senders",
    "reflection": "DNS answers reflected to the victim",
}

DEFENCES = {
    NO_DEFENCE: Defence("no defence", None, "the_link_is_the_victim"),
    "capacity": Defence("more capacity", Layer.NETWORK, "capacity_helps"),
    "black-hole": Defence("black hole", Layer.NETWORK, "black_holes_save_the_others"),
    "limited": Defence("limit per source", Layer.NETWORK, "limits_bring_some_back"),
    "scrubbed": Defence("scrubbing", Layer.NETWORK, "scrubbing_restores_the_service"),
    "anycast": Defence("copies in all regions (anycast)", Layer.NETWORK, "copies_divide_the_flood"),
    "checked": Defence(
        "check of senders (BCP 38)", Layer.NETWORK, "checked_senders_stop_reflection"
    ),
    "answers-limited": Defence(
        "response rate limiting", Layer.SERVER, "limited_answers_amplify_less"
    ),
}

FLOODED = {
    **{("flood", name): name for name in ("capacity", "black-hole", "limited", "scrubbed")},
    ("flood", NO_DEFENCE): "undefended",
    ("flood", "anycast"): "anycast",
    ("forged", "limited"): "limited-forged",
}
"""Attack and defence → step with a flood."""

REFLECTED = {
    ("reflection", NO_DEFENCE): "amplified",
    ("reflection", "checked"): "senders-checked",
    ("reflection", "answers-limited"): "answers-limited",
}
"""The same with questions in the victim's name."""

LESS = 0.2
"""Reflection is hindered if less than this share of its bytes comes."""


class Outcomes(Reflections, AttackExperiment):
    """What came of each attack against each defence."""

    attacks, defences = ATTACKS, DEFENCES

    def outcome(self, tables: Tables, attack: str, defence: str) -> Outcome | None:
        """By the share of goodput that clients keep, and of bytes that are reflected."""
        pair = (attack, defence)
        if pair in FLOODED:
            kept = self._kept(tables, FLOODED[pair])
            return Outcome.of(kept < UP, harder=kept > DOWN)
        if pair in REFLECTED:
            came = self._reflected(tables, REFLECTED[pair])
            return Outcome.of(came > 0, harder=came < LESS)
        return None

    def _kept(self, tables: Tables, step: str) -> float:
        """What clients get in the flood, as a share of what they had with nothing wrong."""
        before = self._both_mbps(tables, "undefended", flooded=False)
        if not before:
            raise MissingDataError("no goodput before the flood")
        return self._both_mbps(tables, step, flooded=True) / before

    def _reflected(self, tables: Tables, step: str) -> float:
        """Bytes that came to the victim, as a share of those without a defence."""
        came = {
            name: float(self._datagrams(tables, name, VICTIM_SIDE)["ip_bytes"].sum())
            for name in ("amplified", step)
        }
        if not came["amplified"]:
            raise MissingDataError("nothing was reflected without a defence")
        return came[step] / came["amplified"]
