"""Fragments of IP put together, so that payloads are whole (RFC 791 §3.2, RFC 8200 §4.5)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.packets.columns import COLUMNS as PACKET_COLUMNS
from analysis.packets.columns import need

COLUMNS = (
    "frame",
    "ip_src",
    "ip_dst",
    "ip_proto",
    "ip_bytes",
    "ip_header_bytes",
    "ip_id",
    "ip_mf",
    "ip_offset_bytes",
    "udp_sport",
    "udp_dport",
    "udp_bytes",
    "payload",
)
"""What `packets` must hold."""

_TCP = 6
_HEADER_BYTES = {17: 8, 1: 8, 58: 8}
"""Bytes of the transport header, which `payload` does not include: UDP, ICMP, ICMPv6."""

_MOST_TRIES = 16
"""How often fragments that overlap are joined before they are all there."""

_LONGEST_BYTES = 65_535  # RFC 791 §3.1
_OF_FRAME = ("time_s", *(name for name, c in PACKET_COLUMNS.items() if c.layer == "frame"))


def whole(packets: pd.DataFrame) -> pd.DataFrame:
    """The packets, one row per datagram.

    Args:
        packets: with `COLUMNS`; further columns are carried along.

    Returns:
        the packets that are no fragments, and a row for each datagram of UDP (or of a protocol
        without ports) that came in fragments: at the frame that completes it, with the first
        fragment's headers; at its first fragment's frame if some are missing. A column ``cut`` is
        True where bytes of the payload are not in the capture.
    """
    need(packets, COLUMNS)
    offset = packets["ip_offset_bytes"].fillna(0).to_numpy(np.int64)
    fragment = (offset > 0) | packets["ip_mf"].fillna(False).to_numpy(bool)
    fragment &= packets["ip_id"].notna().to_numpy(bool)
    fragment &= (packets["ip_proto"] != _TCP).fillna(False).to_numpy(bool)
    alone: pd.DataFrame = packets[~fragment]
    alone = alone.assign(cut=_cut(alone))
    if not fragment.any():
        return alone
    parts = _put_together(packets[fragment])
    return pd.concat([alone, parts]).sort_values("frame", kind="stable") if len(parts) else alone


def _cut(packets: pd.DataFrame) -> pd.Series[bool]:
    """True where the payload has fewer bytes than its headers say."""
    of_udp = packets["udp_bytes"] - _HEADER_BYTES[17]
    stated = of_udp.fillna(packets["ip_bytes"] - packets["ip_header_bytes"])
    other = packets["udp_bytes"].isna() & packets["ip_proto"].isin([_TCP, *_HEADER_BYTES])
    kept = packets["payload"].map(len, na_action="ignore").astype("Float64")
    short = (kept < stated.astype("Float64")).fillna(False) & ~other
    return short.astype(bool)


@dataclass
class _Datagram:
    """The fragments of one datagram as they come.

    Attributes:
        first: position of the first fragment, -1 until it came.
        last: position of the one that came last.
        header_bytes: of the transport header, which the first fragment's payload lacks.
        total: bytes of the IP payload, -1 until the last fragment came.
        kept: bytes that came.
        tries: how often they were joined before all had come.
        parts: place in the IP payload → bytes.
    """

    first: int = -1
    last: int = -1
    header_bytes: int = 0
    total: int = -1
    kept: int = 0
    tries: int = 0
    parts: dict[int, bytes] = field(default_factory=dict)

    def joined(self) -> tuple[bytes, bool]:
        """The payload as far as it is known, and whether that is all of it."""
        found, here = bytearray(), self.header_bytes
        for place in sorted(self.parts):
            if place > here:
                return bytes(found), False
            found += self.parts[place][here - place :]
            here = max(here, place + len(self.parts[place]))
        return bytes(found), 0 <= self.total <= here

    def add(self, at: int, place: int, octets: bytes, end: int, more: bool) -> None:
        """Takes in a fragment that states to end at `end`."""
        self.last = at
        if place not in self.parts:
            self.parts[place] = octets
            self.kept += len(octets)
        if not more:
            self.total = end

    def complete(self) -> bytes | None:
        """The payload, once it is all there."""
        if self.first < 0 or not 0 <= self.total - self.header_bytes <= self.kept:
            return None
        self.tries += 1
        data, whole_ = self.joined() if self.tries <= _MOST_TRIES else (b"", False)
        return data if whole_ else None


def _put_together(fragments: pd.DataFrame) -> pd.DataFrame:
    """A row for each datagram whose first fragment is there."""
    begun: dict[tuple[object, ...], _Datagram] = {}
    found: list[tuple[_Datagram, bytes, bool]] = []
    size = fragments["ip_bytes"] - fragments["ip_header_bytes"]
    names = ["ip_src", "ip_dst", "ip_proto", "ip_id", "ip_offset_bytes", "ip_mf", "payload"]
    columns = [fragments[name].tolist() for name in names]
    rows = zip(*columns, size.fillna(0).tolist(), strict=True)
    for at, (src, dst, proto, number, offset, more, payload, length) in enumerate(rows):
        key, place = (src, dst, proto, number), int(offset)
        octets = payload if isinstance(payload, bytes) else b""
        end = place + int(length)
        one = begun.setdefault(key, _Datagram())
        if place == 0:
            place = _HEADER_BYTES.get(proto, 0)
            if one.first >= 0 and one.parts.get(place) != octets:  # the number is used again
                found.append((one, one.joined()[0], False))
                one = begun[key] = _Datagram()
            one.first, one.header_bytes = at, place
        if end > _LONGEST_BYTES:
            continue
        one.add(at, place, octets, end, bool(more))
        data = one.complete()
        if data is not None:
            found.append((begun.pop(key), data, True))
    found += [(one, one.joined()[0], False) for one in begun.values()]
    return _rows(fragments, [one for one in found if one[0].first >= 0])


def _rows(fragments: pd.DataFrame, found: list[tuple[_Datagram, bytes, bool]]) -> pd.DataFrame:
    table = fragments.iloc[[one.first for one, _, _ in found]].copy()
    at = [one.last if complete else one.first for one, _, complete in found]
    for name in _OF_FRAME:
        if name in table:
            table[name] = fragments[name].take(at).array
    table.index = fragments.index.take(at)
    octets = pd.Series([data for _, data, _ in found], table.index, fragments["payload"].dtype)
    return table.assign(payload=octets, cut=[not complete for *_, complete in found])
