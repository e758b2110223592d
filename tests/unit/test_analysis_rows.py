import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analysis import occurrence
from testbed.core.tables import label


@given(st.lists(st.integers(-3, 3)))
def test_each_value_is_counted_in_order(values):
    expected = pd.Series(values, dtype="int64").to_frame("x").groupby("x").cumcount().tolist()
    assert occurrence(np.array(values, np.int64)).tolist() == expected


def test_a_label_is_a_column_like_any_other():
    frame = pd.DataFrame({"a": [1, 2]}, index=[7, 7])
    label(frame, "flow", "tx1")
    pd.testing.assert_frame_equal(
        frame, pd.DataFrame({"flow": ["tx1", "tx1"], "a": [1, 2]}, index=[7, 7])
    )
