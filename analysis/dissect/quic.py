"""QUIC in a capture (RFC 9000, RFC 9001): its packets and their frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import datagrams, tls
from analysis.dissect import tables
from analysis.packets.columns import need
from analysis.quic.connections import Connections, Datagram, Packet
from analysis.quic.frames import MALFORMED, PADDING, Frame
from analysis.quic.headers import VERSIONS, is_long

COLUMNS = datagrams.COLUMNS
"""What `packets` must hold. Connections are known by their first packet, whatever the port."""

FRAME = (
    "frame",
    "connection",
    "from_client",
    "packet",
    "version",
    "target_id",
    "source_id",
    "number",
    "key_phase",
    "packet_bytes",
    "token_bytes",
    "versions",
    "opened",
    "type",
    "stream",
    "offset",
    "data_bytes",
    "fin",
    "limit",
    "unidirectional",
    "largest",
    "ack_delay",
    "ranges",
    "sequence",
    "retired_below",
    "id",
    "challenge",
    "error",
    "code",
    "reason",
    "server_name",
    "alpn",
    "malformed",
    "problem",
)

PACKET = (*FRAME[: FRAME.index("type")], "cut", "frames", "server_name", "alpn", "malformed")

_NUMBERS = (
    *("number", "key_phase", "packet_bytes", "token_bytes", "stream", "offset", "data_bytes"),
    *("limit", "largest", "ack_delay", "sequence", "retired_below", "code"),
)


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """One row per frame of QUIC, and one per packet that has none or stays closed.

    Initial packets are opened by what they say themselves, all others with the keys of
    `analysis.tls.set_keys`.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_ns`` are carried along.

    Returns:
        the columns of `packets` but the payload, and:

        - ``connection`` (from 0), ``from_client``
        - of the packet's header: ``packet`` (``Initial``, ``0-RTT``, ``Handshake``, ``1-RTT``,
          ``Retry``, ``Version Negotiation``; ``unknown`` for other versions), ``version`` (``1``,
          ``2``, else hexadecimal), ``target_id`` and ``source_id`` (hexadecimal; short headers
          have no source), ``packet_bytes``, ``token_bytes``, ``versions`` (offered, with commas)
        - ``opened``; of an opened packet ``number`` and ``key_phase`` (of short headers)
        - ``type`` of the frame; empty: none
        - the frame's fields: ``stream``, ``offset``, ``data_bytes`` (of CRYPTO, STREAM, DATAGRAM,
          NEW_TOKEN and PADDING), ``fin``, ``limit`` (MAX_… and …_BLOCKED), ``unidirectional``,
          ``largest``, ``ack_delay`` (as sent), ``ranges`` ((low, high), …) of ACK, ``sequence``,
          ``retired_below`` and ``id`` of connection ids, ``challenge``, ``error`` and ``reason``
          (CONNECTION_CLOSE), ``code`` (of the application)
        - ``server_name`` and ``alpn`` (with commas) of the client's hello, at the packet that
          completes it
        - ``malformed`` and ``problem``: the packet could not be read on, and why
    """
    rows = [row for packet in every(packets) for row in _rows(packet, packet.frames)]
    table = tables.with_messages(packets, rows, FRAME)
    return table.astype({**dict.fromkeys(_NUMBERS, "Int64"), "connection": "int64"})


def packets(packets: pd.DataFrame) -> pd.DataFrame:
    """One row per packet of QUIC.

    Args:
        packets: as for `read`.

    Returns:
        as from `read` up to ``opened``, ``server_name``, ``alpn`` and ``malformed``, and ``cut``
        (the capture lacks its end) and ``frames``: of an opened packet, in a few words each.
    """
    rows = []
    for packet in every(packets):
        about = next(_rows(packet, packet.frames[-1:]))  # a malformed frame is the last one
        told = Counter(words for frame in packet.frames if (words := frame_words(frame)))
        about["frames"] = ", ".join(f"{n} × {w}" if n > 1 else w for w, n in told.items())
        about["cut"] = packet.datagram.cut
        rows.append(about)
    table = tables.with_messages(packets, rows, PACKET)
    numbers = [name for name in PACKET if name in _NUMBERS]
    return table.astype({**dict.fromkeys(numbers, "Int64"), "connection": "int64"})


def client_randoms(packets: pd.DataFrame) -> Iterator[bytes]:
    """The random values of the clients' hellos, by which key logs name connections.

    Args:
        packets: as for `read`; needs no keys, and reads Initial packets alone.
    """
    connections = Connections(None)
    for datagram in _datagrams(packets):
        if is_long(datagram.data):
            for packet in connections.packets(datagram):
                if packet.hello is not None:
                    yield packet.hello.random


def every(packets: pd.DataFrame) -> Iterator[Packet]:
    """All QUIC packets, in the order of the capture."""
    found = list(_datagrams(packets))
    if any(is_long(datagram.data) for datagram in found):  # else no connection begins
        connections = Connections(tls.keys_of(packets))
        for datagram in found:
            yield from connections.packets(datagram)


def _datagrams(packets: pd.DataFrame) -> Iterator[Datagram]:
    """UDP datagrams that begin with one of the two bits that QUIC's do."""
    need(packets, COLUMNS)
    of_udp = packets["udp_sport"].notna() | (packets["ip_offset_bytes"] > 0).fillna(False)
    found = datagrams.whole(packets[of_udp.astype(bool)])
    found = found[found["payload"].notna() & found["udp_sport"].notna()]
    first = np.array([data[0] if data else 0 for data in found["payload"]], int)
    found = found[first >= 0x40]
    columns = ["frame", "ip_src", "udp_sport", "ip_dst", "udp_dport", "payload", "cut"]
    for frame, source, sport, target, dport, data, cut in found[columns].itertuples(index=False):
        ends = (str(source), int(sport)), (str(target), int(dport))
        yield Datagram(int(frame), *ends, data, bool(cut))


def _rows(packet: Packet, frames: Sequence[Frame]) -> Iterator[dict[str, Any]]:
    """A row for each of the packet's frames that are given, or one if there are none."""
    header, opened = packet.header, packet.opened
    version = packet.version if header.version is None else header.version
    about: dict[str, Any] = {
        "frame": packet.datagram.frame,
        "connection": packet.connection,
        "from_client": packet.from_client,
        "packet": header.type,
        "version": version_name(version),
        "target_id": header.target.hex(),
        "source_id": None if header.source is None else header.source.hex(),
        "packet_bytes": header.end - header.begin,
        "token_bytes": len(header.token),
        "versions": ",".join(map(version_name, header.versions)),
        "opened": opened is not None,
        "malformed": False,
    }
    if opened is not None:
        about |= {"number": opened.number, "key_phase": opened.key_phase}
    if packet.hello is not None:
        about |= {"server_name": packet.hello.server_name, "alpn": ",".join(packet.hello.alpn)}
    for frame in frames or (Frame("", {}),):
        malformed = frame.type == MALFORMED
        yield {**about, "type": frame.type, "malformed": malformed, **frame.about}


def frame_words(frame: Frame) -> str:
    """A frame in a few words; nothing for padding."""
    about = frame.about
    if frame.type == PADDING:
        return ""
    words = [frame.type]
    if "stream" in about:
        words.append(str(about["stream"]))
    for field, text in _WORDS.items():
        if field in about:
            words.append(text.format(about[field]))
    return " ".join([*words, "end"] if about.get("fin") else words)


_WORDS = {
    "data_bytes": "{} bytes",
    "largest": "{}",
    "limit": "{}",
    "error": "{}",
    "problem": "({})",
}


def version_name(number: int) -> str:
    """``1``, ``2``, or hexadecimal."""
    return VERSIONS.get(number, f"0x{number:08x}")
