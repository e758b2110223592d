"""Ladder diagrams: who sends what to whom, as SVG text.

Time runs down. Each message is an arrow between two hosts' lines, with its words above it; the time
stands on both sides: since the first message on the left, since the message before on the right.
Runs of like messages fold into one arrow that says how many they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

from testbed.core.errors import ConfigError

ROW_PX, HEAD_PX, SIDE_PX, LANE_PX = 26, 46, 92, 210
EDGE_PX = 60
"""From the outermost hosts' lines to the times; arrows to all end there."""

CHARACTER_PX, MOST_TEXT_PX = 6.6, 520
"""A character's usual width; longer texts than so much make no more room."""

MOST_HOSTS = 24
BROADCAST = ("ff:ff:ff:ff:ff:ff", "255.255.255.255")

_STYLE = (
    "text{font:12px sans-serif;fill:#222}.host{font-weight:bold}.time{fill:#555;font-size:11px}"
    ".line{stroke:#999;stroke-dasharray:3 3}.message{stroke:#0072b2;stroke-width:1.4}"
    ".problem{stroke:#d55e00}.fold{stroke-dasharray:6 3}.note{fill:#d55e00}"
)
"""Blue and vermilion of the Okabe-Ito palette: distinct to colour-blind readers and in print."""


@dataclass(frozen=True)
class Message:
    """One arrow.

    Attributes:
        time_ns: when it was captured.
        source, target: hosts; a target of None goes to all.
        text: what it says.
        problem: draw it in the second colour (a retransmission, a loss).
        kind: messages of one kind in a row fold; empty: never.
        count: how many messages the arrow represents.
        last_ns: time of the last of them.
    """

    time_ns: int
    source: str
    target: str | None
    text: str
    problem: bool = False
    kind: str = ""
    count: int = 1
    last_ns: int = 0


def messages(
    packets: pd.DataFrame, words: Iterable[str], problems: Iterable[bool] | None = None
) -> list[Message]:
    """Messages of captured packets; hosts are IP addresses, or MAC addresses without IP.

    Args:
        packets: with ``time_ns``, ``ip_src``, ``ip_dst``, ``eth_src``, ``eth_dst``, ``protocol``.
        words: what each packet says, e.g. of `analysis.describe.packets`.
        problems: True for packets to mark.
    """
    source = packets["ip_src"].astype(object).where(packets["ip_src"].notna(), packets["eth_src"])
    target = packets["ip_dst"].astype(object).where(packets["ip_dst"].notna(), packets["eth_dst"])
    target = target.astype(object).where(target.notna(), "?")  # cut off
    marks = list(problems) if problems is not None else [False] * len(packets)
    rows = zip(packets["time_ns"], source, target, packets["protocol"], words, marks, strict=True)
    return [
        Message(
            int(time_ns),
            str(src),
            None if _to_all(str(dst)) else str(dst),
            str(text),
            bool(mark),
            str(protocol),
        )
        for time_ns, src, dst, protocol, text, mark in rows
        if not pd.isna(src)
    ]


def _to_all(address: str) -> bool:
    if address in BROADCAST or address.startswith(("ff", "33:33:", "01:")):
        return True
    first = address.split(".", maxsplit=1)[0]
    return first.isdigit() and 224 <= int(first) <= 239


def fold(all_messages: Sequence[Message], keep: int = 3) -> list[Message]:
    """Shortens long runs of one kind between the same two hosts, problems apart.

    Data one way and their ACKs back are one run. The first and last `keep` messages of a run stay.
    """
    result: list[Message] = []
    run: list[Message] = []
    for message in all_messages:
        if run and not _alike(run[-1], message):
            result += _folded(run, keep)
            run = []
        run.append(message)
    return result + _folded(run, keep)


def _alike(one: Message, two: Message) -> bool:
    same_hosts = {one.source, one.target} == {two.source, two.target}
    return bool(one.kind) and one.kind == two.kind and same_hosts and one.problem == two.problem


def _folded(run: list[Message], keep: int) -> list[Message]:
    middle = run[keep:-keep] if keep else run
    if len(middle) < 2:
        return run
    first, last = middle[0], middle[-1]
    ahead = sum(message.source == first.source for message in middle)
    text = f"{len(middle)} more: {ahead} this way, {len(middle) - ahead} back"
    folded = Message(
        first.time_ns,
        first.source,
        first.target,
        text,
        first.problem,
        first.kind,
        len(middle),
        last.time_ns,
    )
    return [*run[:keep], folded, *run[len(run) - keep :]] if keep else [folded]


def svg(
    drawn: Sequence[Message],
    hosts: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
    title: str = "",
) -> str:
    """Draws messages.

    Args:
        drawn: the messages in order of time, folded or not.
        hosts: the lines from left to right; default: in the order of appearance.
        names: what to write for a host.
        title: the picture's title, for readers who hear it too.

    Returns:
        the SVG document as text.

    Raises:
        ConfigError: nothing to draw, too many hosts, or a host without a line.
    """
    lines = list(hosts) if hosts is not None else _appearance(drawn)
    if not drawn:
        raise ConfigError("ladder: there are no messages to draw")
    if len(lines) > MOST_HOSTS:
        raise ConfigError(f"ladder: {len(lines)} hosts are too many; at most {MOST_HOSTS}")
    for message in drawn:
        for host in {message.source, message.target} - {None}:
            if host not in lines:
                raise ConfigError(f"ladder hosts: '{host}' has no line")
    place = _places(drawn, lines)
    width = place[lines[-1]] + EDGE_PX + SIDE_PX
    height = HEAD_PX + ROW_PX * (len(drawn) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title or 'Ladder diagram')}</title><style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="#222"/>'
        f'</marker></defs><rect width="{width}" height="{height}" fill="white"/>',
    ]
    for host, x in place.items():
        name = escape((names or {}).get(host, host))
        parts.append(f'<text class="host" x="{x}" y="20" text-anchor="middle">{name}</text>')
        parts.append(f'<line class="line" x1="{x}" y1="28" x2="{x}" y2="{height}"/>')
    before = drawn[0].time_ns
    for number, message in enumerate(drawn):
        y = HEAD_PX + ROW_PX * (number + 1) - 6
        parts += _row(message, y, place, width, message.time_ns - drawn[0].time_ns, before)
        before = message.last_ns or message.time_ns
    return "\n".join([*parts, "</svg>"]) + "\n"


def _places(drawn: Sequence[Message], lines: Sequence[str]) -> dict[str, int]:
    """Where each host's line stands: as far apart as the texts between them need."""
    number = {host: place for place, host in enumerate(lines)}
    gaps = [float(LANE_PX)] * (len(lines) - 1)
    needs = []
    for message in drawn:
        text_px = min(CHARACTER_PX * len(message.text) + 2 * ROW_PX, MOST_TEXT_PX)
        here = number[message.source]
        if message.target is None:
            there = len(lines) - 1 if _to_the_right(here, len(lines)) else 0
            text_px -= EDGE_PX
        else:
            there = number[message.target]
        low, high = sorted((here, there))
        needs.append((high - low, low, text_px))
    for count, low, text_px in sorted(needs):  # between neighbours first
        lacking_px = text_px - sum(gaps[low : low + count])
        if count and lacking_px > 0:
            for gap in range(low, low + count):
                gaps[gap] += lacking_px / count
    return {host: SIDE_PX + EDGE_PX + round(sum(gaps[:place])) for place, host in enumerate(lines)}


def _to_the_right(number: int, hosts: int) -> bool:
    """Whether an arrow to all of a host goes to the right edge: the farther one."""
    return 2 * number < hosts - 1


def _appearance(drawn: Sequence[Message]) -> list[str]:
    seen: dict[str, None] = {}
    for message in drawn:
        seen.setdefault(message.source)
        if message.target is not None:
            seen.setdefault(message.target)
    return list(seen)


def _row(
    message: Message, y: int, place: Mapping[str, int], width: int, since_ns: int, before_ns: int
) -> list[str]:
    start = place[message.source]
    end = _end(message, place, width)
    marks = " problem" * message.problem + " fold" * (message.count > 1)
    both = ' marker-start="url(#tip)"' if message.count > 1 else ""
    middle = (start + end) / 2
    if message.target == message.source:
        end = start + 40
    note = 'class="note" ' if message.problem else ""
    return [
        f'<text class="time" x="8" y="{y}">{seconds(since_ns)}</text>',
        f'<line class="message{marks}" x1="{start}" y1="{y}" x2="{end:g}" y2="{y}" '
        f'marker-end="url(#tip)"{both}/>',
        f'<text {note}x="{middle:g}" y="{y - 5}" text-anchor="middle">'
        f"{escape(message.text)}</text>",
        f'<text class="time" x="{width - 8}" y="{y}" text-anchor="end">'
        f"+{seconds(message.time_ns - before_ns)}</text>",
    ]


def _end(message: Message, place: Mapping[str, int], width: int) -> float:
    """Where an arrow ends; one to all goes to the farther edge."""
    if message.target is not None:
        return place[message.target]
    number = list(place).index(message.source)
    return width - SIDE_PX if _to_the_right(number, len(place)) else SIDE_PX


def seconds(ns: int) -> str:
    """A time in the unit that reads best: `12.3 µs`, `4.567 ms`, `1.234567 s`."""
    if abs(ns) < 1_000_000:
        return f"{ns / 1e3:.4g} µs"
    if abs(ns) < 1_000_000_000:
        return f"{ns / 1e6:.4g} ms"
    return f"{ns / 1e9:.6f} s"
