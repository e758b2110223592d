"""`testbed capture`: inspect any capture file."""

from __future__ import annotations

import io
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from testbed.cli.console import err, out
from testbed.core.errors import CaptureError, ConfigError, nearest
from testbed.core.files import write_text, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

FORMATS = ("parquet", "csv", "json")
MOST_DRAWN = 400

_SHORT = {
    "connection": "nr",
    "flow": "nr",
    "segments": "packets",
    "unique_bytes": "bytes",
    "wire_bytes": "wire bytes",
    "duration_s": "seconds",
    "retransmission": "resent",
    "duplicate_ack": "dup acks",
    "mss_bytes": "mss",
}
"""Table headings of columns."""

_FILE = click.argument("file", type=click.Path(path_type=Path, allow_dash=True))


_WHERE = click.option(
    "--where",
    metavar="FILTER",
    help="Only packets that pass this display filter, such as 'tcp.port == 80 and not arp'. "
    "Field names are Wireshark's or packet columns.",
)


@click.group()
def capture() -> None:
    """Show, summarise, draw or convert a capture (pcap, pcapng; also gzip, zstd; - is stdin)."""


@capture.command()
@_FILE
@click.option(
    "-n",
    "--count",
    type=click.IntRange(0, 1_000_000),
    default=50,
    show_default=True,
    help="Number of packets to show (0: all).",
)
@click.option("--columns", help="Comma-separated column names, shown instead of the description.")
@_WHERE
def show(file: Path, count: int, columns: str | None, where: str | None) -> None:
    """One line per packet."""
    from rich.table import Table

    from analysis import describe

    names = [name for name in (columns or "").split(",") if name]
    table = select(_read(file, where, payload="payload" in names), where)
    first = int(table["time_ns"].iloc[0]) if len(table) else 0
    shown = table.head(count) if count else table
    _known(table, names)
    view = Table(box=None, header_style="bold")
    for name in ["frame", "time s", *(names or ["from", "to", "protocol", "bytes", "says"])]:
        view.add_column(name, justify="right" if name in {"frame", "time s", "bytes"} else "left")
    said = [] if names else describe.packets(shown).tolist()
    for number, row in enumerate(shown.to_dict("records")):
        time_s = f"{(row['time_ns'] - first) / 1e9:.6f}"
        if names:
            cells = [_text(row[name]) for name in names]
        else:
            ends = [_text(row[f"ip_{e}"]) or _text(row[f"eth_{e}"]) for e in ("src", "dst")]
            cells = [*ends, _text(row["protocol"]), str(row["wire_bytes"]), str(said[number])]
            if row["malformed"]:
                cells[-1] += f" [malformed: {row['problem']}]"
        view.add_row(str(row["frame"]), time_s, *(cell.replace("[", r"\[") for cell in cells))
    out.print(view)
    if len(shown) < len(table):
        err.print(f"{len(shown)} of {len(table)} packets shown; --count 0 shows all")


@capture.command()
@_FILE
@click.option("--one-way", is_flag=True, help="One row per direction instead of per conversation.")
@click.option("--tcp", "as_tcp", is_flag=True, help="TCP connections with their analysis.")
def flows(file: Path, one_way: bool, as_tcp: bool) -> None:
    """Flows with their packets, bytes and rates."""
    from analysis import flows as metrics
    from analysis import tcp

    table = _read(file)
    if as_tcp:
        summed = tcp.connections(table, tcp.analyse(table))
        summed["rtt min ms"], summed["rtt ms"] = (
            summed[name] / 1e6 for name in ("rtt_min_ns", "rtt_median_ns")
        )
        summed = summed.rename(columns=_SHORT | {"goodput_mbps": "Mbit/s"})
        names = ["nr", "src", "sport", "dst", "dport", "packets", "bytes", "Mbit/s", "resent"]
        names += ["dup acks", "rtt min ms", "rtt ms", "mss", "close"]
    else:
        summed = metrics.flows(table, both_ways=not one_way)
        summed = summed.rename(columns=_SHORT | {"throughput_mbps": "Mbit/s"})
        names = ["nr", *metrics.FIVE_TUPLE, "packets", "wire bytes", "seconds", "Mbit/s"]
    _print(summed[names])


@capture.command()
@_FILE
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="SVG file to write [default: standard output].",
)
@_WHERE
@click.option("--hosts", help="Comma-separated addresses, from left to right.")
@click.option("--all", "unfolded", is_flag=True, help="Do not fold runs of similar messages.")
def ladder(
    file: Path, output: Path | None, where: str | None, hosts: str | None, unfolded: bool
) -> None:
    """Draw a ladder diagram (SVG)."""
    from analysis import describe
    from analysis import ladder as drawing

    _refuse_itself(file, output)
    table = _read(file, where)
    problems = _problems(table)
    table = select(table, where)
    lines = [host.strip() for host in hosts.split(",")] if hosts else None
    if lines:
        table = table[table["ip_src"].isin(lines) & table["ip_dst"].isin(lines)]
    drawn = drawing.messages(table, describe.packets(table), problems[table.index])
    if not unfolded:
        drawn = drawing.fold(drawn)
    if len(drawn) > MOST_DRAWN:
        err.print(
            f"the first {MOST_DRAWN} of {len(drawn)} messages are drawn; select fewer with --where"
        )
        drawn = drawn[:MOST_DRAWN]
    text = drawing.svg(drawn, lines, title=f"Messages in {file.name}")
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(output, text, what="--output")


@capture.command()
@_FILE
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--columns", help="Comma-separated column names [default: all].")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="[default: by the suffix of TARGET]"
)
def export(file: Path, target: Path, columns: str | None, form: str | None) -> None:
    """Convert to Parquet, CSV or JSON lines, in bounded memory; bytes are hexadecimal text."""
    from analysis import packets

    form = form or target.suffix.lstrip(".")
    if form not in FORMATS:
        raise ConfigError(
            f"export {target}: format '{form}' is unknown; "
            f"allowed: {', '.join(FORMATS)}{nearest(form, FORMATS)}"
        )
    _refuse_itself(file, target)
    names = columns.split(",") if columns else None
    source = sys.stdin.buffer if str(file) == "-" else file
    try:
        if form == "parquet":
            count = packets.to_parquet(source, target, names, hexadecimal=True)
        else:
            count = _write_rows(packets.read_chunks(source, names), target, form)
    except CaptureError as error:
        if len(error.packets):
            err.print(f"{target} contains the packets before the damage", highlight=False)
        raise
    err.print(f"{count} packets in {target}")


@capture.command("columns")
def columns_() -> None:
    """Print the table of packet columns (Markdown)."""
    from analysis.packets.columns import as_markdown

    click.echo(as_markdown(), nl=False)


def _refuse_itself(file: Path, target: Path | None) -> None:
    """The capture must not be overwritten by its own conversion."""
    if target is not None and file.is_file() and target.is_file() and file.samefile(target):
        raise ConfigError(f"{target}: is the capture itself; choose another file")


def _write_rows(chunks: Iterator[pd.DataFrame], target: Path, form: str) -> int:
    """Writes what can be read; damage is raised as an error once the file is complete."""
    from analysis.packets.export import in_hexadecimal

    first = next(chunks, None)  # before the target is touched: the source may not be a capture
    count, damage = 0, None
    with writing(target) as binary:
        file = io.TextIOWrapper(binary, "utf-8", newline="", write_through=True)
        try:
            for chunk in map(in_hexadecimal, chain([] if first is None else [first], chunks)):
                if form == "csv":
                    chunk.to_csv(file, index=False, header=count == 0)
                else:
                    chunk.to_json(file, orient="records", lines=True)
                count += len(chunk)
        except CaptureError as error:
            damage = error
        file.detach()
    if damage:
        raise damage
    return count


def _read(file: Path, where: str | None = None, *, payload: bool = False) -> pd.DataFrame:
    """The capture, with payloads if `where` or the caller needs them.

    If it is damaged: the part that could be read, with a warning.
    """
    from analysis import filters, packets

    wanted = None
    if payload or (where and filters.wants_payload(where)):
        wanted = list(packets.COLUMNS)
    try:
        table = packets.read(sys.stdin.buffer if str(file) == "-" else file, wanted)
    except CaptureError as error:
        if not len(error.packets):
            raise
        err.print(f"[bold]damaged:[/bold] {escape(str(error))}", highlight=False)
        table = error.packets
    if strange := table.attrs["links_not_decoded"]:
        which = ", ".join("unknown" if link < 0 else str(link) for link in strange)
        err.print(
            f"link type {which} is not decoded (www.tcpdump.org/linktypes.html); "
            "its packets have times and lengths only",
            highlight=False,
        )
    cut = table.attrs["truncated_at"]
    if cut is not None:
        err.print(f"the last packet, at byte {cut}, is cut off", highlight=False)
    return table


def select(table: pd.DataFrame, where: str | None) -> pd.DataFrame:
    """The packets that pass a filter.

    Raises:
        ConfigError: the filter is wrong; says what is wrong with it, and where.
    """
    from analysis import filters

    return table[filters.select(table, where)] if where else table


def _problems(table: pd.DataFrame) -> pd.Series[bool]:
    """True for retransmissions and for ACKs that signal a loss."""
    import pandas as pd

    from analysis import tcp

    segments = tcp.analyse(table)
    bad = segments["retransmission"] | segments["duplicate_ack"] | segments["out_of_order"]
    return pd.Series(False, table.index) | bad.reindex(table.index, fill_value=False)


def _known(table: pd.DataFrame, names: list[str]) -> None:
    for name in names:
        if name not in table:
            known = [str(column) for column in table]
            raise ConfigError(f"--columns: no packet column '{name}'{nearest(name, known)}")


def _text(value: object) -> str:
    import pandas as pd

    if isinstance(value, bytes):
        return value.hex()
    return "" if value is None or pd.isna(value) else str(value)  # type: ignore[call-overload]


def _print(frame: pd.DataFrame) -> None:
    from rich.table import Table

    view = Table(*map(str, frame), box=None, header_style="bold")
    for row in frame.itertuples(index=False):
        cells = [f"{cell:.4g}" if isinstance(cell, float) else _text(cell) for cell in row]
        view.add_row(*("" if cell == "nan" else cell for cell in cells))
    out.print(view)
