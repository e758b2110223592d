"""ICMP, ICMPv6, UDP and TCP with its options."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analysis.packets.network import Protos
from analysis.packets.table import Table
from analysis.packets.walk import words
from analysis.packets.window import Ints, Mask, Window

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58

_FLAG_BITS = 0x01FF
_TIMESTAMP_ONLY = np.frombuffer(b"\x01\x01\x08\x0a", "=u4")[0]
"""NOP NOP timestamp: what nearly every segment of an established connection carries."""

_OPTION_COLUMNS = (
    "tcp_mss", "tcp_wscale", "tcp_sack_permitted", "tcp_tsval", "tcp_tsecr", "tcp_sack_count",
    *(f"tcp_sack{i}_{side}" for i in (1, 2, 3, 4) for side in ("left", "right")),
)  # fmt: skip


def decode(out: Table, window: Window, protos: Protos) -> list[Window]:
    """Decodes the transport layer; returns the payloads' windows."""
    payloads = []
    for numbers, decoder in (((TCP,), tcp), ((UDP,), udp), ((ICMP, ICMP6), icmp)):
        match = protos == numbers[0]
        for number in numbers[1:]:
            match |= protos == number
        here = window.only(match)
        if here is not None:
            payload = decoder(out, here)
            if payload is not None:
                payloads.append(payload)
    known = np.isin(protos, (ICMP, TCP, UDP, ICMP6))
    other = window.only(~known)
    if other is not None:
        payloads.append(other)
    return payloads


def udp(out: Table, window: Window) -> Window | None:
    """UDP (RFC 768)."""
    whole = window.has(8)
    length = window.u16(4).astype(np.int32)
    length = np.where(length == 0, window.wire, length)  # jumbograms, offload
    out.flag(window, window.wire < 8, "UDP header cut", but_fragments=True)
    good = (length >= 8) & (length <= window.wire)
    out.flag(window, ~good if whole is None else ~good & whole, "UDP length", but_fragments=True)
    _put_ports(out, window, "udp")
    if out.wants("udp_bytes"):
        out.put("udp_bytes", window, length, window.has(6))
    good = length >= 8
    return window.next(8, good if whole is None else good & whole, end=length)


def _put_ports(out: Table, window: Window, layer: str) -> None:
    for name, at in ((f"{layer}_sport", 0), (f"{layer}_dport", 2)):
        if out.wants(name):
            out.put(name, window, window.stored(at, ">u2"), window.has(at + 2))


def icmp(out: Table, window: Window) -> Window | None:
    """ICMP and ICMPv6 (RFC 792, RFC 4443, RFC 4861)."""
    out.flag(window, window.wire < 4, "ICMP header cut", but_fragments=True)
    kind = window.u8(0)
    if out.wants("icmp_type"):
        out.put("icmp_type", window, kind, window.has(1))
    if out.wants("icmp_code"):
        out.put("icmp_code", window, window.u8(1), window.has(2))
    # IPv6's type numbers differ; 128 and 129 mean nothing in IPv4, nor 0 and 8 in IPv6.
    echo = _present(window, (kind == 8) | (kind == 0) | (kind == 128) | (kind == 129), 8)
    if out.wants("icmp_id"):
        out.put("icmp_id", window, window.u16(4), echo)
    if out.wants("icmp_seq"):
        out.put("icmp_seq", window, window.u16(6), echo)
    if out.wants("icmp_mtu"):
        too_big = ((kind == 3) & (window.u8(1) == 4)) | ((kind == 2) & (window.u8(1) == 0))
        values = np.where(kind == 3, window.u32(4) & 0xFFFF, window.u32(4))  # RFC 1191 §4
        out.put("icmp_mtu", window, values, _present(window, too_big, 8))
    redirect = _present(window, kind == 5, 8)
    if out.wants("icmp_gateway") and redirect.any():
        out.put_codes("icmp_gateway", window, out.ips.of, redirect, window.u32(4))
    target = _present(window, (kind == 135) | (kind == 136) | (kind == 137), 24)
    if out.wants("icmp6_target") and target.any():
        high, low = window.u64(8), window.u64(16)
        out.put_codes("icmp6_target", window, out.ips.of_pairs, target, high, low)
    return window.next(8, window.has(8))


def _present(window: Window, match: Mask, length: int) -> Mask:
    whole = window.has(length)
    return match if whole is None else match & whole


def tcp(out: Table, window: Window) -> Window | None:
    """TCP (RFC 9293)."""
    out.flag(window, window.wire < 20, "TCP header cut", but_fragments=True)
    whole = window.has(20)
    packed = window.u16(12)
    header = (packed >> 12).astype(np.int32) * 4
    good = (header >= 20) & (header <= window.wire)
    out.flag(
        window, ~good if whole is None else ~good & whole, "TCP header length", but_fragments=True
    )
    if whole is not None:
        good &= whole
    _put_ports(out, window, "tcp")
    if out.wants("tcp_seq"):
        out.put("tcp_seq", window, window.stored(4, ">u4"), window.has(8))
    if out.wants("tcp_ack"):
        out.put("tcp_ack", window, window.stored(8, ">u4"), window.has(12))
    if out.wants("tcp_flags"):
        out.put("tcp_flags", window, packed & _FLAG_BITS, window.has(14))
    if out.wants("tcp_window"):
        out.put("tcp_window", window, window.stored(14, ">u2"), window.has(16))
    if out.wants("tcp_urgent"):
        out.put("tcp_urgent", window, window.stored(18, ">u2"), whole)
    if out.wants("tcp_header_bytes"):
        out.put("tcp_header_bytes", window, header, window.has(13))
    if out.wants("tcp_payload_bytes"):
        out.put("tcp_payload_bytes", window, window.wire - header, _both(good, window.present))
    if out.wants(*_OPTION_COLUMNS, "malformed", "problem"):
        _options(out, window, header, good)
    return window.next(header, good) if out.wants("payload") else None


def _both(good: Mask, present: Mask | None) -> Mask | None:
    if present is not None:
        good = good & present
    return None if good.all() else good


def _options(out: Table, window: Window, header: Ints, good: Mask) -> None:
    """Reads the options: the usual pattern at once, all others one option at a time."""
    have = (header > 20) & good
    if window.present is not None:
        have &= window.present
    usual = have & (header == 32) & (window.raw32(20) == _TIMESTAMP_ONLY)
    if int(window.captured.min()) < 32:
        usual &= window.captured >= 32
    known = None if usual.all() else usual
    if out.wants("tcp_tsval"):
        out.put("tcp_tsval", window, window.stored(24, ">u4"), known)
    if out.wants("tcp_tsecr"):
        out.put("tcp_tsecr", window, window.stored(28, ">u4"), known)
    rest = np.flatnonzero(have & ~usual)
    if len(rest):
        _OtherOptions(out, window, header, rest).read()


class _OtherOptions:
    """Reads the options of the few segments that carry more than a timestamp."""

    def __init__(self, out: Table, window: Window, header: Ints, rows: Ints) -> None:
        self.out, self.window, self.rows = out, window, rows
        self.octets = window.matrix(20, 40)[rows]
        self.words = words(self.octets.reshape(-1), ">")
        self.stated = header[rows] - 20
        self.end = np.minimum(self.stated, window.captured[rows] - 20)
        self.bad = np.zeros(len(rows), np.bool_)

    def read(self) -> None:
        """Walks all segments' options side by side; each step passes one option."""
        at = np.zeros(len(self.rows), np.int64)
        live = np.flatnonzero(at < self.end)
        while len(live):
            here = at[live]
            kind = self.octets[live, here]
            size = np.ones(len(live), np.int64)
            with_length = kind > 1
            cut = with_length & (here + 1 >= self.end[live])
            self.bad[live[cut & (here + 1 >= self.stated[live])]] = True
            size[with_length] = self.octets[
                live[with_length], np.minimum(here[with_length] + 1, 39)
            ]
            lies = with_length & ~cut & ((size < 2) | (here + size > self.stated[live]))
            self.bad[live[lies]] = True
            inside = with_length & ~cut & ~lies & (here + size <= self.end[live])
            self._store(live[inside], kind[inside], size[inside], here[inside])
            on = ~cut & ~lies & (kind != 0)
            at[live[on]] += size[on]
            live = live[on]
            live = live[at[live] < self.end[live]]
        wrong = np.zeros(len(self.window), np.bool_)
        wrong[self.rows[self.bad]] = True
        self.out.flag(self.window, wrong, "TCP option length")

    def _number(self, which: Ints, at: Ints, width: int) -> npt.NDArray[np.uint32]:
        """The number of 1, 2 or 4 bytes that ends at `at + width`."""
        last = which * 40 + at + width - 4  # never negative: a kind and a length stand before
        value: npt.NDArray[np.uint32] = self.words[last].astype(np.uint32)
        value &= np.uint32((1 << 8 * width) - 1)
        return value

    def _put(self, name: str, which: Ints, values: npt.NDArray[np.uint32] | Mask) -> None:
        if len(which) and self.out.wants(name):
            self.out.put_rows(name, self.window, self.rows[which], values)

    def _store(self, which: Ints, kind: Protos, size: Ints, at: Ints) -> None:
        """Options of RFC 9293 §3.1, RFC 7323 (2, 3) and RFC 2018 (2, 3)."""

        seen = np.bincount(kind, minlength=9)
        for number, length in ((2, 4), (3, 3), (4, 2), (8, 10)):
            if not seen[number]:
                continue
            those = kind == number
            match = those & (size == length)
            self.bad[which[those & ~match]] = True
            self._store_one(number, which[match], at[match])
        if seen[5]:
            self._sack(which, kind, size, at)

    def _store_one(self, number: int, rows: Ints, begin: Ints) -> None:
        if number == 2:
            self._put("tcp_mss", rows, self._number(rows, begin + 2, 2))
        elif number == 3:
            self._put("tcp_wscale", rows, self._number(rows, begin + 2, 1))
        elif number == 4:
            self._put("tcp_sack_permitted", rows, np.ones(len(rows), np.bool_))
        else:
            self._put("tcp_tsval", rows, self._number(rows, begin + 2, 4))
            self._put("tcp_tsecr", rows, self._number(rows, begin + 6, 4))

    def _sack(self, which: Ints, kind: Protos, size: Ints, at: Ints) -> None:
        match = (kind == 5) & (size >= 10) & ((size - 2) % 8 == 0)
        self.bad[which[(kind == 5) & ~match]] = True
        rows, begin, count = which[match], at[match], (size[match] - 2) // 8
        self._put("tcp_sack_count", rows, count)
        for block in range(1, int(count.max(initial=0)) + 1):
            have = count >= block
            left = begin[have] + 2 + 8 * (block - 1)
            self._put(f"tcp_sack{block}_left", rows[have], self._number(rows[have], left, 4))
            self._put(f"tcp_sack{block}_right", rows[have], self._number(rows[have], left + 4, 4))
