"""Figures of certificates: chains as boxes, and a table of refusals."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch

from analysis.plots.style import COLOURS

_SENT, _HELD, _MISSING = "#F2F2F2", "#CDEBDF", "#FBE3D6"
_GOOD, _BAD = COLOURS[2], COLOURS[1]
_COLUMNS, _SIGNED = 4, "signed"
_BOX_HEIGHT, _STEP, _TOP = 0.85, 1.25, 5.2


@dataclass(frozen=True)
class Chain:
    """One column of the figure.

    Attributes:
        sent: rows of `analysis.dissect.tls_certificates.read`, the server's own first.
        trusted: subjects of the certificates that the client trusts.
        outcome: what the client says.
        accepted: it goes on.
    """

    sent: pd.DataFrame
    trusted: Collection[str]
    outcome: str
    accepted: bool


def chains(found: Mapping[str, Chain]) -> Figure:
    """Certificates as boxes, the server's at the bottom; arrows lead from signer to signed."""
    rows = max(1, -(-len(found) // _COLUMNS))
    figure = Figure(figsize=(11, 4.6 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for panel, (name, chain) in zip(panels, found.items(), strict=False):
        _column(panel, name, chain)
    handles = [
        Patch(facecolor=_SENT, edgecolor="0.3", label="sent by the server"),
        Patch(facecolor=_HELD, edgecolor=_GOOD, label="trusted by the client"),
        Patch(facecolor=_MISSING, edgecolor=_BAD, linestyle="--", label="missing, or not trusted"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _column(panel: Axes, name: str, chain: Chain) -> None:
    """One chain, and what the client makes of it."""
    panel.set(xlim=(0, 1), ylim=(-0.1, _TOP))
    colour = _GOOD if chain.accepted else _BAD
    panel.set_title(name, fontsize=10, fontweight="bold")
    verdict = "\n".join(textwrap.wrap(chain.outcome, 34))
    panel.text(0.5, _TOP, verdict, ha="center", va="top", fontsize=8, color=colour)
    rows = chain.sent.to_dict("records")
    for place, row in enumerate(rows):
        held = row["subject"] in chain.trusted
        root = place == len(rows) - 1 and bool(row["self_signed"])
        face, edge = (_HELD, _GOOD) if held else (_MISSING, _BAD) if root else (_SENT, "0.3")
        _box(panel, place, _words(row), face, edge)
        if place:
            _arrow(panel, place, _signing(row, fits=bool(rows[place - 1]["signed_by_next"])))
    if not rows or rows[-1]["self_signed"]:
        return
    above, place = rows[-1]["issuer"], len(rows)
    held = above in chain.trusted
    text = f"{above}\n{'not sent: the client has it' if held else 'not sent, and not known'}"
    _box(panel, place, text, _HELD if held else _MISSING, _GOOD if held else _BAD, dashed=not held)
    _arrow(panel, place, _SIGNED if held else "not checked")


def _signing(signer: Mapping[Hashable, object], *, fits: bool) -> str:
    """What to say of a signature."""
    if not fits:
        return "does not fit"
    return _SIGNED if signer["is_ca"] else "signed by no authority"


def _words(row: Mapping[Hashable, object]) -> str:
    """The lines of a box."""
    kind = "authority" if row["is_ca"] else "server"
    lines = [str(row["subject"]), f"{kind}, {row['key']}, {row['hash']}"]
    names = str(row["names"] or "")
    if names and names != row["subject"]:
        lines += textwrap.wrap(f"for {names.replace(',', ', ')}", 32)[:2]
    lines.append(f"{str(row['begins'])[:10]} to {str(row['ends'])[:10]}")
    return "\n".join(lines)


def _box(panel: Axes, place: int, text: str, face: str, edge: str, *, dashed: bool = False) -> None:
    style = "--" if dashed else "-"
    panel.add_patch(
        FancyBboxPatch(
            (0.06, place * _STEP),
            0.88,
            _BOX_HEIGHT,
            boxstyle="round,pad=0.02",
            facecolor=face,
            edgecolor=edge,
            linestyle=style,
        )
    )
    middle = place * _STEP + _BOX_HEIGHT / 2
    panel.text(0.5, middle, text, ha="center", va="center", fontsize=7.5)


def _arrow(panel: Axes, place: int, text: str) -> None:
    """From a box to the one below it: it signed that."""
    colour = "0.25" if text == _SIGNED else _BAD
    panel.annotate(
        "",
        (0.5, (place - 1) * _STEP + _BOX_HEIGHT + 0.05),
        (0.5, place * _STEP - 0.04),
        arrowprops={"arrowstyle": "->", "color": colour},
    )
    middle = place * _STEP - (_STEP - _BOX_HEIGHT) / 2
    panel.text(0.54, middle, text, va="center", fontsize=7.5, color=colour)


def refusals(table: pd.DataFrame) -> Figure:
    """A table as a figure: one line per case; those that are accepted in green.

    Args:
        table: ``case``, ``what is wrong``, ``the client says``, ``alert``.
    """
    widths = {"case": 22, "what is wrong": 40, "the client says": 42, "alert": 27}
    places = [sum(list(widths.values())[:at]) for at in range(len(widths))]
    lines = [
        [textwrap.wrap(str(row[name]), width - 2) or [""] for name, width in widths.items()]
        for row in table.to_dict("records")
    ]
    heights = [max(map(len, cells)) + 0.5 for cells in lines]
    total = sum(heights) + 1.6
    figure = Figure(figsize=(10.5, 0.155 * total + 0.2), layout="constrained")
    panel = figure.subplots()
    panel.axis("off")
    panel.set(xlim=(0, sum(widths.values())), ylim=(total, 0))
    for place, name in zip(places, widths, strict=True):
        panel.text(place, 0.2, name, va="top", fontsize=9, fontweight="bold")
    at = 1.6
    for cells, height, says in zip(lines, heights, table["the client says"], strict=True):
        panel.axhline(at - 0.25, color="0.8", linewidth=0.6)
        for place, cell in zip(places, cells, strict=True):
            colour = _GOOD if says == "accepted" and place else "0.1"
            panel.text(place, at, "\n".join(cell), va="top", fontsize=8, color=colour)
        at += height
    return figure
