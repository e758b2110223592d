"""TCP headers from bytes: fields, options, padding, checksum."""

from __future__ import annotations

import pytest

from analysis.dissect import tcp
from testbed.core.checksum import internet_checksum

ETHERNET = bytes(12) + b"\x08\x00"
IP = bytes.fromhex("4500003c 1c464000 40060000 ac100a63 ac100a0c")
SYN = bytes.fromhex(
    "9c42 1f41 a1b2c3d4 00000000 a002 faf0 0000 0000 020405b4 0402 080a 00000001 00000000 01 030307"
)
"""As Linux writes it: MSS, SACK permitted, timestamps, NOP, window scale."""


def _frame(segment: bytes = SYN, ip: bytes = IP) -> bytes:
    head = ip[:2] + (20 + len(segment)).to_bytes(2, "big") + ip[4:]
    return ETHERNET + head + segment


def test_options_fill_the_header() -> None:
    found = tcp.segment(_frame())
    assert found is not None
    options = [(o.name, o.length_bytes) for o in found.options()]
    assert options == [
        ("MSS", 4),
        ("SACK permitted", 2),
        ("timestamps", 10),
        ("NOP", 1),
        ("window scale", 3),
    ]
    assert found.header_bytes == 20 + sum(length for _, length in options) == 40


def test_fields_fill_the_rows() -> None:
    found = tcp.segment(_frame())
    assert found is not None
    fields = found.fields()
    assert sum(field.bits for field in fields) == 8 * found.header_bytes
    values = {field.name: field.value for field in fields}
    assert (values["source port"], values["destination port"]) == ("40002", "8001")
    assert (values["SYN"], values["ACK"], values["data offset"]) == ("1", "0", "10")
    assert (values["MSS"], values["window scale"], values["TSval"]) == (
        "kind 2, length 4: 1460",
        "kind 3, length 3: 7",
        "1",
    )


def test_checksum_covers_the_pseudo_header() -> None:
    bare = tcp.segment(_frame())
    assert bare is not None
    right = bare.computed()
    signed = SYN[:16] + right.to_bytes(2, "big") + SYN[18:]
    found = tcp.segment(_frame(signed))
    assert found is not None
    assert found.checksum == found.computed() == right
    assert found.computed(with_pseudo_header=False) != right
    assert internet_checksum(found.pseudo_header + found.octets) == 0


@pytest.mark.parametrize("data", [b"", b"\x01", b"odd", b"even"])
def test_a_sum_with_its_checksum_is_zero(data: bytes) -> None:
    padded = data + b"\0" * (len(data) % 2)
    assert internet_checksum(padded + internet_checksum(data).to_bytes(2, "big")) == 0


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        ETHERNET,
        _frame()[:40],
        _frame(SYN[:19]),
        _frame(SYN[:12] + b"\xf0" + SYN[13:]),  # a header longer than the segment
        _frame(SYN[:12] + b"\x40" + SYN[13:]),  # and one shorter than a header
        _frame(ip=IP[:9] + b"\x11" + IP[10:]),
        _frame(ip=IP[:6] + b"\x20\x00" + IP[8:]),
    ],
)
def test_what_is_no_whole_segment_is_none(frame: bytes) -> None:
    assert tcp.segment(frame) is None


@pytest.mark.parametrize("options", ["02", "0200", "0201ffff", "0209ffff", "fe"])
def test_lying_lengths_end_the_walk(options: str) -> None:
    area = bytes.fromhex(options).ljust(4, b"\x01")
    found = tcp.segment(_frame(SYN[:12] + b"\x60" + SYN[13:20] + area))
    assert found is not None
    assert sum(option.length_bytes for option in found.options()) <= 4
