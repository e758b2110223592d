"""Figure of headers as the RFCs draw them: rows of 32 bits, with real packets' values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.dissect.ipv4 import Field

_BITS = 32
_SAME, _CHANGED = "#F2F2F2", "#F7C89A"


def rows_of_bits(headers: Mapping[str, Sequence[Field]]) -> Figure:
    """Headers below each other; fields that differ from the first are coloured.

    Args:
        headers: place → fields of the header seen there.
    """
    first = next(iter(headers.values()), [])
    rows = max((sum(f.bits for f in fields) // _BITS for fields in headers.values()), default=1)
    figure = Figure(figsize=(8, (0.7 + 0.45 * rows) * len(headers)), layout="constrained")
    panels = figure.subplots(len(headers), 1, squeeze=False)[:, 0]
    for panel, (place, fields) in zip(panels, headers.items(), strict=True):
        same = [a.value == b.value for a, b in zip(fields, first, strict=False)]
        _draw(panel, fields, same, rows)
        panel.set_title(place, fontsize=10)
    return figure


def _draw(panel: Axes, fields: Sequence[Field], same: Sequence[bool], rows: int) -> None:
    at = 0
    for field, unchanged in zip(fields, same, strict=False):
        column, row = at % _BITS, at // _BITS
        colour = _SAME if unchanged else _CHANGED
        panel.add_patch(
            Rectangle(
                (column, row), field.bits, 1, facecolor=colour, edgecolor="0.3", linewidth=0.8
            )
        )
        narrow = field.bits < 4
        text = field.name if narrow else f"{field.name}\n{field.value}"
        middle = column + field.bits / 2
        if narrow:
            panel.text(
                middle,
                row + 0.5,
                f"{field.name}\n{field.value}",
                ha="center",
                va="center",
                fontsize=5,
            )
        else:
            size = 6 if field.bits < 8 else 8
            name = text.replace("header length", "length") if field.bits < 8 else text
            panel.text(middle, row + 0.5, name, ha="center", va="center", fontsize=size)
        at += field.bits
    panel.set(xlim=(0, _BITS), ylim=(rows, 0))
    panel.set_xticks([0, 8, 16, 24, 32])
    panel.tick_params(labelsize=7)
    panel.set_yticks([])
    panel.set_xlabel("bit", fontsize=8)
    panel.grid(False)
