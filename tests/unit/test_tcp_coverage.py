"""Bytes counted once, when they first come, against a set that knows every byte."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.tcp.coverage import new_bytes, new_bytes_of_streams


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=30))
def test_each_byte_counts_when_it_first_comes(segments):
    seen: set[int] = set()
    expected = []
    for seq, size in segments:
        mine = set(range(seq, seq + size))
        expected.append(len(mine - seen))
        seen |= mine
    seq = np.array([s for s, _ in segments], np.int64)
    end = seq + np.array([n for _, n in segments], np.int64)
    assert new_bytes(seq, end).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(1, 12)), max_size=40))
def test_streams_do_not_touch_each_other(segments):
    stream, seq, size = np.array(segments, np.int64).reshape(-1, 3).T
    expected = np.zeros(len(seq), np.int64)
    for number in np.unique(stream):
        mine = stream == number
        expected[mine] = new_bytes(seq[mine], seq[mine] + size[mine])
    assert new_bytes_of_streams(stream, seq, seq + size).tolist() == expected.tolist()
