"""HTTP/1 messages of a capture (RFC 9110, RFC 9112), whole, over reassembled streams."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis import decode_as, streams, tls
from analysis.dissect import tables
from analysis.dissect.http_messages import Message, messages
from analysis.streams import Beginnings, Conversation
from analysis.tcp.flows import Mask

PORTS = (80, 8000, 8008, 8080, 8888, 3128)
COLUMNS = streams.COLUMNS
"""What `packets` must hold. Messages are known by their first line, whatever the port; in
TLS, if `analysis.tls.set_keys` gave the keys."""

MESSAGE = (
    "frame",
    "first_frame",
    "head_frame",
    "connection",
    "kind",
    "method",
    "target",
    "status",
    "reason",
    "version",
    "host",
    "content_type",
    "content_bytes",
    "body_bytes",
    "headers",
    "body",
    "request_frame",
    "complete",
    "cut",
    "malformed",
    "problem",
)

MOST_BODY_BYTES = 1 << 16


def read(
    packets: pd.DataFrame,
    ports: Collection[int] | None = None,
    *,
    most_body_bytes: int = MOST_BODY_BYTES,
) -> pd.DataFrame:
    """One row per message, in the order in which they were complete.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_ns`` are carried along.
        ports: where a stream whose beginning was not captured is searched for messages; None:
            `PORTS`, as `analysis.decode_as` changes them.
        most_body_bytes: how much of each body is kept in ``body``.

    Returns:
        the columns of `packets` (at the frame that completes the message) but the payload, and:

        - ``first_frame``, ``head_frame``: the frames that bring the first byte and complete the
          head; ``connection`` (as in `analysis.tcp.analyse`)
        - ``kind`` (``request``, ``response``), ``method``, ``target``, ``status``, ``reason``,
          ``version``
        - ``headers`` ((name as sent, value), …), and of them ``host``, ``content_type``,
          ``content_bytes`` (Content-Length, if it is a number); None where not given
        - ``body`` (its first `most_body_bytes`, still compressed if it was sent so, without the
          framing of chunks), ``body_bytes`` (all of it)
        - ``request_frame``: of a response the frame that completes the request it answers
        - ``complete``: the message came to its end; ``cut``: the capture lacks a part of it;
          ``malformed`` and ``problem``: it breaks RFC 9112, and how; ``cut`` and ``problem``: it is
          the last of `analysis.dissect.http_messages.MOST_MESSAGES`; those behind are not read
    """
    ports = decode_as.ports(packets, "http", PORTS) if ports is None else ports
    rows = [
        row(conversation, message)
        for conversation in tls.conversations(packets, wanted=partial(may_speak, ports))
        for message in messages(conversation, ports, most_body_bytes)
    ]
    rows.sort(key=lambda row: row["frame"])
    table = tables.with_messages(packets, rows, MESSAGE)
    numbers = ("first_frame", "head_frame", "status", "content_bytes", "request_frame")
    return table.astype(dict.fromkeys(numbers, "Int64"))


def header(message: Mapping[Any, Any], name: str) -> str:
    """The value of a header of a row of `read`, of several the first; empty if there is none."""
    return next(iter(header_values(message, name)), "")


def header_values(message: Mapping[Any, Any], name: str) -> list[str]:
    """All values of a header of a row of `read`, in their order; its name in any case."""
    return [str(v) for key, v in message["headers"] if str(key).lower() == name.lower()]


def token_claims(token: str) -> dict[str, Any]:
    """The claims of a JSON Web Token, which anyone can read (RFC 7519 §3); empty if it is none."""
    try:
        part = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def text(message: Mapping[Any, Any]) -> str:
    """The body of a row of `read` as text, without spaces and line ends around it."""
    return bytes(message["body"]).decode("utf-8", "replace").strip()


def may_speak(ports: Collection[int], pieces: Beginnings) -> Mask:
    """Streams that begin with a capital letter, as methods and versions do, or have the ports."""
    letter = (pieces.first >= ord("A")) & (pieces.first <= ord("Z"))
    known = np.array(sorted(ports), np.int64)
    own = np.isin(pieces.sport, known) | np.isin(pieces.dport, known)
    speaks: Mask = (pieces.head & letter) | own
    return speaks


def row(conversation: Conversation, message: Message) -> dict[str, Any]:
    """A message's row of the table, of HTTP/1 or HTTP/2."""
    stream = conversation.sides[message.side]
    length = message.header("content-length") or ""
    request = message.request
    return {
        "frame": last_frame(conversation, message),
        "first_frame": stream.frame(message.begin),
        "head_frame": stream.delivered(max(message.begin, message.head_end - 1)),
        "connection": conversation.connection,
        "kind": message.kind,
        "method": message.method,
        "target": message.target,
        "status": message.status,
        "reason": message.reason,
        "version": message.version,
        "host": message.header("host"),
        "content_type": message.header("content-type"),
        "content_bytes": int(length) if length.isdecimal() and len(length) < 19 else None,
        "body_bytes": message.body_bytes,
        "headers": message.headers,
        "body": message.body,
        "request_frame": None if request is None else last_frame(conversation, request),
        "complete": message.complete,
        "cut": message.cut,
        "malformed": bool(message.problem) and not message.cut,
        "problem": message.problem or None,
    }


def last_frame(conversation: Conversation, message: Message) -> int:
    """The frame that completes a message; what the stream's end completes, its FIN does."""
    stream = conversation.sides[message.side]
    if message.by_close:
        return stream.close_frame
    return stream.delivered(max(message.begin, message.end - 1))
