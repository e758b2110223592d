"""Ladder diagrams as SVG text."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font, LoadFlags

from analysis import describe, ladder, packets
from analysis.ladder import Message
from analysis.text_width import text_px
from testbed.core.errors import ConfigError

CAPTURES = Path(__file__).parents[1] / "captures"
SVG = "{http://www.w3.org/2000/svg}"


def parse(text: str) -> ET.Element:
    return ET.fromstring(text)


def texts(root: ET.Element) -> list[str]:
    return [node.text or "" for node in root.iter(f"{SVG}text")]


def arrows(root: ET.Element) -> list[ET.Element]:
    return [n for n in root.iter(f"{SVG}line") if "message" in n.get("class", "")]


HELLO = Message(1_000_000_000, "a", "b", "SYN", kind="TCP")


def test_messages_words_and_times_on_both_sides() -> None:
    drawn = [HELLO, replace(HELLO, time_ns=1_000_020_000, source="b", target="a", text="SYN,ACK")]
    root = parse(ladder.svg(drawn, title="three-way <handshake>"))
    assert texts(root)[:2] == ["a", "b"]
    assert [t for t in texts(root) if t.startswith("SYN")] == ["SYN", "SYN,ACK"]
    rows = ["0 µs", "+0 µs", "SYN", "20 µs", "+20 µs", "SYN,ACK"]
    assert texts(root)[2:] == [*rows, "message"]
    there, back = arrows(root)
    assert float(there.get("x1", "")) < float(there.get("x2", ""))
    assert float(back.get("x1", "")) > float(back.get("x2", ""))
    assert float(there.get("y1", "")) < float(back.get("y1", ""))
    assert root.find(f"{SVG}title") is not None


def test_any_number_of_hosts_in_the_order_wished() -> None:
    drawn = [replace(HELLO, source=f"h{i}", target=f"h{i + 1}", time_ns=i) for i in range(9)]
    assert texts(parse(ladder.svg(drawn)))[:10] == [f"h{i}" for i in range(10)]
    hosts = [f"h{i}" for i in reversed(range(10))]
    root = parse(ladder.svg(drawn, hosts, names={"h9": "client <1>"}))
    assert texts(root)[:2] == ["client <1>", "h8"]
    with pytest.raises(ConfigError, match="'h9' has no line"):
        ladder.svg(drawn, hosts[1:])
    with pytest.raises(ConfigError, match="25 hosts are too many"):
        ladder.svg(drawn, [str(i) for i in range(25)])
    with pytest.raises(ConfigError, match="no messages"):
        ladder.svg([])


def test_problems_stand_out() -> None:
    root = parse(ladder.svg([HELLO, replace(HELLO, mark="retransmission")]))
    assert "SYN [retransmission]" in texts(root)  # for readers who see no colours
    assert "something is odd: see its words" in texts(root)
    assert ["problem" in arrow.get("class", "") for arrow in arrows(root)] == [False, True]


def test_message_to_all_reaches_the_edge() -> None:
    drawn = [HELLO, replace(HELLO, target=None, text="who has b?")]
    _, to_all = arrows(parse(ladder.svg(drawn)))
    assert float(to_all.get("x2", "")) > float(arrows(parse(ladder.svg(drawn)))[0].get("x2", ""))


def test_long_runs_fold_but_not_over_a_problem() -> None:
    run = [replace(HELLO, time_ns=i, source="ab"[i % 2], target="ba"[i % 2]) for i in range(100)]
    run[50] = replace(run[50], mark="loss")
    folded = ladder.fold(run, keep=3)
    assert len(folded) == 2 * (3 + 1 + 3) + 1
    assert sum(message.count for message in folded) == 100
    assert [message for message in folded if message.mark] == [run[50]]
    bundle = folded[3]
    assert (bundle.count, bundle.time_ns, bundle.last_ns) == (44, 3, 46)
    assert (bundle.text, bundle.back) == ("44 more", 22)
    assert ladder.fold(run[:8], keep=3)[3].count == 2
    assert ladder.fold(run[:7], keep=3) == run[:7]


def test_different_kinds_and_hosts_do_not_fold() -> None:
    mixed = [replace(HELLO, kind=str(i % 2)) for i in range(20)]
    assert ladder.fold(mixed) == mixed
    others = [replace(HELLO, target=f"h{i}") for i in range(20)]
    assert ladder.fold(others) == others


def test_a_capture_is_drawn() -> None:
    capture = packets.read(CAPTURES / "layers.pcap")
    drawn = ladder.messages(capture, describe.packets(capture))
    assert len(drawn) == len(capture)
    asks = [message for message in drawn if message.kind == "ARP"]
    assert [message.target for message in asks] == ["02:00:00:00:00:02"] * 2
    assert drawn[38].target is None  # OSPF's hello goes to 224.0.0.5
    parse(ladder.svg(ladder.fold(drawn)))


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0 µs"), (1500, "1.5 µs"), (2_500_000, "2.5 ms"), (3 * 10**9, "3.000000 s")],
)
def test_times_read_well(ns: int, text: str) -> None:
    assert ladder.seconds(ns) == text


def test_lines_stand_as_far_apart_as_their_texts_need() -> None:
    near, far = replace(HELLO, text="x" * 60), replace(HELLO, text="x" * 5)
    apart = [
        float(arrow.get("x2", "")) - float(arrow.get("x1", ""))
        for one in (near, far)
        for arrow in arrows(parse(ladder.svg([one])))
    ]
    assert apart[0] > 60 * 6
    assert apart[1] == ladder.LANE_PX


def test_one_long_text_makes_room_for_itself_alone() -> None:
    long, short = (
        replace(HELLO, source="a", target="b", text="x" * 60),
        replace(HELLO, source="b", target="c", text="x"),
    )
    first, second = arrows(parse(ladder.svg([long, short])))
    assert float(second.get("x2", "")) - float(second.get("x1", "")) == ladder.LANE_PX
    assert float(first.get("x2", "")) == float(second.get("x1", ""))
    root = parse(ladder.svg([replace(HELLO, text="x" * 10_000)]))
    assert float(root.get("width", "")) < 1000


def test_packets_are_numbered_as_in_the_capture() -> None:
    numbered = [replace(HELLO, frame=17), replace(HELLO, frame=18, last_frame=99, count=5)]
    assert {"#17", "#18–99"} <= set(texts(parse(ladder.svg(numbered))))


def test_a_fold_points_where_its_packets_go() -> None:
    there = [replace(HELLO, time_ns=i) for i in range(9)]
    for run, tips, text in (
        (there, [False, True], "3 more"),
        (
            [*there[:5], *(replace(m, source="b", target="a") for m in there[5:])],
            [True, True],
            None,
        ),
    ):
        root = parse(ladder.svg(ladder.fold(run)))
        fold = next(arrow for arrow in arrows(root) if "fold" in arrow.get("class", ""))
        assert [fold.get(f"marker-{end}") is not None for end in ("start", "end")] == tips
        assert text is None or text in texts(root)
    back = [replace(m, source="b", target="a") for m in there[:5]] + there[5:]
    root = parse(ladder.svg(ladder.fold(back), hosts=["a", "b"]))
    assert "3 more: 1 →, 2 ←" in texts(root)


@cache
def font(bold: bool) -> FT2Font:
    """DejaVu Sans, which comes with matplotlib."""
    about = font_manager.FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    loaded = FT2Font(font_manager.findfont(about))
    loaded.set_size(1000, 72)
    return loaded


def drawn_px(text: str, size_px: float, *, bold: bool) -> float:
    """As the font itself says."""
    flags = LoadFlags.NO_HINTING
    glyphs = [font(bold).load_char(ord(character), flags=flags) for character in text]
    return sum(glyph.linearHoriAdvance for glyph in glyphs) / 65536 * size_px / 1000


@pytest.mark.parametrize("bold", [False, True])
def test_widths_are_those_of_the_font(bold: bool) -> None:
    printable = "".join(map(chr, range(32, 127)))
    for text in [*printable, printable, "HEADERS SETTINGS WINDOW_UPDATE"]:
        assert text_px(text, 12, bold=bold) == pytest.approx(drawn_px(text, 12, bold=bold), abs=0.5)
    for text in "→←·–…äéüµ×≤≥":
        assert text_px(text, 12, bold=bold) >= drawn_px(text, 12, bold=bold)


def boxes(root: ET.Element) -> list[tuple[float, float, float]]:
    """Left end, right end and line of each text, in DejaVu Sans."""
    found = []
    for node in root.iter(f"{SVG}text"):
        style = node.get("class")
        px = drawn_px(node.text or "", 11 if style == "time" else 12, bold=style == "host")
        x = float(node.get("x", ""))
        left = {"middle": x - px / 2, "end": x - px}.get(node.get("text-anchor", ""), x)
        found.append((left, left + px, float(node.get("y", ""))))
    return found


def test_labels_never_touch() -> None:
    hosts = [f"2001:db8:1234:5678:9abc:def0:1234:567{i}" for i in range(4)]
    drawn = [
        replace(HELLO, time_ns=10**9 + i, frame=10**6 + i, source=one, target=two, text="x" * n)
        for i, (one, two) in enumerate(zip(hosts, [*hosts[1:], None], strict=True))
        for n in (3, 90, 5000)
    ]
    drawn.append(replace(HELLO, time_ns=10**9 + 9, source=hosts[0], target=None, text="W" * 40))
    root = parse(ladder.svg(drawn))
    lines: dict[float, list[tuple[float, float]]] = {}
    for left, right, y in boxes(root):
        lines.setdefault(y, []).append((left, right))
        assert left >= 0 and right <= float(root.get("width", ""))
    for here in lines.values():
        ordered = sorted(here)
        assert all(one[1] <= two[0] for one, two in pairwise(ordered))


def test_texts_of_packets_are_made_harmless() -> None:
    text = ladder.svg([replace(HELLO, text="\x1b[2J</text><script>\u202e\0", source="<b>\x07")])
    assert "<script" not in text and "\x1b" not in text and "\x07" not in text
    assert "\\x1b[2J</text><script>\\u202e" in "".join(parse(text).itertext())


def test_the_busiest_hosts_come_first() -> None:
    drawn = [HELLO, replace(HELLO, source="c", target="b", count=5)]
    assert ladder.hosts_by_messages(drawn) == ["b", "c", "a"]
