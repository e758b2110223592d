"""HTTP messages of a connection as lines, for `testbed capture follow --as http`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from testbed.cli.capture_packet import hex_dump

if TYPE_CHECKING:
    from analysis.dissect.http_coding import Body
    from analysis.dissect.http_messages import Message
    from analysis.streams import Conversation

MOST_BODY_BYTES = 1 << 20
"""Of each body, as it was sent and unpacked."""

_MOST_DUMPED_BYTES = 256


def lines(conversation: Conversation, wanted: tuple[int, ...]) -> Iterator[tuple[int, str, bytes]]:
    """The messages of a connection, in the order in which they were complete.

    Args:
        conversation: the connection; where it is not seen from its beginning, messages are looked
            for at HTTP's usual ports, or else the server is the side that is called so.
        wanted: the sides to show.

    Yields:
        side, words about the message (or about its body), and a line of it; one of both is empty.
    """
    from analysis.dissect import http, http_coding
    from analysis.dissect.http_messages import messages

    ends = {conversation.client.sport, conversation.server.sport}
    ports = ends.intersection(http.PORTS) or {conversation.server.sport}
    found = [
        (http.last_frame(conversation, message), message)
        for message in messages(conversation, ports, MOST_BODY_BYTES)
        if message.side in wanted
    ]
    for last, message in sorted(found, key=lambda one: one[0]):
        first = conversation.sides[message.side].frame(message.begin)
        yield message.side, _about(message, first, last), b""
        for line in _head(message):
            yield message.side, "", line
        body = http_coding.decoded(message, MOST_BODY_BYTES)
        if message.body_bytes:
            yield message.side, _about_body(message, body), b""
        for line in _body_lines(body.data):
            yield message.side, "", line


def _about(message: Message, first: int, last: int) -> str:
    """Which packets brought a message, and what is wrong with it."""
    packets = f"packet {first}" if first == last else f"packets {first} to {last}"
    if message.problem:
        return f"{message.kind}, {packets}: {message.problem}"
    part = ", in part" if message.cut else "" if message.complete else ", ends too early"
    return f"{message.kind}, {packets}{part}"


def _head(message: Message) -> Iterator[bytes]:
    """First line and fields."""
    if message.kind == "request":
        first = f"{message.method or ''} {message.target or ''} HTTP/{message.version}"
    else:
        first = f"HTTP/{message.version} {message.status or ''} {message.reason or ''}"
    if message.version:
        yield first.encode("latin-1")
    for name, value in message.headers:
        yield f"{name}: {value}".encode("latin-1")


def _about_body(message: Message, body: Body) -> str:
    """Size of a body, how it was packed, and what of it is not shown."""
    coded = f", {', '.join(body.codings)} undone" if body.codings else ""
    more = f"; the first {len(body.data)} bytes of what it holds" if body.more else ""
    problem = f"; {body.problem}" if body.problem else ""
    return f"body, {message.body_bytes} bytes{coded}{more}{problem}"


def _body_lines(data: bytes) -> Iterator[bytes]:
    """Text as it is; of anything else the first bytes in hexadecimal."""
    if not data:
        return
    if _is_text(data):
        yield from data.removesuffix(b"\n").split(b"\n")
        return
    for line in hex_dump(data[:_MOST_DUMPED_BYTES], 0):
        yield click.unstyle(line).encode()
    if len(data) > _MOST_DUMPED_BYTES:
        yield f"… {len(data) - _MOST_DUMPED_BYTES} more bytes".encode()


def _is_text(data: bytes) -> bool:
    """UTF-8 without control characters other than blanks; a character may be cut at the end."""
    if any(one < 0x20 and one not in b"\t\n\r\f" for one in data):
        return False
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(data) - 3 and len(data) > 3
    return True
