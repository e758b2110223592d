"""The table ``defences`` of a run: what became of each attack against each defence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.author.defences import AttackExperiment, Outcome
from testbed.author.experiment import Experiment, own_code
from testbed.core.claims import MissingDataError

if TYPE_CHECKING:
    import pandas as pd

    from testbed.core.tables import Tables

TABLE = "defences"


def tables(experiment: Experiment, measured: Tables) -> dict[str, pd.DataFrame]:
    """The table `TABLE`, if the experiment tries attacks."""
    if not isinstance(experiment, AttackExperiment):
        return {}
    return {TABLE: table(experiment, measured)}


def table(experiment: AttackExperiment, tables: Tables) -> pd.DataFrame:
    """One row for each pair that the experiment tries.

    Returns:
        `scenario` (the first one of the defence's claim), `attack`, `defence`, `outcome` (one of
        `Outcome`) and `claim`, all texts.
    """
    import pandas as pd

    cls = type(experiment)
    scenarios = {claim.name: claim.scenarios for claim in cls.claims()}
    first = next(iter(tables.scenarios), "")
    rows = [
        {
            "scenario": next(iter(scenarios.get(defence.claim, ())), first),
            "attack": attack,
            "defence": name,
            "outcome": str(found),
            "claim": defence.claim,
        }
        for attack in cls.attacks
        for name, defence in cls.defences.items()
        if (found := _outcome(experiment, tables, attack, name)) is not None
    ]
    columns = ["scenario", "attack", "defence", "outcome", "claim"]
    return pd.DataFrame(rows, columns=columns, dtype="str")


def _outcome(
    experiment: AttackExperiment, tables: Tables, attack: str, defence: str
) -> Outcome | None:
    try:
        with own_code(type(experiment), f"outcome of '{attack}' against '{defence}'"):
            return experiment.outcome(tables, attack, defence)
    except MissingDataError:
        return Outcome.MISSING
