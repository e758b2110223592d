"""Bytes counted once, when they first come, against a set that knows every byte."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.tcp.coverage import new_bytes


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
