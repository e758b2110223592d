"""Link layers: Ethernet with VLAN tags, Linux cooked v1 and v2, raw IP, null and loopback.

Link types by their LINKTYPE_ numbers (the tcpdump group's registry).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analysis.packets.table import Table
from analysis.packets.window import Mask, Window

Types = npt.NDArray[np.uint16]

ETHERNET, NULL, RAW, LOOP, COOKED, COOKED2 = 1, 0, 101, 108, 113, 276
RAW_IPV4, RAW_IPV6 = 228, 229
_RAW_ALIASES = (12, 14)  # DLT_RAW's numbers, found in old files
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
_VLAN_TAGS = (0x8100, 0x88A8, 0x9100)
_MOST_TAGS = 8
_LEAST_ETHERTYPE = 1536  # below it is an 802.3 length (IEEE 802.3 §3.2.6)
_AF_INET = 2
_AF_INET6 = (10, 24, 28, 30)  # Linux, NetBSD and OpenBSD, FreeBSD, Darwin


_KNOWN = frozenset({ETHERNET, NULL, RAW, LOOP, COOKED, COOKED2, RAW_IPV4, RAW_IPV6, *_RAW_ALIASES})


def is_known(link_type: int) -> bool:
    """True if packets of this link type are decoded."""
    return link_type in _KNOWN


def lead_bytes(link_type: int) -> int:
    """Copied from before the link header so that the next header begins at a whole word.

    There always are as many: those of the record's own header.
    """
    return 2 if link_type == ETHERNET else 0


def decode(out: Table, window: Window, link_type: int) -> tuple[Window | None, Types]:
    """Decodes one link type's header.

    Returns:
        the network layer's window and the EtherType of each of its rows (0: none known).
    """
    if link_type == ETHERNET:
        return _ethernet(out, window)
    if link_type in {COOKED, COOKED2}:
        return _cooked(out, window, link_type)
    if link_type in {RAW, RAW_IPV4, RAW_IPV6, *_RAW_ALIASES}:
        return window, _by_version(window)
    if link_type in {NULL, LOOP}:
        return _family(out, window, link_type)
    return None, np.zeros(0, np.uint16)


def _ethernet(out: Table, window: Window) -> tuple[Window | None, Types]:
    out.flag(window, window.wire < 14, "link header cut")
    if out.wants("eth_dst"):
        out.put_codes("eth_dst", window, out.macs.of, window.has(6), window.u48(0))
    if out.wants("eth_src"):
        out.put_codes("eth_src", window, out.macs.of, window.has(12), window.u48(6))
    kinds = window.u16(12)
    whole = window.has(14)
    if whole is not None:
        kinds[~whole] = 0
    tagged = _is_vlan(kinds)
    if not tagged.any():
        inner = window.next(14, whole)
        _put_type(out, window, kinds)
        return inner, _picked(kinds, window, inner, whole)
    length, kinds = _vlan(out, window, kinds, tagged)
    whole = (kinds > 0) & (window.captured >= length)
    _put_type(out, window, kinds)
    inner = window.next(length, whole)
    return inner, _picked(kinds, window, inner, whole)


def _is_vlan(kinds: Types) -> Mask:
    match: Mask = kinds == _VLAN_TAGS[0]
    match |= kinds == _VLAN_TAGS[1]
    match |= kinds == _VLAN_TAGS[2]
    return match


def _vlan(
    out: Table, window: Window, kinds: Types, tagged: Mask
) -> tuple[npt.NDArray[np.int64], Types]:
    """Reads the tags; returns the header's length and the type behind the tags."""
    length = np.full(len(window), 14, np.int64)
    for depth in range(_MOST_TAGS):
        at = 14 + 4 * depth
        out.flag(window, tagged & (window.wire < at + 4), "link header cut")
        cut = tagged & (window.captured < at + 4)
        kinds = np.where(cut, 0, kinds)
        tagged &= ~cut
        tag = window.u16(at)
        if depth == 0:
            if out.wants("vlan_id"):
                out.put("vlan_id", window, tag & 0x0FFF, tagged)
            if out.wants("vlan_pcp"):
                out.put("vlan_pcp", window, (tag >> 13).astype(np.uint8), tagged)
        elif depth == 1 and out.wants("vlan_inner_id"):
            out.put("vlan_inner_id", window, tag & 0x0FFF, tagged)
        length = np.where(tagged, at + 4, length)
        kinds = np.where(tagged, window.u16(at + 2), kinds)
        tagged = tagged & _is_vlan(kinds)
        if not tagged.any():
            break
    return length, kinds


def _put_type(out: Table, window: Window, kinds: Types) -> None:
    if out.wants("eth_type"):
        known = kinds >= _LEAST_ETHERTYPE
        out.put("eth_type", window, kinds, None if known.all() else known)


def _picked(kinds: Types, outer: Window, inner: Window | None, keep: Mask | None) -> Types:
    """The types of the inner window's rows."""
    if inner is None:
        return np.zeros(0, np.uint16)
    if len(inner) == len(outer):
        return kinds
    if keep is None:
        keep = outer.present
    return kinds if keep is None else kinds[keep]


def _cooked(out: Table, window: Window, link_type: int) -> tuple[Window | None, Types]:
    """Linux cooked capture: v1 has the type at its end, v2 at its start."""
    length = 16 if link_type == COOKED else 20
    sender, kind = (6, 14) if link_type == COOKED else (12, 0)
    out.flag(window, window.wire < length, "link header cut")
    whole = window.has(length)
    if out.wants("eth_src"):
        size = window.u16(4) if link_type == COOKED else window.u8(11)
        known = size == 6 if whole is None else (size == 6) & whole
        out.put_codes("eth_src", window, out.macs.of, known, window.u48(sender))
    kinds = window.u16(kind)
    if whole is not None:
        kinds[~whole] = 0
    _put_type(out, window, kinds)
    inner = window.next(length, whole)
    return inner, _picked(kinds, window, inner, whole)


def _by_version(window: Window) -> Types:
    version = window.u8(0) >> 4
    kinds = np.zeros(len(window), np.uint16)
    kinds[version == 4] = IPV4
    kinds[version == 6] = IPV6
    some = window.has(1)
    if some is not None:
        kinds[~some] = 0
    return kinds


def _family(out: Table, window: Window, link_type: int) -> tuple[Window | None, Types]:
    """Null and loopback: the socket family, in the capturing machine's byte order or network's."""
    out.flag(window, window.wire < 4, "link header cut")
    whole = window.has(4)
    family = window.u32(0)
    if link_type == NULL:
        swapped = family > 0xFFFF
        family = np.where(swapped, family.byteswap(), family)
    kinds = np.zeros(len(window), np.uint16)
    kinds[family == _AF_INET] = IPV4
    kinds[np.isin(family, _AF_INET6)] = IPV6
    if whole is not None:
        kinds[~whole] = 0
    inner = window.next(4, whole)
    return inner, _picked(kinds, window, inner, whole)
