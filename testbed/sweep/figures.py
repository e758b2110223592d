"""Which figures a sweep has: chosen by what was varied, drawn by `analysis.plots.sweep`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from testbed.author.experiment import Experiment
from testbed.core.parameters import parameters_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_WORDS = {"mbps": "Mbit/s", "percent": "%", "pkts": "packets", "segments": "segments"}


def labels_of(cls: type[Experiment]) -> dict[str, str]:
    """Parameter → its name and unit, for axes: ``rtt (ms)``."""
    found = {}
    for p in parameters_of(cls.Parameters):
        what, _, last = p.name.rpartition("_")
        unit = p.spec.unit or _WORDS.get(last, "")
        stem = what if what and unit and last in (*_WORDS, unit) else p.name
        found[p.name] = stem.replace("_", " ") + f" ({unit})" * bool(unit)
    return found


def numbers(cls: type[Experiment], varied: Sequence[str]) -> list[str]:
    """Those of the varied parameters that are numbers."""
    kinds = {p.name: p for p in parameters_of(cls.Parameters)}
    return [n for n in varied if kinds[n].element_type in (int, float) and not kinds[n].is_tuple]


def figures(
    cls: type[Experiment], claims: pd.DataFrame, varied: Sequence[str]
) -> Iterator[tuple[str, str, Figure]]:
    """Name, caption and picture of each figure; `testbed.sweep.collect.claims_of` gives `claims`.

    Call it within `analysis.plots.style.applied`, and save each figure before the next is made.
    """
    from analysis.plots import sweep as plots

    if claims.empty:
        return
    labels = labels_of(cls)
    sentences = {claim.name: claim.sentence for claim in cls.claims()}
    points = len(claims[list(varied)].drop_duplicates()) if varied else 1
    if points <= plots.MOST_CELLS:
        caption = (
            "Share of runs in which each claim holds, at each point; blue: all of them;"
            " grey: no run is conclusive."
        )
        yield "1_where_claims_hold", caption, plots.where_claims_hold(claims, varied, labels)
    for name, found in claims.groupby("claim", sort=False):
        said = sentences.get(str(name), str(name))
        for kind, words, drawn in _of_claim(cls, found, varied, labels):
            yield f"2_{name}_{kind}", f"{said} {words}", drawn


def _of_claim(
    cls: type[Experiment], found: pd.DataFrame, varied: Sequence[str], labels: dict[str, str]
) -> Iterator[tuple[str, str, Figure]]:
    from analysis.plots import sweep as plots

    title = str(found["claim"].iloc[0]).replace("_", " ")
    axes = numbers(cls, varied)
    measured = found.dropna(subset="value")
    units = [unit for unit in measured["unit"].unique() if unit]
    labels = labels | {"value": " or ".join(units) or "value"}
    x, y, rest = _axes_of(axes, varied)
    if y and found[x].nunique() > plots.MOST_LINES < found[y].nunique():
        words = f"Each point is a run, over {labels[x]} and {labels[y]}."
        yield "samples", words, plots.samples(found, x, y, labels, title)
        return
    if not x or measured.empty:
        return
    others = [n for n in varied if n != x]
    several = measured.groupby(list(varied))["seed"].nunique().max() > 1
    words = "Mean over the seeds, with its 95 % confidence band" if several else "One run per point"
    words += "; marks are runs in which it fails."
    yield "lines", words, plots.lines(measured, x, others, labels, title)
    if y and max(measured[x].nunique(), measured[y].nunique()) <= plots.MOST_CELLS:
        words = "Mean over the seeds" if several else "One run per point"
        words += "; an orange frame: it fails in some run; grey: no number."
        yield "map", words, plots.maps(measured, x, y, rest, labels, title)


def _axes_of(axes: Sequence[str], varied: Sequence[Any]) -> tuple[str, str, list[str]]:
    """The parameters along the axes, and those that are left; empty if there is none."""
    x = axes[0] if axes else next(iter(varied), "")
    y = next((name for name in axes if name != x), "")
    return x, y, [name for name in varied if name not in (x, y)]
