"""How wide a text is drawn.

The advance widths of DejaVu Sans: SVG text is in whatever font the reader's machine takes for
``sans-serif``, and this is the widest of the usual ones.
"""

from __future__ import annotations

import unicodedata

FIRST = 32
"""The code of the first character in the tables: the space."""

# fmt: off
REGULAR = (
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632,
    575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685,
    611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579,
    278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
)
BOLD = (
    348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365, 696, 696, 696,
    696, 696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 580, 1000, 774, 762, 734, 830, 683,
    683, 821, 837, 372, 372, 775, 637, 995, 837, 850, 733, 850, 770, 720, 682, 812, 774, 1103, 771,
    724, 725, 457, 365, 457, 838, 500, 500, 675, 716, 593, 716, 678, 435, 716, 712, 343, 343, 665,
    343, 1042, 712, 687, 716, 716, 493, 595, 478, 712, 652, 924, 645, 652, 582, 712, 365, 712, 838,
)
# fmt: on
"""Thousandths of the font's size, of each printable character of ASCII."""

_WIDE, _OTHER, _ELLIPSIS = 1050, 840, 1000
"""Of a Chinese character, and of what else is not ASCII, such as arrows and accented letters."""


def text_px(text: str, size_px: float = 12, *, bold: bool = False) -> float:
    """The width of a text in a font of a size; of characters beyond ASCII rather too much."""
    table = BOLD if bold else REGULAR
    return sum(_thousandths(character, table) for character in text) * size_px / 1000


def shortened(text: str, room_px: float) -> str:
    """As much of a text as fits, with an ellipsis if it is not all."""
    if text_px(text) <= room_px:
        return text
    left = room_px - text_px("…")
    for place, character in enumerate(text):
        left -= text_px(character)
        if left < 0:
            return f"{text[:place]}…"
    return text


def _thousandths(character: str, table: tuple[int, ...]) -> int:
    place = ord(character) - FIRST
    if 0 <= place < len(table):
        return table[place]
    if character == "…":
        return _ELLIPSIS
    return _WIDE if unicodedata.east_asian_width(character) in "WF" else _OTHER
