"""Segments in words, on a stored capture."""

from __future__ import annotations

from pathlib import Path

from analysis import describe, packets, segment_words, tcp

CAPTURE = Path(__file__).parent.parent / "captures" / "tcp-sender.pcap.gz"


def _described():
    columns = dict.fromkeys([*describe.COLUMNS, *tcp.NEEDED, "tcp_urgent"])
    found = packets.read(CAPTURE, columns=list(columns))
    found.attrs = {}
    found = found.assign(capture="here", info=describe.packets(found))
    return segment_words.described(found)


def test_numbers_count_from_the_handshake():
    found = _described()
    words = list(found[found["tcp_flags"].notna()]["info"].head(3))
    assert words == ["SYN 0:1", "SYN,ACK 0:1 ack 1", "ACK 1 ack 1"]


def test_blocks_lie_beyond_the_acknowledgement():
    told = _described()
    told = told[told["tcp_sack_count"].fillna(0) > 0]
    assert len(told)
    for words in told["info"].head(50):
        ack = int(words.partition(" ack ")[2].split()[0])
        left, right = map(int, words.partition(" SACK ")[2].split(",")[0].split(":"))
        assert ack < left < right


def test_other_packets_keep_their_words():
    found = _described()
    others = found[found["tcp_flags"].isna()]
    assert list(others["info"]) == list(describe.packets(others))
