"""TLS opened with the secrets that its endpoints logged (RFC 5246, RFC 8446).

    table = packets.read("h1-eth0.pcap", packets.COLUMNS)
    tls.set_keys(table, [key_log.read("keys/h1.log")])
    http.read(table)                                   # reads what is inside TLS, too

Every dissector that takes its streams from `conversations` reads connections whose secrets are
known as if there were no TLS: the streams' bytes are the application's, with the frames that
completed their records. All other connections stay as they are.

Ciphers and signatures are those of the library ``cryptography`` (``make extra-tls``), which is
loaded when the first record is opened. Wireshark's own decryption (tshark) would need a program of
some 100 MB wherever a run is judged, give other text with each version, and not say which bytes
came with which packet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial

import pandas as pd

from analysis import streams
from analysis.streams import Beginnings, Conversation
from analysis.tcp.flows import Mask
from analysis.tls import key_log, private_key
from analysis.tls.key_log import KeyLog
from analysis.tls.opened import opened
from analysis.tls.records import may_begin
from analysis.tls.suites import library_is_there

__all__ = [
    "KeyLog",
    "conversations",
    "key_log",
    "keys_of",
    "library_is_there",
    "opened",
    "private_key",
    "set_keys",
]

_ATTRIBUTE = "tls_keys"


def set_keys(packets: pd.DataFrame, logs: Iterable[KeyLog]) -> None:
    """Lets dissectors of these packets open TLS; without logs, it stays closed.

    What is selected from the table has the keys, too.
    """
    found = KeyLog.merged(logs)
    packets.attrs.pop(_ATTRIBUTE, None)
    if found:
        packets.attrs[_ATTRIBUTE] = found


def keys_of(packets: pd.DataFrame) -> KeyLog | None:
    """The secrets that a table carries along."""
    found = packets.attrs.get(_ATTRIBUTE)
    return found if isinstance(found, KeyLog) else None


def conversations(
    packets: pd.DataFrame,
    ports: Collection[int] | None = None,
    wanted: Callable[[Beginnings], Mask] | None = None,
) -> Iterator[Conversation]:
    """Connections as `analysis.streams.conversations` gives them, TLS opened where possible.

    Args:
        packets: as there; with the keys of `set_keys`.
        ports: as there.
        wanted: as there; with keys, connections that may be TLS come, too.
    """
    keys = keys_of(packets)
    chosen = wanted if wanted is None or keys is None else partial(_either, wanted)
    for conversation in streams.conversations(packets, ports, chosen):
        inside = opened(conversation, keys) if keys else None
        yield inside or conversation


def _either(wanted: Callable[[Beginnings], Mask], pieces: Beginnings) -> Mask:
    both: Mask = wanted(pieces) | may_begin(pieces)
    return both
