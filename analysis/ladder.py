"""Ladder diagrams: who sends what to whom, as SVG text.

Time runs down. Each message is an arrow between two hosts' lines, with its words above it. On the
left are the packet's number in the capture and the time since the first message, on the right the
time since the message before. Runs of like messages fold into one arrow that says how many they are
and points where they go. A legend explains the kinds of arrows that occur.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise

import pandas as pd

from analysis.printable import printable
from analysis.text_width import shortened, text_px
from testbed.core.errors import ConfigError

ROW_PX, HEAD_PX, SIDE_PX, LANE_PX = 26, 46, 92, 210
EDGE_PX = 60
"""From the outermost hosts' lines to the times; arrows to all end there."""

MOST_TEXT_PX = 640
"""Longer texts make no more room, and are shortened if they need it."""

MOST_HOSTS = 24
BROADCAST = ("ff:ff:ff:ff:ff:ff", "255.255.255.255")

_STYLE = (
    "text{font:12px sans-serif;fill:#222}.host{font-weight:bold}.time{fill:#555;font-size:11px}"
    ".line{stroke:#999;stroke-dasharray:3 3}.message,.key{stroke:#0072b2;stroke-width:1.4}"
    ".problem{stroke:#d55e00}.fold{stroke-dasharray:6 3}.odd{fill:#b34700}"
    ".words{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}"
)
"""Blue and vermilion of the Okabe-Ito palette: distinct to colour-blind readers and in print."""


@dataclass(frozen=True)
class Message:
    """One arrow.

    Attributes:
        time_ns: when it was captured.
        source, target: hosts; a target of None goes to all.
        text: what it says.
        mark: what is odd about it (a retransmission, a loss): drawn in the second colour, with
            these words; empty: nothing.
        kind: messages of one kind in a row fold; empty: never.
        frame: its number in the capture; 0: none.
        count: how many messages the arrow represents.
        back: how many of them go from target to source.
        last_ns, last_frame: time and number of the last of them.
    """

    time_ns: int
    source: str
    target: str | None
    text: str
    mark: str = ""
    kind: str = ""
    frame: int = 0
    count: int = 1
    back: int = 0
    last_ns: int = 0
    last_frame: int = 0


def messages(
    packets: pd.DataFrame, words: Iterable[str], marks: Iterable[str] | None = None
) -> list[Message]:
    """Messages of captured packets; hosts are IP addresses, or MAC addresses without IP.

    Args:
        packets: with ``time_ns``, ``ip_src``, ``ip_dst``, ``eth_src``, ``eth_dst``, ``protocol``,
            and ``frame`` if their numbers are to be shown.
        words: what each packet says, e.g. of `analysis.describe.packets`.
        marks: what is odd about each packet; empty: nothing.
    """
    source = packets["ip_src"].astype(object).where(packets["ip_src"].notna(), packets["eth_src"])
    target = packets["ip_dst"].astype(object).where(packets["ip_dst"].notna(), packets["eth_dst"])
    target = target.astype(object).where(target.notna(), "?")  # cut off
    noted = list(marks) if marks is not None else [""] * len(packets)
    frames = packets["frame"].tolist() if "frame" in packets else [0] * len(packets)
    columns = (packets["time_ns"], source, target, packets["protocol"], words, noted, frames)
    return [
        Message(
            int(time_ns),
            str(src),
            None if to_all(str(dst)) else str(dst),
            str(text),
            str(mark),
            str(protocol),
            int(frame),
        )
        for time_ns, src, dst, protocol, text, mark, frame in zip(*columns, strict=True)
        if not pd.isna(src)
    ]


def to_all(address: str) -> bool:
    """True for broadcast and multicast addresses."""
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
    return bool(one.kind) and one.kind == two.kind and same_hosts and one.mark == two.mark


def _folded(run: list[Message], keep: int) -> list[Message]:
    middle = run[keep:-keep] if keep else run
    if len(middle) < 2:
        return run
    first, last = middle[0], middle[-1]
    folded = replace(
        first,
        text=f"{len(middle)} more",
        count=len(middle),
        back=sum(message.source != first.source for message in middle),
        last_ns=last.time_ns,
        last_frame=last.frame,
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
    labels = {host: printable((names or {}).get(host, host)) for host in lines}
    left = SIDE_PX + round(max(text_px(_numbers(message)) for message in drawn))
    place = _places(drawn, labels, left)
    last_px = text_px(labels[lines[-1]], bold=True) / 2 + 8
    width = place[lines[-1]] + max(EDGE_PX + SIDE_PX, round(last_px))
    foot = HEAD_PX + ROW_PX * (len(drawn) + 1)
    height = foot + ROW_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">',
        f"<title>{_xml(title or 'Ladder diagram')}</title><style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="#222"/>'
        f'</marker></defs><rect width="{width}" height="{height}" fill="white"/>',
    ]
    for host, x in place.items():
        parts.append(
            f'<text class="host" x="{x}" y="20" text-anchor="middle">{_xml(labels[host])}</text>'
        )
        parts.append(f'<line class="line" x1="{x}" y1="28" x2="{x}" y2="{foot}"/>')
    before = drawn[0].time_ns
    for number, message in enumerate(drawn):
        y = HEAD_PX + ROW_PX * (number + 1) - 6
        parts += _times(message, y, (left, width), drawn[0].time_ns, before)
        parts += _arrow(message, y, place, (left, width - SIDE_PX))
        before = message.last_ns or message.time_ns
    return "\n".join([*parts, *_legend(drawn, foot + 6), "</svg>"]) + "\n"


def _xml(text: str) -> str:
    return escape(printable(text))


def _legend(drawn: Sequence[Message], y: int) -> list[str]:
    """The kinds of arrows that occur, with words."""
    kinds = [("", "message", True)]
    kinds.append((" fold", "several messages", any(m.count > 1 for m in drawn)))
    kinds.append((" problem", "something is odd: see its words", any(m.mark for m in drawn)))
    parts, x = [], 8
    for style, words, occurs in kinds:
        if occurs:
            parts.append(
                f'<line class="key{style}" x1="{x}" y1="{y}" x2="{x + 36}" y2="{y}" '
                f'marker-end="url(#tip)"/>'
                f'<text class="time" x="{x + 44}" y="{y + 4}">{words}</text>'
            )
            x += 44 + round(text_px(words)) + 16
    return parts


def _places(drawn: Sequence[Message], labels: Mapping[str, str], left_px: int) -> dict[str, int]:
    """Where each host's line stands: as far apart as names and the texts between them need."""
    lines = list(labels)
    number = {host: place for place, host in enumerate(lines)}
    halves = [text_px(label, bold=True) / 2 for label in labels.values()]
    gaps = [max(LANE_PX, one + two + 16) for one, two in pairwise(halves)]
    needs = []
    for message in drawn:
        needed_px = min(text_px(_words(message)) + 2 * ROW_PX, MOST_TEXT_PX)
        here = number[message.source]
        if message.target is None:
            there = len(lines) - 1 if _to_the_right(here, len(lines)) else 0
            needed_px -= EDGE_PX
        else:
            there = number[message.target]
        low, high = sorted((here, there))
        needs.append((high - low, low, needed_px))
    for count, low, needed_px in sorted(needs):  # between neighbours first
        lacking_px = needed_px - sum(gaps[low : low + count])
        if count and lacking_px > 0:
            for gap in range(low, low + count):
                gaps[gap] += lacking_px / count
    first = max(left_px + EDGE_PX, halves[0] + 8)
    return {host: round(first + sum(gaps[:place])) for place, host in enumerate(lines)}


def _words(message: Message, to_the_right: bool = True) -> str:
    """What stands above an arrow; a fold of both directions says how many go which way."""
    text = message.text
    if message.back:
        right, left = message.count - message.back, message.back
        if not to_the_right:
            right, left = left, right
        text = f"{message.count} more: {right} →, {left} ←"
    return f"{text} [{message.mark}]" if message.mark else text


def hosts_by_messages(drawn: Iterable[Message]) -> list[str]:
    """All hosts, those with the most messages first."""
    count = Counter[str]()
    for message in drawn:
        for host in {message.source, message.target} - {None}:
            count[str(host)] += message.count
    return [host for host, _ in count.most_common()]


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


def _numbers(message: Message) -> str:
    """The numbers of a message's packets."""
    if not message.frame:
        return ""
    return f"#{message.frame}" + (f"–{message.last_frame}" if message.last_frame else "")


def _times(
    message: Message, y: int, room: tuple[int, int], first_ns: int, before_ns: int
) -> list[str]:
    """The packet's number and time on the left, the time since the message before on the right."""
    left, width = room
    numbers, since = _numbers(message), seconds(message.time_ns - first_ns)
    parts = [f'<text class="time" x="8" y="{y}">{numbers}</text>'] if numbers else []
    return [
        *parts,
        f'<text class="time" x="{left - 8}" y="{y}" text-anchor="end">{since}</text>',
        f'<text class="time" x="{width - 8}" y="{y}" text-anchor="end">'
        f"+{seconds(message.time_ns - before_ns)}</text>",
    ]


def _arrow(message: Message, y: int, place: Mapping[str, int], room: tuple[int, int]) -> list[str]:
    """A message's arrow, and its words above it within `room` (from and to, in pixels)."""
    start, end = place[message.source], _end(message, place, room)
    marks = " problem" * bool(message.mark) + " fold" * (message.count > 1)
    both = ' marker-start="url(#tip)"' if message.back else ""
    words = _words(message, end > start)
    middle = (start + end) / 2
    if message.target == message.source:
        end = start + 40
    shown = shortened(words, room[1] - room[0])
    half = min(text_px(shown), room[1] - room[0]) / 2
    middle = min(max(middle, room[0] + half), room[1] - half)
    odd = " odd" if message.mark else ""
    whole = "" if shown == words else f"<title>{_xml(words)}</title>"
    return [
        f'<line class="message{marks}" x1="{start}" y1="{y}" x2="{end:g}" y2="{y}" '
        f'marker-end="url(#tip)"{both}/>',
        f'<text class="words{odd}" x="{middle:g}" y="{y - 5}" text-anchor="middle">'
        f"{_xml(shown)}{whole}</text>",
    ]


def _end(message: Message, place: Mapping[str, int], room: tuple[int, int]) -> float:
    """Where an arrow ends; one to all goes to the farther edge."""
    if message.target is not None:
        return place[message.target]
    number = list(place).index(message.source)
    return room[1] if _to_the_right(number, len(place)) else room[0]


def seconds(ns: int) -> str:
    """A time in the unit that reads best: `12.3 µs`, `4.567 ms`, `1.234567 s`."""
    if abs(ns) < 1_000_000:
        return f"{ns / 1e3:.4g} µs"
    if abs(ns) < 1_000_000_000:
        return f"{ns / 1e6:.6g} ms"
    return f"{ns / 1e9:.6f} s"
