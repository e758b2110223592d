"""`testbed capture packet`: one packet in all detail, its fields next to their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from testbed.cli import text_table
from testbed.cli.capture_file import FILE, KEYS, CaptureFile
from testbed.results import capture_page

if TYPE_CHECKING:
    from analysis.tree import Node

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue")
"""Of layers, one after another."""

_ROW_BYTES, _DUMP_BYTES = 8, 16
"""Bytes in a line next to fields; in a line of data, which also has its characters."""

_HEX_COLUMNS = 3 * _ROW_BYTES - 1


@click.command()
@FILE
@click.argument("number", type=click.IntRange(1), metavar="N")
@KEYS
def packet(file: Path, number: int) -> None:
    """Packet N as a tree: layers, fields, values, and their bytes in hexadecimal.

    The offsets on the left count from the packet's first byte. What the whole capture says about
    the packet comes last: the messages that it completes, inside TLS and QUIC if there are keys,
    and what the TCP analysis found.
    """
    from analysis import packets, tree

    capture = CaptureFile(file)
    raw = packets.read_raw(capture.source, number)
    root = tree.of_packet(raw)
    text_table.write(click.style(f"{root.name}: {root.value}", bold=True))
    text_table.write(f"captured at {capture_page.time_text(raw.time_ns)}")
    if root.problem:
        text_table.write(click.style(root.problem, fg="red"))
    for layer, colour in zip(root.children, cycle(_COLOURS), strict=False):
        text_table.write()
        for depth, node in layer.walk():
            for line in _lines(node, depth, raw.data, colour):
                text_table.write(line)
    _write_analysis(capture, number)


def _lines(node: Node, depth: int, data: bytes, colour: str) -> Iterator[str]:
    """A node's line, and more lines for those of its bytes that do not fit there."""
    octets = b"" if node.children else data[node.start : node.start + node.length]
    label = "  " * depth + (f"{node.name}: {node.value}" if node.value else node.name)
    if node.children and node.length:
        label += f" ({node.length} bytes)"
    if node.problem:
        label += click.style(f"  [{node.problem}]", fg="red")
    beside = octets if len(octets) <= _DUMP_BYTES else b""
    offset = f"{node.start:04x}" if node.length or not depth else "    "
    hexa = beside[:_ROW_BYTES].hex(" ").ljust(_HEX_COLUMNS)
    yield f"{offset}  {click.style(hexa, fg=colour)}  {click.style(label, bold=not depth)}"
    for at in range(_ROW_BYTES, len(beside), _ROW_BYTES):
        rest = beside[at : at + _ROW_BYTES].hex(" ")
        yield f"{node.start + at:04x}  {click.style(rest, fg=colour)}"
    if len(octets) > _DUMP_BYTES:
        yield from hex_dump(octets, node.start, colour)


def hex_dump(octets: bytes, start: int, colour: str | None = None) -> Iterator[str]:
    """Bytes in hexadecimal and as characters, 16 a line.

    Args:
        octets: the bytes.
        start: what the offsets on the left begin with.
        colour: of the hexadecimal digits.
    """
    for at in range(0, len(octets), _DUMP_BYTES):
        row = octets[at : at + _DUMP_BYTES]
        hexa = row.hex(" ").ljust(3 * _DUMP_BYTES - 1)
        characters = "".join(chr(one) if 0x20 <= one < 0x7F else "." for one in row)
        yield f"{start + at:04x}  {click.style(hexa, fg=colour)}  {characters}"


def _write_analysis(capture: CaptureFile, number: int) -> None:
    """What the rest of the capture says about a packet."""
    from analysis import listing, tcp

    table = capture.table()
    own = table[table["frame"] == number]
    if own.empty:
        return
    segments = tcp.analyse(table)
    line = listing.lines(own, segments).iloc[0]
    since_s = (line["time_ns"] - int(table["time_ns"].iloc[0])) / 1e9
    rows = [("since the first packet", f"{since_s:.6f} s")]
    if said := capture.said(table, own).get(number):
        rows.append(("says", f"{said[0]}: {said[1]}"))
    segment = segments[segments.index.isin(own.index)]
    if len(segment):
        rows += _of_segment(segment.astype(object).where(segment.notna(), None).iloc[0])
    if line["marks"]:
        rows.append(("odd", line["marks"]))
    text_table.write()
    text_table.write(click.style("in the capture", bold=True))
    for name, value in rows:
        colour = "red" if name == "odd" else None
        text_table.write(click.style(f"  {name}: {value}", fg=colour))


def _of_segment(segment: Any) -> list[tuple[str, str]]:
    """The TCP analysis of one segment."""
    side = "the opener's" if segment["side"] == 0 else "the other"
    rows = [("TCP connection", f"{segment['connection']}, {side} side")]
    rows.append(("sequence number", f"{segment['seq']} (from the first one seen)"))
    if segment["ack"] is not None:
        rows.append(("acknowledges up to", str(segment["ack"])))
    rows.append(("receive window", f"{segment['window_bytes']} bytes"))
    if segment["bytes_in_flight"] is not None:
        rows.append(("in flight", f"{segment['bytes_in_flight']} bytes"))
    if segment["acks_frame"] is not None:
        again = ", which was sent more than once" if segment["ack_rtt_ambiguous"] else ""
        after_ms = segment["ack_rtt_ns"] / 1e6
        rows.append(("answers", f"packet {segment['acks_frame']} after {after_ms:.6g} ms{again}"))
    return rows
