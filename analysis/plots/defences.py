"""Figures of attacks and defences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.plots.style import COLOURS

if TYPE_CHECKING:
    import pandas as pd


_COLOURS = {"works": COLOURS[1], "hindered": COLOURS[4], "stopped": COLOURS[2]}


def table(found: pd.DataFrame, order: Iterable[str]) -> Figure:
    """Attacks by defences, each cell with its word and colour.

    Args:
        found: with ``attack``, ``defence`` and ``outcome`` (``works``, ``hindered``, ``stopped``
            or ``no data``). A pair that was not tried has no row.
        order: of the defences; attacks are in the order in which they come.
    """
    attacks, tried = (dict.fromkeys(found[name]) for name in ("attack", "defence"))
    defences = [name for name in order if name in tried]
    size = (1.5 + 1.05 * len(defences), 1.2 + 0.36 * len(attacks))
    figure = Figure(figsize=size, layout="constrained")
    panel = figure.subplots()
    known = found.set_index(["attack", "defence"])["outcome"]
    for (y, attack), (x, defence) in product(enumerate(attacks), enumerate(defences)):
        if (attack, defence) not in known:
            panel.text(x, y, "–", ha="center", va="center", color="0.5")
            continue
        word = known[attack, defence]
        colour = _COLOURS.get(word, "0.5")
        panel.add_patch(Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, color=colour, alpha=0.25))
        panel.text(x, y, word, ha="center", va="center", fontsize=8)
    panel.set_xticks(range(len(defences)), defences, rotation=20, ha="left", fontsize=8)
    panel.set_yticks(range(len(attacks)), attacks, fontsize=8)
    panel.set(xlim=(-0.5, len(defences) - 0.5), ylim=(len(attacks) - 0.5, -0.5))
    panel.set(xlabel="defence", ylabel="attack")
    panel.xaxis.tick_top()
    panel.xaxis.set_label_position("top")
    panel.grid(visible=False)
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)
    return figure


def delays(late_ms: Sequence[float], unit_ms: float) -> Figure:
    """How late each answer is, with the letter that it tells.

    Args:
        late_ms: of each answer.
        unit_ms: the delay for a letter's number of 1.
    """
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    panel = figure.subplots()
    places = range(1, len(late_ms) + 1)
    panel.bar(places, late_ms, color=COLOURS[0], width=0.6)
    for place, late in zip(places, late_ms, strict=True):
        number = round(late / unit_ms)
        label = f"{chr(number)!r}" if 32 < number < 127 else "the end" if number == 0 else "?"
        panel.text(place, late, label, ha="center", va="bottom")
    panel.set(xlabel="question", ylabel="ms later than without a pause")
    panel.set_ylim(0, max([*late_ms, 1.0]) * 1.15)
    return figure
