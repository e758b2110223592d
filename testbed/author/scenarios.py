"""How the scenarios of an experiment differ, and which scenarios an option affects."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from testbed.author.experiment import Experiment
from testbed.core.parameters import Parameter, parameters_of


def own_values(cls: type[Experiment], params: Any, scenario: Any) -> dict[str, str]:
    """A scenario's parameters that differ from the given ones, as name → value in words."""
    return {
        p.name: p.shown(getattr(scenario, p.name))
        for p in parameters_of(cls.Parameters)
        if getattr(scenario, p.name) != getattr(params, p.name)
    }


def table(cls: type[Experiment], params: Any = None) -> dict[str, str]:
    """Scenario → its own values in one line; empty if all are as given.

    Args:
        cls: the experiment.
        params: as given; default: the defaults.
    """
    params = cls.Parameters() if params is None else params
    return {
        name: ", ".join(f"{k} {v}" for k, v in own_values(cls, params, scenario).items())
        for name, scenario in cls(params).scenarios().items()
    }


def notes(
    cls: type[Experiment], params: Any, given: Collection[str], chosen: Collection[str]
) -> list[str]:
    """One line for each given option that some of the chosen scenarios ignore.

    Args:
        cls: the experiment.
        params: its parameters.
        given: names of those that the user gave.
        chosen: names of scenarios.
    """
    names = {name.replace("-", "_") for name in given}
    wanted = [p for p in parameters_of(cls.Parameters) if p.name in names]
    return [text for p in wanted for text in _note(cls, params, p, chosen)]


def _note(
    cls: type[Experiment], params: Any, p: Parameter, chosen: Collection[str]
) -> Iterator[str]:
    here = cls(params).scenarios()
    default = cls(replace(params, **{p.name: p.default})).scenarios()
    wanted = getattr(params, p.name)
    sweep = p.is_tuple and not default.keys() >= here.keys()  # it makes the scenarios
    own: dict[str, list[str]] = {}
    for name in chosen:
        value = getattr(here[name], p.name)
        follows = name not in default or value != getattr(default[name], p.name)
        follows |= sweep and set(value) <= set(wanted)
        if value != wanted and not follows:
            own.setdefault(p.shown(value), []).append(name)
    if own:
        pinned = {name for names in own.values() for name in names}
        obey = [name for name in chosen if name not in pinned]
        kept = "; ".join(f"{', '.join(names)} ({value})" for value, names in own.items())
        yield (
            f"{p.option} {p.shown(wanted)}: used by {', '.join(obey) or 'no scenario'}; "
            f"scenarios with their own value: {kept}"
        )
