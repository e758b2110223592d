"""Where the nodes of a drawing go."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbed.results.label_places import Point

HOP_PX = 150.0
"""Length of a link on paper."""

MARGIN_PX = 80.0

_ITERATIONS = 200

_NEARLY_STRAIGHT_HOPS = 0.3
"""What is narrower than this is drawn as a line."""

Row = Mapping[str, Any]


def positions(nodes: Sequence[Row], links: Sequence[Row]) -> dict[str, Point]:
    """Node → its place in pixels: as given, or so that distances follow hops."""
    names = [str(node["name"]) for node in nodes]
    given = {n["name"]: (float(n["x"]), float(n["y"])) for n in nodes if "x" in n and "y" in n}
    if len(given) == len(names):
        spots = np.array([given[name] for name in names])
    else:
        spots = _stress_layout(names, links)
    spots = _scaled(spots, names, links)
    return {name: (float(x), float(y)) for name, (x, y) in zip(names, spots, strict=True)}


def _hops(names: Sequence[str], links: Iterable[Row]) -> NDArray[np.float64]:
    """Hops between all pairs; unconnected parts are a bit further apart than the longest path."""
    number = {name: i for i, name in enumerate(names)}
    near = defaultdict(set)
    for link in links:
        one, two = number[link["node1"]], number[link["node2"]]
        near[one].add(two)
        near[two].add(one)
    hops = np.full((len(names), len(names)), np.inf)
    for start in range(len(names)):
        hops[start, start] = 0
        front = [start]
        while front:
            front = [n for at in front for n in sorted(near[at]) if _closer(hops, start, at, n)]
    widest = hops[np.isfinite(hops)].max()
    hops[~np.isfinite(hops)] = widest + 1
    return hops


def _closer(hops: NDArray[np.float64], start: int, at: int, to: int) -> bool:
    if hops[start, to] <= hops[start, at] + 1:
        return False
    hops[start, to] = hops[start, at] + 1
    return True


def _stress_layout(names: Sequence[str], links: Sequence[Row]) -> NDArray[np.float64]:
    count = len(names)
    if count == 1:
        return np.zeros((1, 2))
    hops = _hops(names, links)
    angles = 2 * np.pi * np.arange(count) / count
    circle = np.column_stack([np.cos(angles), np.sin(angles) * 0.8]) * hops.max() / 2
    found = [_majorise(start, hops) for start in (circle, _projected(hops) + 0.05 * circle)]
    spots = min(found, key=lambda spots: _stress(spots, hops))
    number = {name: i for i, name in enumerate(names)}
    return _level(spots, [(number[link["node1"]], number[link["node2"]]) for link in links])


def _projected(hops: NDArray[np.float64]) -> NDArray[np.float64]:
    """The plane in which distances are widest (classical scaling): unfolds grids."""
    squared = hops**2
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    widest: NDArray[np.float64] = vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0))
    return widest


def _majorise(spots: NDArray[np.float64], hops: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.where(hops > 0, 1.0 / np.maximum(hops, 1) ** 2, 0.0)
    for _ in range(_ITERATIONS):
        offset = spots[:, None, :] - spots[None, :, :]
        distance = np.maximum(np.linalg.norm(offset, axis=2), 1e-6)
        pull = weights[:, :, None] * (spots[None, :, :] + offset * (hops / distance)[:, :, None])
        spots = pull.sum(axis=1) / weights.sum(axis=1)[:, None]
    return spots


def _stress(spots: NDArray[np.float64], hops: NDArray[np.float64]) -> float:
    distance = np.linalg.norm(spots[:, None, :] - spots[None, :, :], axis=2)
    off = (distance - hops) / np.maximum(hops, 1)
    return float(round((off**2).sum(), 6))


def _level(spots: NDArray[np.float64], pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Turned so that the longest direction is horizontal and links go rightwards, mostly."""
    centred = spots - spots.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes * np.sign(axes[:, :1] + 1e-12)  # the same orientation on every machine
    levelled: NDArray[np.float64] = centred @ axes.T
    forwards = sum(levelled[two, 0] - levelled[one, 0] for one, two in pairs)
    levelled[:, 0] *= 1.0 if forwards >= 0 else -1.0
    if np.ptp(levelled[:, 1]) < _NEARLY_STRAIGHT_HOPS:
        levelled[:, 1] = 0.0
    return levelled


def _scaled(
    spots: NDArray[np.float64], names: Sequence[str], links: Sequence[Row]
) -> NDArray[np.float64]:
    """Scaled so that an average link is `HOP_PX` long and no two nodes overlap."""
    if len(names) < 2:
        return spots
    number = {name: i for i, name in enumerate(names)}
    lengths = [
        np.linalg.norm(spots[number[link["node1"]]] - spots[number[link["node2"]]])
        for link in links
    ]
    offset = spots[:, None, :] - spots[None, :, :]
    apart = np.linalg.norm(offset, axis=2)[~np.eye(len(names), dtype=bool)]
    many = max(Counter(frozenset((k["node1"], k["node2"])) for k in links).values(), default=1)
    hop_px = HOP_PX * max(1.0, many / 4)  # links side by side need room for their labels
    scale = hop_px / max(float(np.median(lengths)) if lengths else 1.0, 1e-9)
    closest = max(float(apart.min()), 1e-9)
    return spots * min(max(scale, 75.0 / closest), 4 * scale)


def bends(links: Sequence[Row], at: Mapping[str, Point]) -> list[float]:
    """How far each link is bent aside, in px.

    Parallel links are drawn side by side; a link blocked by other nodes goes around them.
    """
    together: dict[frozenset[str], list[int]] = defaultdict(list)
    for index, link in enumerate(links):
        together[frozenset((link["node1"], link["node2"]))].append(index)
    bends = [0.0] * len(links)
    for group in together.values():
        for rank, index in enumerate(group):
            turned = links[index]["node1"] != links[group[0]]["node1"]
            bends[index] = (rank - (len(group) - 1) / 2) * 36 * (-1 if turned else 1)
            if bends[index] == 0 and _is_blocked(links[index], at):
                bends[index] = -48 if sum(way(links[index], at)[2]) > 0 else 48  # up or left
    return bends


def framed(
    at: Mapping[str, Point], links: Sequence[Row], bends: Sequence[float]
) -> tuple[dict[str, Point], Point]:
    """Places within a picture that has room for nodes and bent links, and its size."""
    reached = [(x, y, MARGIN_PX) for x, y in at.values()]
    for link, bend in zip(links, bends, strict=True):
        start, end, across = way(link, at)
        middle = between(start, end, 0.5, (across[0] * bend, across[1] * bend))
        reached.append((*middle, MARGIN_PX / 2))
    left, top = min(x - px for x, _, px in reached), min(y - px for _, y, px in reached)
    right, bottom = max(x + px for x, _, px in reached), max(y + px for _, y, px in reached)
    moved = {name: (x - left, y - top) for name, (x, y) in at.items()}
    return moved, (right - left, bottom - top)


def _is_blocked(link: Row, at: Mapping[str, Point]) -> bool:
    """Whether the straight way between a link's ends runs through another node."""
    start, end, across = way(link, at)
    length = math.dist(start, end)
    for name, (x, y) in at.items():
        if name in (link["node1"], link["node2"]):
            continue
        aside = (x - start[0]) * across[0] + (y - start[1]) * across[1]
        along = (x - start[0]) * across[1] - (y - start[1]) * across[0]
        if abs(aside) < 10 and 0 < along < length:
            return True
    return False


def way(link: Row, at: Mapping[str, Point]) -> tuple[Point, Point, Point]:
    """Start, end, and the direction across (of length 1)."""
    start, end = at[link["node1"]], at[link["node2"]]
    length = max(math.dist(start, end), 1.0)
    return start, end, (-(end[1] - start[1]) / length, (end[0] - start[0]) / length)


def between(start: Point, end: Point, share: float, shift: Point) -> Point:
    """The point after `share` of the way, shifted."""
    return (
        start[0] + (end[0] - start[0]) * share + shift[0],
        start[1] + (end[1] - start[1]) * share + shift[1],
    )
