"""ICMP, ICMPv6, UDP and TCP with its options."""

from __future__ import annotations

import numpy as np

from analysis.packets import options
from analysis.packets.network import Protos
from analysis.packets.table import Table
from analysis.packets.window import Ints, Mask, Window

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58

_IS_OTHER = ~np.isin(np.arange(256), (ICMP, TCP, UDP, ICMP6))
FLAG_BITS = 0x01FF
_TIMESTAMP_ONLY = np.frombuffer(b"\x01\x01\x08\x0a", "=u4")[0]
"""NOP NOP timestamp: what nearly every segment of an established connection carries."""


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
    other = window.only(_IS_OTHER[protos])
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
        out.put("tcp_flags", window, packed & FLAG_BITS, window.has(14))
    if out.wants("tcp_window"):
        out.put("tcp_window", window, window.stored(14, ">u2"), window.has(16))
    if out.wants("tcp_urgent"):
        out.put("tcp_urgent", window, window.stored(18, ">u2"), whole)
    if out.wants("tcp_header_bytes"):
        out.put("tcp_header_bytes", window, header, window.has(13))
    if out.wants("tcp_payload_bytes"):
        out.put("tcp_payload_bytes", window, window.wire - header, _both(good, window.present))
    if out.wants(*options.COLUMNS, "malformed", "problem"):
        put_options(out, window, header, good)
    return window.next(header, good) if out.wants("payload") else None


def _both(good: Mask, present: Mask | None) -> Mask | None:
    if present is not None:
        good = good & present
    return None if good.all() else good


def put_options(out: Table, window: Window, header: Ints, good: Mask) -> None:
    """Reads the options: the usual pattern at once, puts the others aside."""
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
        options.gather(out, window, header, rest)
