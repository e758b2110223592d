"""The application's bytes of a TLS connection, as streams like those of TCP."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.streams import Conversation, Run, Stream
from analysis.tls import session
from analysis.tls.key_log import KeyLog
from analysis.tls.records import APPLICATION


def opened(conversation: Conversation, keys: KeyLog) -> Conversation | None:
    """What the applications at both ends of a connection said to each other inside TLS.

    Args:
        conversation: the connection.
        keys: the secrets.

    Returns:
        the same connection with other streams: their bytes are those of the records with
        application data (a piece is a record's content), early data only if the server takes them;
        their frames those that completed the records. Where a record cannot be opened, or the
        capture has a hole, the stream ends as ``open`` with bytes missing. None: not TLS, or its
        secrets are not known.
    """
    found = session.read(conversation, keys)
    if found is None or not keys.knows(found.client_hello.random):
        return None
    if not any(one.protected and one.data is not None for side in found.sides for one in side):
        return None
    sides = found.sides[::-1] if found.swapped else found.sides
    client, server = map(_inside, conversation.sides, sides)
    return Conversation(conversation.connection, client, server)


def _inside(stream: Stream, side: tuple[session.Opened, ...]) -> Stream:
    """One stream's application data."""
    pieces: list[bytes] = []
    frames: list[int] = []
    missing_bytes = stream.missing_bytes
    for one in side:
        if one.refused:
            continue  # nobody read it; what the application still has to say comes again
        if one.data is None:
            missing_bytes += len(one.record.body)
        elif one.content == APPLICATION and one.protected and one.data:
            pieces.append(one.data)
            frames.append(one.record.frame)
    starts = np.cumsum([0, *map(len, pieces)])[:-1].astype(np.int64)
    runs = [Run(0, 0, False, tuple(pieces))] if pieces else []
    end = sum(map(len, pieces))
    whole = not missing_bytes and not session.unread(stream, side)
    if missing_bytes:
        runs.append(Run(end + missing_bytes, missing_bytes, False, ()))
    return replace(
        stream,
        runs=tuple(runs),
        from_start=True,
        starts=starts,
        frames=np.array(frames, np.int64),
        close=stream.close if whole else "open",
        close_frame=stream.close_frame if whole else 0,
    )
