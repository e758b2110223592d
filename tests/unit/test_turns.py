from analysis.turns import changes, overtakings


def test_what_is_sent_before_its_time_is_counted():
    groups = [{8}, {4, 12}, {0}]
    assert overtakings([8, 8, 4, 12, 4, 0], groups) == 0
    assert overtakings([0, 8, 8, 4, 12, 0], groups) == 1
    assert overtakings([0, 4, 8, 99, 4], groups) == 2
    assert overtakings([], groups) == 0


def test_turns_are_counted_within_a_group():
    assert changes([4, 4, 12, 12], {4, 12}) == 1
    assert changes([4, 0, 12, 0, 4], {4, 12}) == 2
    assert changes([4, 4], {0}) == 0
