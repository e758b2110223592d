"""`testbed capture`: inspect any capture file."""

from __future__ import annotations

import io
import json
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli import text_table
from testbed.cli.capture_file import FILE, CaptureFile, refuse_itself
from testbed.cli.capture_follow import follow
from testbed.cli.capture_ladder import ladder
from testbed.cli.capture_packet import packet
from testbed.cli.capture_show import show
from testbed.cli.capture_stats import report, stats
from testbed.cli.console import err
from testbed.cli.view import capture_view
from testbed.core.errors import CaptureError, ConfigError, nearest
from testbed.core.files import writing
from testbed.core.quantities import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

FORMATS = ("parquet", "csv", "json")

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

_TEXTS = frozenset({"protocol", "src", "dst", "close"})


@click.group()
def capture() -> None:
    """Show, summarise, draw or convert a capture (pcap, pcapng; also gzip, zstd; - is stdin)."""


for _command in (show, packet, follow, ladder, stats, report, capture_view):
    capture.add_command(_command)


@capture.command()
@FILE
@click.option("--one-way", is_flag=True, help="One row per direction instead of per conversation.")
@click.option("--tcp", "as_tcp", is_flag=True, help="TCP connections with their analysis.")
def flows(file: Path, one_way: bool, as_tcp: bool) -> None:
    """Flows with their packets, bytes and rates."""
    from analysis import flows as metrics
    from analysis import tcp

    table = CaptureFile(file).table()
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
    text_table.frame(summed[names], left=_TEXTS)


@capture.command()
@FILE
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--columns", help="Comma-separated column names [default: all].")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="[default: by the suffix of TARGET]"
)
@click.option(
    "--messages",
    "protocol",
    metavar="PROTOCOL",
    help="The messages of a protocol, such as http or http2, instead of the packets.",
)
def export(
    file: Path, target: Path, columns: str | None, form: str | None, protocol: str | None
) -> None:
    """Convert to Parquet, CSV or JSON lines, in bounded memory; bytes are hexadecimal text."""
    from analysis import packets

    form = form or target.suffix.lstrip(".")
    if form not in FORMATS:
        raise ConfigError(
            f"export {target}: format '{form}' is unknown; "
            f"allowed: {', '.join(FORMATS)}{nearest(form, FORMATS)}"
        )
    refuse_itself(file, target)
    names = columns.split(",") if columns else None
    if protocol:
        _export_messages(CaptureFile(file), target, form, protocol, names)
        return
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
    err.print(f"{number(count, 'packets')} in {target}")


def _export_messages(
    file: CaptureFile, target: Path, form: str, protocol: str, wanted: list[str] | None
) -> None:
    """Writes a dissector's table."""
    from analysis.filters.names import DISSECTORS, NEEDED

    if protocol not in DISSECTORS:
        raise ConfigError(
            f"--messages: no protocol '{protocol}'; "
            f"allowed: {', '.join(DISSECTORS)}{nearest(protocol, DISSECTORS)}"
        )
    packets = file.table(payload=True)
    found = DISSECTORS[protocol](packets[[*dict.fromkeys([*NEEDED[protocol], "time_ns"])]])
    for name in wanted or ():
        if name not in found:
            raise ConfigError(f"--columns: no column '{name}'{nearest(name, map(str, found))}")
    found = (found[wanted] if wanted else found).astype(object).map(_plain)
    with writing(target) as binary:
        if form == "parquet":
            found.convert_dtypes().to_parquet(binary, index=False)
        elif form == "csv":
            found.to_csv(binary, index=False)
        else:
            found.to_json(binary, orient="records", lines=True)
    err.print(f"{len(found)} messages in {target}")


def _plain(cell: object) -> object:
    """A cell as text or number: bytes in hexadecimal, pairs and lists as JSON."""
    if isinstance(cell, bytes):
        return cell.hex()
    return json.dumps(cell) if isinstance(cell, tuple | list) else cell


@capture.command("columns")
def columns_() -> None:
    """Print the table of packet columns (Markdown)."""
    from analysis.packets.columns import as_markdown

    click.echo(as_markdown(), nl=False)


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
