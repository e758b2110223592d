"""ARP, IPv4 and IPv6: from the network layer's window to the transport's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analysis.packets import link
from analysis.packets.table import Table
from analysis.packets.window import Ints, Mask, Window, take

Protos = npt.NDArray[np.uint8]

NO_TRANSPORT = 255
"""Marks rows behind which no transport header follows (IANA: reserved)."""

_EXTENSIONS = {
    0: "hop-by-hop",
    43: "routing",
    44: "fragment",
    51: "authentication",
    60: "destination",
    135: "mobility",
    139: "host-identity",
    140: "shim6",
}
"""IPv6 extension headers (IANA registry); ESP ends what can be read."""

_MOST_EXTENSIONS = 16
_IS_EXTENSION = np.isin(np.arange(256), list(_EXTENSIONS))


def is_decoded(kinds: link.Types) -> Mask:
    """True for EtherTypes whose headers are read here."""
    match: Mask = np.isin(kinds, (link.IPV4, link.IPV6, link.ARP))
    return match


def arp(out: Table, window: Window) -> None:
    """ARP for IPv4 over Ethernet (RFC 826)."""
    out.flag(window, window.wire < 8, "ARP cut")
    out.put("arp_op", window, window.u16(6), window.has(8)) if out.wants("arp_op") else None
    usual = window.raw32(0) == np.frombuffer(b"\0\1\x08\0", "=u4")[0]
    usual &= window.u16(4) == 0x0604
    out.flag(window, usual & (window.wire < 28), "ARP cut")
    whole = window.has(28)
    known = usual if whole is None else usual & whole
    for name, at in (("arp_sender_mac", 8), ("arp_target_mac", 18)):
        if out.wants(name):
            out.put_codes(name, window, out.macs.of, known, window.u48(at))
    for name, at in (("arp_sender_ip", 14), ("arp_target_ip", 24)):
        if out.wants(name):
            out.put_codes(name, window, out.ips.of, known, window.u32(at))


def ipv4(out: Table, window: Window) -> tuple[Window | None, Protos]:
    """IPv4 (RFC 791). Returns the transport's window and the protocol of each of its rows."""
    first = window.u8(0)
    header = (first & 15).astype(np.int32) * 4
    stated = window.u16(2)
    # Segmentation offload writes 0 into packets longer than the field can say.
    total = np.where(stated == 0, window.wire, stated.astype(np.int32))
    whole = window.has(20)
    good = _check_ipv4(out, window, whole, first, header, total)
    _put_ipv4(out, window, whole, first, header, total)
    fragment = window.u16(6)
    later = (fragment & 0x1FFF) != 0
    out.note_fragments(window, good & ~later & ((fragment & 0x2000) != 0))
    protos = window.u8(9)
    if out.wants("ip_proto"):
        out.put("ip_proto", window, protos, window.has(10))
    protos[later] = NO_TRANSPORT
    inner = window.next(header, good, end=total)
    return inner, _picked(protos, window, inner, good)


def _check_ipv4(
    out: Table, window: Window, whole: Mask | None, first: Protos, header: Ints, total: Ints
) -> Mask:
    """Flags what contradicts itself; returns rows whose payload can be found."""
    out.flag(window, window.wire < 20, "IP header cut")
    version = (first >> 4) == 4
    length = header >= 20
    fits = (total >= header) & (total <= window.wire)
    good: Mask = version & length & (total >= header)
    if whole is not None:
        good &= whole
    if not (good.all() and fits.all()):
        some = window.has(1)
        seen = np.ones(len(window), np.bool_) if some is None else some
        out.flag(window, seen & ~version, "IP version")
        out.flag(window, seen & version & ~length, "IP header length")
        seen = np.ones(len(window), np.bool_) if whole is None else whole
        out.flag(window, seen & version & length & ~fits, "IP length")
    return good


def _put_ipv4(
    out: Table, window: Window, whole: Mask | None, first: Protos, header: Ints, total: Ints
) -> None:
    if out.wants("ip_version"):
        out.put("ip_version", window, first >> 4, window.has(1))
    if out.wants("ip_header_bytes"):
        out.put("ip_header_bytes", window, header, window.has(1))
    if out.wants("ip_dscp", "ip_ecn"):
        traffic_class, known = window.u8(1), window.has(2)
        _put_class(out, window, traffic_class, known)
    if out.wants("ip_bytes"):
        out.put("ip_bytes", window, total, window.has(4))
    if out.wants("ip_id"):
        out.put("ip_id", window, window.stored(4, ">u2"), window.has(6))
    if out.wants("ip_df", "ip_mf", "ip_offset_bytes"):
        fragment, known = window.u16(6), window.has(8)
        for name, values in (
            ("ip_df", (fragment & 0x4000) != 0),
            ("ip_mf", (fragment & 0x2000) != 0),
            ("ip_offset_bytes", (fragment & 0x1FFF) * np.int32(8)),
        ):
            if out.wants(name):
                out.put(name, window, values, known)
    if out.wants("ip_ttl"):
        out.put("ip_ttl", window, window.stored(8, "u1"), window.has(9))
    if out.wants("ip_checksum_ok"):
        _put_checksum(out, window, header, whole)
    if out.wants("ip_src"):
        out.put_codes("ip_src", window, out.ips.of, window.has(16), window.u32(12))
    if out.wants("ip_dst"):
        out.put_codes("ip_dst", window, out.ips.of, whole, window.u32(16))


def _put_class(out: Table, window: Window, traffic_class: Protos, known: Mask | None) -> None:
    """DSCP and ECN (RFC 2474 §3, RFC 3168 §5)."""
    if out.wants("ip_dscp"):
        out.put("ip_dscp", window, traffic_class >> 2, known)
    if out.wants("ip_ecn"):
        out.put("ip_ecn", window, traffic_class & 3, known)


def _put_checksum(out: Table, window: Window, header: Ints, whole: Mask | None) -> None:
    """The ones' complement sum of the header is 0xFFFF (RFC 1071); any byte order will do."""
    total = np.zeros(len(window), np.uint32)
    for at in range(0, min(int(header.max()), 60), 4):
        word = window.raw32(at)
        if at >= 20:
            word = np.where(at >= header, np.uint32(0), word)
        total += word & np.uint32(0xFFFF)
        total += word >> np.uint32(16)
    total = (total & np.uint32(0xFFFF)) + (total >> np.uint32(16))
    right = (total == 0xFFFF) | (total == 0x1FFFE)
    known: Mask = (header >= 20) & (window.captured >= header)
    if whole is not None:
        known &= whole
    out.put("ip_checksum_ok", window, right, None if known.all() else known)


def _picked(protos: Protos, outer: Window, inner: Window | None, keep: Mask) -> Protos:
    if inner is None:
        return np.zeros(0, np.uint8)
    if len(inner) == len(outer):
        return protos
    return protos[keep if outer.present is None else keep & outer.present]


def ipv6(out: Table, window: Window) -> tuple[Window | None, Protos]:
    """IPv6 and its extension headers (RFC 8200). Returns the transport's window and protocols."""
    first = window.u32(0)
    payload = window.u16(4).astype(np.int32)
    # A jumbo payload, or segmentation offload, writes 0.
    total = np.where(payload == 0, window.wire, payload + 40)
    whole = window.has(40)
    version = (first >> 28) == 6
    seen = np.ones(len(window), np.bool_) if whole is None else whole
    out.flag(window, window.wire < 40, "IP header cut")
    out.flag(window, seen & ~version, "IP version")
    out.flag(window, seen & version & (total > window.wire), "IP length")
    _put_ipv6(out, window, first, total)
    good = seen & version
    chain = _Extensions(out, window, good, total)
    if out.wants("ip_proto"):
        out.put("ip_proto", window, chain.proto, _known(window, chain.read))
    if out.wants("ip_header_bytes"):
        out.put("ip_header_bytes", window, chain.header, _known(window, chain.read))
    good &= chain.goes_on
    inner = window.next(chain.header, good, end=total)
    protos = np.where(chain.later, np.uint8(NO_TRANSPORT), chain.proto)
    return inner, _picked(protos, window, inner, good)


def _known(window: Window, good: Mask) -> Mask:
    return good if window.present is None else good & window.present


def _put_ipv6(out: Table, window: Window, first: npt.NDArray[np.uint32], total: Ints) -> None:
    if out.wants("ip_version"):
        out.put("ip_version", window, (first >> 28).astype(np.uint8), window.has(4))
    if out.wants("ip_dscp", "ip_ecn"):
        _put_class(out, window, (first >> 20).astype(np.uint8), window.has(4))
    if out.wants("ip6_flow_label"):
        out.put("ip6_flow_label", window, first & 0xFFFFF, window.has(4))
    if out.wants("ip_bytes"):
        out.put("ip_bytes", window, total, window.has(6))
    if out.wants("ip_ttl"):
        out.put("ip_ttl", window, window.u8(7), window.has(8))
    for name, at in (("ip_src", 8), ("ip_dst", 24)):
        if out.wants(name):
            high, low = window.u64(at), window.u64(at + 8)
            out.put_codes(name, window, out.ips.of_pairs, window.has(at + 16), high, low)


class _Extensions:
    """Follows the chains of extension headers of a window, all packets one header at a time.

    Attributes:
        proto: (rows,) protocol behind the chain.
        header: (rows,) length of the fixed header and the chain in bytes.
        read: (rows,) the chain was captured whole.
        goes_on: (rows,) the place of what follows is known.
        later: (rows,) no transport header follows, but a later part of a fragmented packet.
    """

    def __init__(self, out: Table, window: Window, good: Mask, total: Ints) -> None:
        self.out, self.window, self.total = out, window, np.minimum(total, window.wire)
        self.proto = window.u8(6)
        self.header = np.full(len(window), 40, np.int32)
        self.goes_on, self.read = good.copy(), good.copy()
        self.later = np.zeros(len(window), np.bool_)
        self.names: dict[int, str] = {}
        present = good if window.present is None else good & window.present
        rows = np.flatnonzero(present & _IS_EXTENSION[self.proto])
        for _ in range(_MOST_EXTENSIONS):
            if not len(rows):
                break
            rows = self._one(rows)
        self._fail(rows)
        if self.names and out.wants("ip6_extensions"):
            codes = np.full(len(window), -1, np.int32)
            for row, names in self.names.items():
                if self.read[row]:
                    codes[row] = out.texts["ip6_extensions"].of_one(names)
            out.put("ip6_extensions", window, codes, codes >= 0)

    def _one(self, rows: Ints) -> Ints:
        """Passes one header in each of the rows; returns rows with another behind it."""
        at = self.header[rows]
        room = self.total[rows] - at
        self._fail(rows[room < 8])
        cut = (self.window.captured[rows] < at + 8) | (room < 8)
        self.goes_on[rows[cut]] = self.read[rows[cut]] = False
        rows = rows[~cut]
        if not len(rows):
            return rows
        head = take(self.window.data, self.window.start[rows] + self.header[rows], 8)
        octets = head.view(np.uint8).reshape(-1, 8)
        kind = self.proto[rows]
        self._name(rows, kind)
        self._fragments(rows[kind == 44], octets[kind == 44])
        size = (octets[:, 1].astype(np.int64) + 1) * 8
        size = np.where(kind == 44, 8, size)
        size = np.where(kind == 51, (octets[:, 1].astype(np.int64) + 2) * 4, size)  # RFC 4302 §2.2
        self.header[rows] += size
        self.proto[rows] = octets[:, 0]
        self._fail(rows[self.header[rows] > self.total[rows]])
        rows = rows[self.goes_on[rows] & ~self.later[rows]]
        return rows[_IS_EXTENSION[self.proto[rows]]]

    def _fail(self, rows: Ints) -> None:
        bad = np.zeros(len(self.window), np.bool_)
        bad[rows] = True
        self.goes_on[rows] = False
        self.out.flag(self.window, bad, "IPv6 extension header")

    def _name(self, rows: Ints, kinds: Protos) -> None:
        if self.out.wants("ip6_extensions"):
            for row, kind in zip(rows.tolist(), kinds.tolist(), strict=True):
                before = self.names.get(row)
                name = _EXTENSIONS[kind]
                self.names[row] = f"{before},{name}" if before else name

    def _fragments(self, rows: Ints, octets: npt.NDArray[np.uint8]) -> None:
        """The fragment header (RFC 8200 §4.5): only the first fragment has a transport header."""
        if not len(rows):
            return
        where = np.zeros(len(self.window), np.bool_)
        where[rows] = True
        word = octets[:, 2].astype(np.int64) << 8 | octets[:, 3]
        identification = octets[:, 4:8].copy().view(">u4")[:, 0]
        for name, values in (
            ("ip_offset_bytes", word & 0xFFF8),
            ("ip_mf", (word & 1) != 0),
            ("ip_id", identification),
        ):
            if self.out.wants(name):
                full = np.zeros(len(self.window), values.dtype.newbyteorder("="))
                full[rows] = values
                self.out.put_where(name, self.window, full, where)
        self.later[rows[(word & 0xFFF8) != 0]] = True
        first = np.zeros(len(self.window), np.bool_)
        first[rows[(word & 0xFFF9) == 1]] = True
        self.out.note_fragments(self.window, first)


def decode(out: Table, window: Window, kinds: link.Types) -> list[tuple[Window, Protos]]:
    """Decodes the network layer; returns the transport windows with their protocols."""
    found = []
    for kind, decoder in ((link.IPV4, ipv4), (link.IPV6, ipv6)):
        here = window.only(kinds == kind)
        if here is not None:
            inner, protos = decoder(out, here)
            if inner is not None:
                found.append((inner, protos))
    requests = window.only(kinds == link.ARP)
    if requests is not None:
        arp(out, requests)
    return found
