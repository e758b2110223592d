"""`testbed capture follow`: what the two sides of a connection said."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.printable import printable
from testbed.cli import capture_http, text_table
from testbed.cli.capture_file import FILE, KEYS, CaptureFile
from testbed.cli.capture_packet import hex_dump
from testbed.cli.console import err
from testbed.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from analysis.streams import Conversation, Part

_COLOURS = ("cyan", "magenta")
_ARROWS = ("→", "←")
MOST_BYTES = 256 << 20
"""Of a connection; more is not read into memory."""


@click.command()
@FILE
@click.option(
    "--stream",
    "number",
    type=click.IntRange(0),
    required=True,
    metavar="N",
    help="Number of the TCP connection, as in `flows --tcp` and Wireshark's tcp.stream.",
)
@click.option(
    "--quic",
    is_flag=True,
    help="N counts the QUIC connections instead; they are shown as messages, with HTTP/3.",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(["text", "http", "messages", "hex", "raw"]),
    default="text",
    show_default=True,
    help="http shows HTTP/1 messages with their bodies unpacked; messages shows one line per "
    "message or frame of HTTP, HTTP/2, TLS, DNS, …; raw writes bytes alone, for other programs.",
)
@click.option(
    "--side",
    type=click.Choice(["both", "client", "server"]),
    default="both",
    show_default=True,
    help="What one side said only.",
)
@KEYS
def follow(file: Path, number: int, quic: bool, form: str, side: str) -> None:
    """What both sides of a connection said, put together from its segments.

    Each byte comes once, in the order in which it could be read; what was sent again adds nothing.
    Gaps in the capture are named. With --keys, it is what was said inside TLS. Client (→) and
    server (←) differ in colour in a terminal. After a switch to WebSocket each frame has a line,
    without its mask and uncompressed. With --as http, bodies are shown without chunks and
    compression, each up to 1 MiB; of those that are not text, the first bytes in hexadecimal.
    """
    from analysis import follow as following
    from analysis import packets, tcp

    if form == "raw" and sys.stdout.isatty():
        raise ConfigError("--as raw: not to a terminal, which might obey the bytes; use > FILE")
    capture = CaptureFile(file)
    wanted = {"both": (0, 1), "client": (0,), "server": (1,)}[side]
    if quic:
        _write_quic(capture, number, form, wanted)
        return
    table = capture.table()
    own = following.connection(table, tcp.analyse(table), number)
    kept = own[own["captured_bytes"].cumsum() <= MOST_BYTES]
    if len(kept) < len(own):
        err.print(f"only the first {len(kept)} of {len(own)} packets of the connection are read")
    kept = packets.with_payloads(capture.source, kept)
    found = following.conversation(kept)
    if found is None:
        err.print("nothing was said in this connection", highlight=False)
        return
    if form == "http":
        _write_http(found, wanted)
        return
    switched = following.websocket(kept, found) if form == "text" else None
    said, frames = switched or (found, ())
    parts = (part for part in said.parts() if part.side in wanted)
    if form == "raw":
        for part in parts:
            sys.stdout.buffer.write(part.data)
        return
    _write_head(found)
    if form == "messages":
        for line in _as_messages(kept, found, wanted):
            text_table.write(line)
        return
    for line in _as_text(parts) if form == "text" else _as_hex(parts):
        text_table.write(line)
    for frame in frames:
        if frame.side in wanted:
            text_table.write(_line(frame.words.encode(), frame.side))


def _write_quic(capture: CaptureFile, number: int, form: str, sides: Collection[int]) -> None:
    """Datagrams of a QUIC connection: a line for each packet and each frame of HTTP/3."""
    from analysis import follow as following

    if form not in ("text", "messages"):
        raise ConfigError(f"--as {form}: only for TCP; leave it out with --quic")
    table = capture.table()
    datagrams = table[table["udp_sport"].notna() | (table["ip_offset_bytes"] > 0).fillna(False)]
    for one in following.quic(capture.dissected(table, datagrams), number):
        for text in one.texts if one.side in sides else ():
            said = f"{_ARROWS[one.side]} packet {one.frame}: {text}"
            text_table.write(click.style(said, fg=_COLOURS[one.side]))


def _write_head(found: Conversation) -> None:
    for name, stream, colour, arrow in zip(
        ("client", "server"), found.sides, _COLOURS, _ARROWS, strict=True
    ):
        missing = f", {stream.missing_bytes} missing" if stream.missing_bytes else ""
        said = f"{name} {stream.src} port {stream.sport}: {stream.end} bytes{missing}"
        text_table.write(click.style(f"{arrow} {said}", fg=colour, bold=True))
    text_table.write()


def _write_http(found: Conversation, wanted: tuple[int, ...]) -> None:
    """Messages, each below a line that says which packets brought it."""
    _write_head(found)
    count = 0
    for side, about, line in capture_http.lines(found, wanted):
        if about:
            if count and not about.startswith("body"):
                text_table.write()
            words = f"{_ARROWS[side]} [{printable(about)}]"
            text_table.write(click.style(words, fg=_COLOURS[side], bold=True))
        else:
            text_table.write(_line(line, side))
        count += 1
    if not count:
        err.print("no HTTP/1 message in what was said; --as text shows it", highlight=False)


def _gap(part: Part) -> str:
    """Says what is missing before a part."""
    lacking = f"{part.missing_bytes} bytes are missing in the capture"
    return click.style(f"{_ARROWS[part.side]} [{lacking}]", fg="red")


def _as_text(parts: Iterator[Part]) -> Iterator[str]:
    """Lines of both sides; one goes on in the next segment, but not behind a gap."""
    pending, before = bytearray(), 0
    for part in parts:
        if pending and (part.side != before or part.missing_bytes):
            yield _line(bytes(pending), before)
            pending.clear()
        if part.missing_bytes:
            yield _gap(part)
        before = part.side
        *lines, last = part.data.split(b"\n")
        for line in lines:
            yield _line(bytes(pending) + line, part.side)
            pending.clear()
        pending += last
    if pending:
        yield _line(bytes(pending), before)


def _line(octets: bytes, side: int) -> str:
    """One line, in the colour of its side; what is no visible text is written out."""
    text = octets.removesuffix(b"\r").decode("utf-8", "backslashreplace")
    line = f"{_ARROWS[side]} {printable(text.expandtabs())}".rstrip()
    return click.style(line, fg=_COLOURS[side])


def _as_messages(
    packets: pd.DataFrame, found: Conversation, sides: Collection[int]
) -> Iterator[str]:
    """Messages of both sides, each with the packet that completes it."""
    from analysis import messages

    client = (found.client.src, found.client.sport)
    ends = packets.set_index("frame")[["ip_src", "tcp_sport"]]
    for message in messages.find(packets).to_dict("records"):
        src, port = ends.loc[message["frame"]]
        side = 0 if (str(src), int(port)) == client else 1
        if side in sides:
            said = f"packet {message['frame']}: {message['protocol']} {message['text']}"
            yield click.style(f"{_ARROWS[side]} {said}", fg=_COLOURS[side])


def _as_hex(parts: Iterator[Part]) -> Iterator[str]:
    """Bytes of both sides; offsets count from the beginning of each side's stream."""
    at = [0, 0]
    for part in parts:
        if part.missing_bytes:
            yield _gap(part)
            at[part.side] += part.missing_bytes
        colour = _COLOURS[part.side]
        yield click.style(f"{_ARROWS[part.side]} packet {part.frame}", fg=colour)
        yield from hex_dump(part.data, at[part.side], colour)
        at[part.side] += len(part.data)
