"""A topology as an SVG drawing: names, addresses, link shapes.

Works on plain data (`topology.json` and the rows of `network.json`), so drawing needs no Mininet.
Nodes may carry ``x`` and ``y`` (any scale, y downwards); otherwise they are laid out so that
distances on paper follow distances in hops (stress majorisation, Gansner et al. 2004).
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from testbed.core.quantities import number
from testbed.results.label_places import Labels, Point
from testbed.results.layout import Row, bends, between, framed, positions, way

_ALONG = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74)
_ASIDE_PX = (0, 9, -9, 18, -18, 27, -27, 36, -36)
_FROM_END_PX = (30, 38, 46, 56, 66, 78, 90)
"""Possible places of labels along and next to a link, measured from its end; the best first."""

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
    at = positions(nodes, links)
    bent = bends(links, at)
    at, (width, height) = framed(at, links, bent)
    rows = {row["interface"]: row for row in addresses if row["interface"] != "lo"}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="topology" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">',
        f"<title>{number(len(nodes), 'nodes')}, {number(len(links), 'links')}</title>",
        f"<style>{_STYLE}</style>",
    ]
    kinds = {node["name"]: node.get("kind", "host") for node in nodes}
    figures, labels = [], Labels()
    for node in nodes:
        own = [row for row in addresses if row["node"] == node["name"]]
        figures += _draw_node(node, at[node["name"]], own, labels)
    ends = [
        text
        for link, bend in zip(links, bent, strict=True)
        for text in _end_labels(link, at, rows, bend, kinds, labels)
    ]
    for link, bend in zip(links, bent, strict=True):
        parts += _draw_link(link, at, rows, bend, kinds, labels)
    return "\n".join([*parts, *ends, *figures, "</svg>"])


# ---- where nodes go


# ---- what is drawn


def _draw_link(
    link: Row,
    at: Mapping[str, Point],
    rows: Mapping[str, Row],
    bend: float,
    kinds: Mapping[str, str],
    labels: Labels,
) -> list[str]:
    start, end, across = way(link, at)
    turn = between(start, end, 0.5, (across[0] * 2 * bend, across[1] * 2 * bend))
    shapes = shape_labels(link)
    path = f"M{_xy(start)}Q{_xy(turn)} {_xy(end)}"
    parts = [
        f'<g><path class="link{" shaped" if shapes else ""}" fill="none" d="{path}"/>'
        f"<title>{escape(_tooltip(link, rows))}</title>"
    ]
    lines = [("shape", text) for text in shapes]
    if "host" not in (kinds[link["node1"]], kinds[link["node2"]]):  # a host's label shows it
        prefix = _prefix(rows.get(link["interface1"]) or rows.get(link["interface2"]))
        lines += [("small", prefix)] if prefix else []
    if not lines:
        return [*parts, "</g>"]
    flat = 9 * len(lines) if abs(across[1]) > 0.35 else 0  # flat links have labels above them
    spots = [
        between(start, end, along, (across[0] * bend, across[1] * bend + aside - flat))
        for aside in _ASIDE_PX
        for along in _ALONG
    ]
    x, y = labels.place([(text, _FONT_PX[style]) for style, text in lines], spots)
    for line, (style, text) in enumerate(lines):
        line_y = y + (line - (len(lines) - 1) / 2) * 11
        parts.append(f'<text class="{style}" x="{x:.1f}" y="{line_y:.1f}">{escape(text)}</text>')
    return [*parts, "</g>"]


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
    """The host part of interfaces' addresses, next to their ends of the link."""
    start, end, across = way(link, at)
    middle = between(start, end, 0.5, (across[0] * bend, across[1] * bend))
    texts = []
    for node, interface, near in (("node1", "interface1", start), ("node2", "interface2", end)):
        row = rows.get(link[interface])
        if kinds[link[node]] == "host" or row is None or not row.get("ipv4"):
            continue
        length = max(math.dist(near, middle), 1.0)
        shares = [min(0.9, px / length) for px in _FROM_END_PX]
        spots = [between(near, middle, share, (0.0, 0.0)) for share in shares]
        text = _host_part(row["ipv4"])
        x, y = labels.place([(text, _FONT_PX["small"])], spots)
        texts.append(f'<text class="small" x="{x:.1f}" y="{y:.1f}">{text}</text>')
    return texts


def _host_part(address: str) -> str:
    """The part of an address after the prefix: ``.11`` of 10.0.1.11/24."""
    interface = ipaddress.IPv4Interface(address)
    kept = min(3, interface.network.prefixlen // 8)
    return "." + ".".join(str(interface.ip).split(".")[kept:])


def _prefix(row: Row | None) -> str:
    if row is None or not row.get("ipv4"):
        return ""
    return str(ipaddress.IPv4Interface(row["ipv4"]).network)


def _words(shape: Mapping[str, Any] | None) -> str:
    """A shape in a few words: ``10 Mbit/s 20 ms``."""
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


def shape_labels(link: Row) -> list[str]:
    """What a link does to packets, in a few words: one line, or two if its directions differ."""
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
    below = str(node.get("label") or below)
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
