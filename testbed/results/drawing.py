"""A topology as an SVG drawing: names, addresses, link shapes.

Works on plain data (`topology.json` and the rows of `network.json`), so drawing needs no Mininet.
Nodes may carry ``x`` and ``y`` (any scale, y downwards); otherwise they are laid out so that
distances on paper follow distances in hops (stress majorisation, Gansner et al. 2004).
"""

from __future__ import annotations

import ipaddress
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from testbed.results.label_places import Labels, Point

HOP_PX = 150.0
"""Length of a link on paper."""

_MARGIN_PX = 80.0
_ITERATIONS = 200
_NEARLY_STRAIGHT_HOPS = 0.3
"""What is less wide than this is a line, and drawn as one."""
_ALONG = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74)
_ASIDE_PX = (0, 9, -9, 18, -18, 27, -27, 36, -36)
_FROM_END_PX = (30, 38, 46, 56, 66, 78, 90)
"""Where labels may stand: on the way, beside the link, from its end; the best place first."""

_FONT_PX = {"shape": 10.0, "small": 9.5}
_NODE_PX = {"router": 20.0, "switch": 17.0, "host": 17.0}
_STYLE = """
.topology { font: 12px system-ui, sans-serif; }
.topology text { text-anchor: middle; dominant-baseline: central; fill: #1b1f24; }
.topology .small, .topology .shape { paint-order: stroke; stroke: #fff; stroke-width: 4.5px;
  stroke-linejoin: round; }
.topology .link { stroke: #8b949e; stroke-width: 1.5; }
.topology .shaped { stroke: #bf3989; stroke-width: 2.5; }
.topology .node { stroke: #1b1f24; stroke-width: 1.2; }
.topology .host .node { fill: #ddf4ff; } .topology .router .node { fill: #fff8c5; }
.topology .switch .node { fill: #dafbe1; }
.topology .small { font-size: 9.5px; fill: #57606a; }
.topology .shape { font-size: 10px; fill: #99286e; }
"""

Row = Mapping[str, Any]


def draw(topology: Mapping[str, Any], addresses: Sequence[Row] = ()) -> str:
    """The drawing as one `<svg>` element.

    Args:
        topology: ``nodes`` (``name``, ``kind``) and ``links`` (``node1``, ``node2``,
            ``interface1``, ``interface2``, ``shape1``, ``shape2``).
        addresses: rows with ``node``, ``interface``, ``ipv4``, ``ipv6``, ``mac``.
    """
    nodes, links = topology["nodes"], topology["links"]
    if not nodes:
        return '<svg xmlns="http://www.w3.org/2000/svg" width="0" height="0"/>'
    at = _positions(nodes, links)
    bends = _bends(links, at)
    at, (width, height) = _framed(at, links, bends)
    rows = {row["interface"]: row for row in addresses if row["interface"] != "lo"}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="topology" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">',
        f"<title>{len(nodes)} nodes, {len(links)} links</title><style>{_STYLE}</style>",
    ]
    kinds = {node["name"]: node.get("kind", "host") for node in nodes}
    figures, labels = [], Labels()
    for node in nodes:
        own = [row for row in addresses if row["node"] == node["name"]]
        figures += _draw_node(node, at[node["name"]], own, labels)
    ends = [
        text
        for link, bend in zip(links, bends, strict=True)
        for text in _end_labels(link, at, rows, bend, kinds, labels)
    ]
    for link, bend in zip(links, bends, strict=True):
        parts += _draw_link(link, at, rows, bend, kinds, labels)
    return "\n".join([*parts, *ends, *figures, "</svg>"])


# ---- where nodes go


def _positions(nodes: Sequence[Row], links: Sequence[Row]) -> dict[str, Point]:
    names = [str(node["name"]) for node in nodes]
    given = {n["name"]: (float(n["x"]), float(n["y"])) for n in nodes if "x" in n and "y" in n}
    if len(given) == len(names):
        spots = np.array([given[name] for name in names])
    else:
        spots = _stress_layout(names, links)
    spots = _scaled(spots, names, links)
    return {name: (float(x), float(y)) for name, (x, y) in zip(names, spots, strict=True)}


def _hops(names: Sequence[str], links: Iterable[Row]) -> NDArray[np.float64]:
    """Hops between all pairs; parts without a path are a little further apart than the widest."""
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
    axes = axes * np.sign(axes[:, :1] + 1e-12)  # the same way round on every machine
    levelled: NDArray[np.float64] = centred @ axes.T
    forwards = sum(levelled[two, 0] - levelled[one, 0] for one, two in pairs)
    levelled[:, 0] *= 1.0 if forwards >= 0 else -1.0
    if np.ptp(levelled[:, 1]) < _NEARLY_STRAIGHT_HOPS:
        levelled[:, 1] = 0.0
    return levelled


def _scaled(
    spots: NDArray[np.float64], names: Sequence[str], links: Sequence[Row]
) -> NDArray[np.float64]:
    """So large that a middling link is `HOP_PX` long and no two nodes cover each other."""
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


def _bends(links: Sequence[Row], at: Mapping[str, Point]) -> list[float]:
    """How far each link is bent aside, in px.

    Parallel ones are drawn side by side, and one that other nodes stand in the way of, round them.
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
                bends[index] = -48 if sum(_way(links[index], at)[2]) > 0 else 48  # up or left
    return bends


def _framed(
    at: Mapping[str, Point], links: Sequence[Row], bends: Sequence[float]
) -> tuple[dict[str, Point], Point]:
    """Places within a picture that has room for nodes and bent links, and its size."""
    reached = [(x, y, _MARGIN_PX) for x, y in at.values()]
    for link, bend in zip(links, bends, strict=True):
        start, end, across = _way(link, at)
        middle = _between(start, end, 0.5, (across[0] * bend, across[1] * bend))
        reached.append((*middle, _MARGIN_PX / 2))
    left, top = min(x - px for x, _, px in reached), min(y - px for _, y, px in reached)
    right, bottom = max(x + px for x, _, px in reached), max(y + px for _, y, px in reached)
    moved = {name: (x - left, y - top) for name, (x, y) in at.items()}
    return moved, (right - left, bottom - top)


def _is_blocked(link: Row, at: Mapping[str, Point]) -> bool:
    """Whether the straight way between a link's ends runs through another node."""
    start, end, across = _way(link, at)
    length = math.dist(start, end)
    for name, (x, y) in at.items():
        if name in (link["node1"], link["node2"]):
            continue
        aside = (x - start[0]) * across[0] + (y - start[1]) * across[1]
        along = (x - start[0]) * across[1] - (y - start[1]) * across[0]
        if abs(aside) < 10 and 0 < along < length:
            return True
    return False


# ---- what is drawn


def _draw_link(
    link: Row,
    at: Mapping[str, Point],
    rows: Mapping[str, Row],
    bend: float,
    kinds: Mapping[str, str],
    labels: Labels,
) -> list[str]:
    start, end, across = _way(link, at)
    turn = _between(start, end, 0.5, (across[0] * 2 * bend, across[1] * 2 * bend))
    shapes = _shape_labels(link)
    path = f"M{_xy(start)}Q{_xy(turn)} {_xy(end)}"
    parts = [
        f'<g><path class="link{" shaped" if shapes else ""}" fill="none" d="{path}"/>'
        f"<title>{escape(_tooltip(link, rows))}</title>"
    ]
    lines = [("shape", text) for text in shapes]
    if "host" not in (kinds[link["node1"]], kinds[link["node2"]]):  # a host's label tells it
        prefix = _prefix(rows.get(link["interface1"]) or rows.get(link["interface2"]))
        lines += [("small", prefix)] if prefix else []
    if not lines:
        return [*parts, "</g>"]
    flat = 9 * len(lines) if abs(across[1]) > 0.35 else 0  # flat links have labels above them
    spots = [
        _between(start, end, along, (across[0] * bend, across[1] * bend + aside - flat))
        for aside in _ASIDE_PX
        for along in _ALONG
    ]
    x, y = labels.place([(text, _FONT_PX[style]) for style, text in lines], spots)
    for line, (style, text) in enumerate(lines):
        line_y = y + (line - (len(lines) - 1) / 2) * 11
        parts.append(f'<text class="{style}" x="{x:.1f}" y="{line_y:.1f}">{escape(text)}</text>')
    return [*parts, "</g>"]


def _way(link: Row, at: Mapping[str, Point]) -> tuple[Point, Point, Point]:
    """Start, end, and the direction across (of length 1)."""
    start, end = at[link["node1"]], at[link["node2"]]
    length = max(math.dist(start, end), 1.0)
    return start, end, (-(end[1] - start[1]) / length, (end[0] - start[0]) / length)


def _between(start: Point, end: Point, share: float, shift: Point) -> Point:
    """The point after `share` of the way, shifted."""
    return (
        start[0] + (end[0] - start[0]) * share + shift[0],
        start[1] + (end[1] - start[1]) * share + shift[1],
    )


def _xy(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _end_labels(
    link: Row,
    at: Mapping[str, Point],
    rows: Mapping[str, Row],
    bend: float,
    kinds: Mapping[str, str],
    labels: Labels,
) -> list[str]:
    """The host part of interfaces' addresses, beside their ends of the link."""
    start, end, across = _way(link, at)
    middle = _between(start, end, 0.5, (across[0] * bend, across[1] * bend))
    texts = []
    for node, interface, near in (("node1", "interface1", start), ("node2", "interface2", end)):
        row = rows.get(link[interface])
        if kinds[link[node]] == "host" or row is None or not row.get("ipv4"):
            continue
        length = max(math.dist(near, middle), 1.0)
        shares = [min(0.9, px / length) for px in _FROM_END_PX]
        spots = [_between(near, middle, share, (0.0, 0.0)) for share in shares]
        text = _host_part(row["ipv4"])
        x, y = labels.place([(text, _FONT_PX["small"])], spots)
        texts.append(f'<text class="small" x="{x:.1f}" y="{y:.1f}">{text}</text>')
    return texts


def _host_part(address: str) -> str:
    """What the prefix leaves of an address: ``.11`` of 10.0.1.11/24."""
    interface = ipaddress.IPv4Interface(address)
    kept = min(3, interface.network.prefixlen // 8)
    return "." + ".".join(str(interface.ip).split(".")[kept:])


def _prefix(row: Row | None) -> str:
    if row is None or not row.get("ipv4"):
        return ""
    return str(ipaddress.IPv4Interface(row["ipv4"]).network)


def _words(shape: Mapping[str, Any] | None) -> str:
    """A shape in few words: ``10 Mbit/s 20 ms``."""
    if not shape:
        return ""
    words = []
    for field, unit in (("rate_mbps", "Mbit/s"), ("delay_ms", "ms"), ("jitter_ms", "ms jitter")):
        if shape.get(field):
            words.append(f"{shape[field]:g} {unit}")
    for what in ("loss", "duplicate", "reorder"):
        if shape.get(f"{what}_percent"):
            words.append(f"{shape[f'{what}_percent']:g} % {what}")
    for field, unit in (("queue_pkts", "pkts"), ("queue_bdp", "BDP"), ("queue_bytes", "B")):
        if shape.get(field):
            words.append(f"{shape[field]:g} {unit}")
    if shape.get("qdisc", "fifo") != "fifo":
        words.append(str(shape["qdisc"]) + (" ECN" if shape.get("ecn") else ""))
    return " · ".join(words)


def _shape_labels(link: Row) -> list[str]:
    one, two = _words(link.get("shape1")), _words(link.get("shape2"))
    if one == two:
        return [one] if one else []
    arrows = (
        (f"{link['node1']} → {link['node2']}", one),
        (f"{link['node2']} → {link['node1']}", two),
    )
    return [f"{arrow}: {words}" for arrow, words in arrows if words]


def _tooltip(link: Row, rows: Mapping[str, Row]) -> str:
    ends = []
    for interface, shape in (("interface1", "shape1"), ("interface2", "shape2")):
        row = rows.get(link[interface], {})
        known = [link[interface], row.get("ipv4"), row.get("ipv6"), row.get("mac")]
        sends = _words(link.get(shape))
        known.append(f"sends {sends}" if sends else None)
        ends.append(", ".join(str(k) for k in known if k))
    return "\n".join(ends)


def _draw_node(node: Row, at: Point, rows: Sequence[Row], labels: Labels) -> list[str]:
    name, kind = str(node["name"]), str(node.get("kind", "host"))
    x, y = at
    size = _NODE_PX.get(kind, 17.0)
    wide = max(size, 4.0 * len(name) + 5)
    labels.take(at, 2 * wide, 2 * size)
    if kind == "router":
        figure = (
            f'<ellipse class="node" cx="{x:.1f}" cy="{y:.1f}" rx="{wide:.1f}" ry="{size:.1f}"/>'
        )
    else:
        corner = 3 if kind == "switch" else 8
        figure = (
            f'<rect class="node" x="{x - wide:.1f}" y="{y - size * 0.75:.1f}" rx="{corner}" '
            f'width="{2 * wide:.1f}" height="{1.5 * size:.1f}"/>'
        )
    below = str(rows[0]["ipv4"]) if kind == "host" and rows and rows[0].get("ipv4") else ""
    facts = [name, kind] + [
        f"{row['interface']}: {row.get('ipv4') or '-'}, {row.get('ipv6') or '-'}" for row in rows
    ]
    title = escape("\n".join(facts))
    parts = [f"<g class={quoteattr(kind)}><title>{title}</title>{figure}"]
    parts.append(f'<text x="{x:.1f}" y="{y:.1f}">{escape(name)}</text>')
    if below:
        labels.place([(below, _FONT_PX["small"])], [(x, y + size + 7)])
        parts.append(
            f'<text class="small" x="{x:.1f}" y="{y + size + 7:.1f}">{escape(below)}</text>'
        )
    return [*parts, "</g>"]
