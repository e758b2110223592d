"""Any capture as one self-contained HTML page: what is in it, who talked, and what is odd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from testbed.results.html import template
from testbed.results.pictures import Picture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_ROWS = 25
"""Rows of a table on the page; the page says how many there are in all."""

MOST_ODD = 60
"""Odd packets that the page lists."""

WORST = 3
"""TCP connections with figures and a ladder."""

LADDER_PACKETS = 24
_LADDER_BEFORE = 6
_MOST_POINTS = 20_000
"""Segments drawn in a figure."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Contents:
    """A capture and what was found in it.

    Attributes:
        name: of the capture.
        packets: as `analysis.packets.read` gives them.
        segments: of `analysis.tcp.analyse`.
        messages: of `analysis.messages.find`.
        notes: what a reader should know about how the capture was read.
    """

    name: str
    packets: pd.DataFrame
    segments: pd.DataFrame
    messages: pd.DataFrame
    notes: Sequence[str] = ()

    @cached_property
    def sides(self) -> pd.DataFrame:
        """Of `analysis.tcp.connections`."""
        from analysis import tcp

        return tcp.connections(self.packets, self.segments)

    @cached_property
    def health(self) -> pd.DataFrame:
        """Of `analysis.tcp.health`."""
        from analysis.tcp import health

        return health.health(self.sides, self.segments)

    @cached_property
    def odd(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Of `analysis.expert`: the summary, and the worst packets; not all, which can be many."""
        from analysis import expert

        found = expert.find(self.packets, self.segments, self.messages)
        return expert.summary(found), found.drop_duplicates("frame").head(MOST_ODD)


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        headings: of the columns.
        rows: their cells.
        total: how many rows there are in all.
        right: places of the columns with numbers.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: int
    right: frozenset[int]


def tables(contents: Contents, most: int = MOST_ROWS) -> dict[str, pd.DataFrame]:
    """Name (of `TITLES`) → table of the statistics.

    Args:
        contents: of the capture.
        most: rows of a table, whose `attrs["total"]` says how many there are; 0: all.
    """
    from analysis import memory, messages, overview

    packets = contents.packets
    every: dict[str, Callable[[], pd.DataFrame]] = {
        "hierarchy": lambda: overview.hierarchy(packets, messages.by_frame(contents.messages)),
        "endpoints": lambda: overview.endpoints(packets),
        "conversations": lambda: _conversations(overview.conversations(packets)),
        "connections": lambda: _connections(contents.health),
        "io": lambda: overview.over_time(packets, most or overview.MOST_BINS),
        "expert": lambda: contents.odd[0],
    }
    whole = {"hierarchy", "io"}  # these are short, and no longer true in part
    result = {}
    for name, make in every.items():
        table = make().drop(columns="step_s", errors="ignore")
        memory.release()
        shown = table if name in whole or not most else table.head(most)
        shown.attrs["total"] = len(table)
        result[name] = shown
    return result


def _conversations(found: pd.DataFrame) -> pd.DataFrame:
    names = ["protocol", "src", "sport", "dst", "dport", "packets", "packets_back", "wire_bytes"]
    names += ["start_s", "duration_s", "throughput_mbps"]
    return found[names].rename(columns={"wire_bytes": "bytes"})


def _connections(found: pd.DataFrame) -> pd.DataFrame:
    names = ["connection", "verdict", "client", "server", "segments", "sent_bytes"]
    names += ["received_bytes", "duration_s", "rtt_ms", "retransmitted", "close"]
    return found[names]


TITLES = {
    "hierarchy": "Protocols",
    "endpoints": "Hosts",
    "conversations": "Conversations",
    "connections": "TCP connections",
    "io": "Over time",
    "expert": "What is odd",
}
"""Name of a table → its title."""

_PAGE_ORDER = ("expert", "hierarchy", "io", "endpoints", "conversations", "connections")
"""On a page: first what somebody must look at."""


def render(contents: Contents, *, figures: bool = True) -> str:
    """The page.

    Args:
        contents: what to show.
        figures: with plots, ladders and the list of odd packets; without, tables alone.
    """
    found = tables(contents)
    return template("capture.html.j2").render(
        title=contents.name,
        facts=facts(contents),
        notes=contents.notes,
        tables={TITLES[name]: _shown(found[name]) for name in _PAGE_ORDER},
        over_time=_picture(_over_time(contents)) if figures else None,
        worst=_worst(contents) if figures else [],
        odd=_odd(contents) if figures else [],
    )


def facts(contents: Contents) -> dict[str, str]:
    """The capture in a few numbers: name → value."""
    packets = contents.packets
    if packets.empty:
        return {"packets": "0"}
    times = packets["time_ns"]
    seconds = (int(times.max()) - int(times.min())) / 1e9
    octets = int(packets["wire_bytes"].sum())
    found = {
        "packets": f"{len(packets):,}",
        "bytes on the wire": f"{octets:,}",
        "first packet": time_text(int(times.iloc[0])),
        "lasts": f"{seconds:,.6f} s",
    }
    if seconds > 0:
        found["on average"] = f"{octets * 8 / seconds / 1e6:,.4g} Mbit/s"
        found["on average"] += f", {len(packets) / seconds:,.4g} packets/s"
    kept = int(packets["captured_bytes"].sum())
    if kept < octets:
        found["captured"] = f"{100 * kept / octets:.3g} % of the bytes"
    return found


def time_text(ns: int) -> str:
    """A time of day in UTC; for times beyond the calendar, seconds since 1970."""
    seconds, rest = divmod(ns, 1_000_000_000)
    try:
        day = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return f"{seconds}.{rest:09} s since 1970"
    return f"{day:%Y-%m-%d %H:%M:%S}.{rest:09} UTC"


_HEADINGS = {
    "share_percent": "share (%)",
    "throughput_mbps": "Mbit/s",
    "packets_back": "of these back",
    "start_s": "start (s)",
    "duration_s": "lasts (s)",
    "rtt_ms": "RTT (ms)",
    "src": "from",
    "dst": "to",
    "sport": "port",
    "dport": "port",
}
_TEXTS = {"protocol", "address", "src", "dst", "client", "server", "close", "verdict"}
_TEXTS |= {"severity", "what", "example"}


def cell(name: str, value: Any) -> str:
    """A value of a table as text; empty if it is missing."""
    import pandas as pd

    from analysis.printable import printable

    if value is None or pd.isna(value):
        return ""
    if name == "start_s":
        return f"{value:.6g}"
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def heading(name: str) -> str:
    """A column's heading."""
    return _HEADINGS.get(name, name.replace("_", " "))


def cells(table: pd.DataFrame, indent: str) -> tuple[list[str], list[list[str]]]:
    """A table's column names and its rows as text; `depth` becomes the indentation of protocols."""
    depths = table["depth"].tolist() if "depth" in table else [0] * len(table)
    shown = table.drop(columns="depth", errors="ignore")
    names = [str(column) for column in shown]
    rows = [
        [cell(name, value) for name, value in zip(names, row, strict=True)]
        for row in shown.itertuples(index=False)
    ]
    for row, depth in zip(rows, depths, strict=True):
        row[0] = indent * depth + row[0] if row else ""
    return names, rows


def _shown(table: pd.DataFrame) -> Table:
    names, rows = cells(table, "\N{NO-BREAK SPACE}" * 4)
    right = frozenset(place for place, name in enumerate(names) if name not in _TEXTS)
    return Table([heading(name) for name in names], rows, table.attrs["total"], right)


def _picture(figure: Figure) -> str:
    from analysis.plots import style

    return Picture(style.png(figure)).src


def _over_time(contents: Contents) -> Figure:
    from analysis import overview
    from analysis.plots import captures, style

    with style.applied():
        return captures.over_time(overview.over_time(contents.packets, 200))


def _worst(contents: Contents) -> list[dict[str, Any]]:
    """Figures and a ladder of the connections with the most trouble."""
    found, sides = contents.health, contents.sides
    return [
        {
            "title": f"{row['client']} → {row['server']}",
            "connection": row["connection"],
            "verdict": row["verdict"],
            "figures": _figures(contents, int(row["connection"]), sides),
            "ladder": Markup(_ladder(contents, int(row["connection"]), sides)),
        }
        for row in found[found["trouble"] > 0].head(WORST).to_dict("records")
    ]


def _figures(contents: Contents, connection: int, sides: pd.DataFrame) -> list[dict[str, str]]:
    from analysis.plots import captures, style

    own = contents.segments[contents.segments["connection"] == connection]
    if (own["payload_bytes"] > 0).sum() < 2:
        return []
    mine = sides[sides["connection"] == connection]
    side = int(mine.sort_values("payload_bytes")["side"].iloc[-1])
    shown = own.head(_MOST_POINTS)
    rest = f", its first {_MOST_POINTS} segments" if len(own) > len(shown) else ""
    with style.applied():
        drawn = {
            f"Sequence numbers over time{rest}": captures.time_sequence(shown, side),
        }
        if shown[["ack_rtt_ns", "timestamp_rtt_ns"]].notna().any(axis=None):
            drawn[f"Round-trip times{rest}"] = captures.round_trips(shown)
        return [{"caption": caption, "src": _picture(one)} for caption, one in drawn.items()]


def _ladder(contents: Contents, connection: int, sides: pd.DataFrame) -> str:
    """The packets around a connection's first trouble."""
    from analysis import ladder, listing, messages
    from analysis.tcp import marks

    own = contents.segments[contents.segments["connection"] == connection]
    found = marks.marks(own)
    odd = found.loc[found["severity"].isin({"error", "warning", "note"}), "frame"]
    frames = own["frame"]
    at = int((frames < (odd.iloc[0] if len(odd) else 0)).sum())
    begin = max(0, min(at - _LADDER_BEFORE, len(own) - LADDER_PACKETS))
    packets = contents.packets.loc[own.index[begin : begin + LADDER_PACKETS]]
    said = contents.messages[contents.messages["frame"].isin(packets["frame"])]
    lines = listing.lines(packets, own, messages.by_frame(said))
    drawn = ladder.messages(packets, listing.named(lines), listing.problems(lines))
    if not drawn:
        return ""
    first = sides[sides["connection"] == connection].iloc[0]
    hosts = [str(first["src"]), str(first["dst"])]
    hosts = list(dict.fromkeys(hosts if first["side"] == 0 else hosts[::-1]))
    known = {end for message in drawn for end in (message.source, message.target)} <= {*hosts}
    title = f"Packets of connection {connection}"
    return ladder.svg(drawn, hosts if known else None, title=title)


def _odd(contents: Contents) -> list[dict[str, str]]:
    """The worst packets, each with its reason."""
    from analysis import listing, messages

    found = contents.odd[1]
    packets = contents.packets[contents.packets["frame"].isin(found["frame"])]
    said = contents.messages[contents.messages["frame"].isin(packets["frame"])]
    own = contents.segments[contents.segments.index.isin(packets.index)]
    lines = listing.lines(packets, own, messages.by_frame(said))
    first = int(contents.packets["time_ns"].iloc[0]) if len(contents.packets) else 0
    lines["text"] = listing.named(lines)
    rows = {row["frame"]: row for row in lines.to_dict("records")}
    return [
        {
            "frame": str(one.frame),
            "severity": str(one.severity),
            "time": f"{(rows[one.frame]['time_ns'] - first) / 1e9:.6f}",
            "from": rows[one.frame]["from"],
            "to": rows[one.frame]["to"],
            "text": rows[one.frame]["text"],
            "reason": str(one.text),
        }
        for one in found.itertuples()
    ]
