"""What both sides of a connection said, in the order in which it could be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from analysis import messages, tls
from analysis.dissect import quic as dissect_quic
from analysis.dissect import websocket as websocket_frames
from analysis.streams import Conversation, Run, Stream
from testbed.core.errors import ConfigError


def connection(packets: pd.DataFrame, segments: pd.DataFrame, number: int) -> pd.DataFrame:
    """The packets of one connection.

    Args:
        packets: the capture.
        segments: of `analysis.tcp.analyse(packets)`.
        number: of the connection, from 0, as Wireshark's ``tcp.stream``.

    Raises:
        ConfigError: there is no such connection.
    """
    own = segments.index[segments["connection"] == number]
    if not len(own):
        count = segments["connection"].nunique()
        there = f"there are 0 to {count - 1}" if count else "the capture has no TCP connection"
        raise ConfigError(f"--stream {number}: no such connection; {there}")
    return packets.loc[own]


def conversation(packets: pd.DataFrame) -> Conversation | None:
    """What was said in a connection; None: nothing.

    Args:
        packets: of `connection`, with `payload`; with the keys of `analysis.tls.set_keys`, what was
            said inside TLS is given.
    """
    return next(tls.conversations(packets), None)


@dataclass(frozen=True)
class Datagram:
    """A datagram of a QUIC connection.

    Attributes:
        frame: its number.
        side: 0 from the client, 1 from the server.
        texts: its packets, and the frames of HTTP/3 that it completes, in words.
    """

    frame: int
    side: int
    texts: tuple[str, ...]


def quic(packets: pd.DataFrame, number: int) -> list[Datagram]:
    """The datagrams of a QUIC connection, wherever its client moves.

    Args:
        packets: the capture's of UDP, as for `messages.find`.
        number: of the connection, from 0, in the order of their first packets.

    Raises:
        ConfigError: there is no such connection.
    """
    found = dissect_quic.packets(packets)
    own = found[found["connection"] == number]
    if own.empty:
        count = found["connection"].nunique()
        there = f"there are 0 to {count - 1}" if count else "the capture has no QUIC connection"
        raise ConfigError(f"--stream {number}: no such connection of QUIC; {there}")
    sides = dict(zip(own["frame"].tolist(), (~own["from_client"]).astype(int), strict=True))
    said = messages.find(packets, frozenset({"quic", "http3"}))
    texts = said[said["frame"].isin(sides)].groupby("frame", sort=True)["text"]
    return [Datagram(int(str(frame)), sides[frame], tuple(text)) for frame, text in texts]


@dataclass(frozen=True)
class Frame:
    """One WebSocket frame.

    Attributes:
        side: 0 from the client, 1 from the server.
        words: kind, size, and text if it is readable.
    """

    side: int
    words: str


def websocket(
    packets: pd.DataFrame, found: Conversation
) -> tuple[Conversation, Iterator[Frame]] | None:
    """A connection that switched to WebSocket: what was said before, and the frames after it.

    Args:
        packets: of `connection`, with `payload`.
        found: of `conversation(packets)`.

    Returns:
        None if it did not switch.
    """
    response = websocket_frames.handshake(found)
    if response is None:
        return None
    ends = [found.client.end, found.server.end]
    ends[response.side] = response.end
    if response.request:
        ends[response.request.side] = response.request.end
    client, server = (_until(*pair) for pair in zip(found.sides, ends, strict=True))
    return replace(found, client=client, server=server), _frames(packets, response.side)


def _frames(packets: pd.DataFrame, server: int) -> Iterator[Frame]:
    table = websocket_frames.read(packets)
    for row in table.astype(object).where(table.notna(), None).to_dict("records"):
        side = server if row["side"] == "server" else 1 - server
        problem = f" [{row['problem']}]" if row["malformed"] else " [cut]" * bool(row["cut"])
        yield Frame(side, messages.websocket_words(row) + problem)


def _until(stream: Stream, end: int) -> Stream:
    """A stream without what lies behind a place."""
    runs = []
    for run in stream.runs:
        if run.begin < end:
            octets = run.data[: end - run.begin]
            runs.append(Run(run.begin, run.missing_bytes, run.cut, (octets,)))
    return replace(stream, runs=tuple(runs))
