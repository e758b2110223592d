"""Where labels go in a drawing: the first free one of their possible places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Point = tuple[float, float]

_WIDE = 0.56
"""Width of an average character, in font sizes."""

_GAP_PX = 4.0

_LINE = 1.15
"""Height of a line, in font sizes."""


class Labels:
    """Keeps the occupied areas, as boxes: centre, width, height, in px."""

    def __init__(self) -> None:
        self._taken: list[tuple[float, float, float, float]] = []

    def take(self, centre: Point, width: float, height: float) -> None:
        """Keep a box free of labels."""
        self._taken.append((*centre, width, height))

    def place(self, lines: Iterable[tuple[str, float]], spots: Iterable[Point]) -> Point:
        """Take the first free spot, or else the one that covers least.

        Args:
            lines: text and font size in px of each line.
            spots: possible centres, the best first.
        """
        sizes = [(len(text) * size * _WIDE, size * _LINE) for text, size in lines]
        width, height = max(w for w, _ in sizes) + _GAP_PX, sum(h for _, h in sizes)
        best = min(_until_free((self._covered(spot, width, height), spot) for spot in spots))[1]
        self.take(best, width, height)
        return best

    def _covered(self, at: Point, width: float, height: float) -> float:
        """Overlap of a box there with others, in px²."""
        x, y = at
        area = 0.0
        for other_x, other_y, other_width, other_height in self._taken:
            across = (width + other_width) / 2 - abs(x - other_x)
            down = (height + other_height) / 2 - abs(y - other_y)
            if across > 0 and down > 0:
                area += min(across, width) * min(down, height)
        return area


def _until_free(found: Iterable[tuple[float, Point]]) -> Iterator[tuple[float, Point]]:
    """What is found, with its rank in doubt, up to the first that covers nothing."""
    for covered, spot in found:
        yield covered, spot
        if covered == 0:
            return
