"""In which order a connection's responses were sent: one after another, or in turn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise


def overtakings(streams: Sequence[int], groups: Sequence[Collection[int]]) -> int:
    """How often something is sent before all of a group that should come earlier has been.

    Args:
        streams: the stream of each frame, in the order of sending.
        groups: streams of equal urgency, the most urgent first.

    Returns:
        Number of frames behind which a frame of an earlier group still follows.
    """
    place = {stream: at for at, group in enumerate(groups) for stream in group}
    least, count = len(groups), 0
    for stream in reversed(streams):
        if stream in place:
            count += place[stream] > least
            least = min(least, place[stream])
    return count


def changes(streams: Sequence[int], group: Collection[int]) -> int:
    """How often the streams of a group take turns: changes from one to another.

    Args:
        streams: the stream of each frame, in the order of sending.
        group: which of them count.
    """
    own = [stream for stream in streams if stream in group]
    return sum(one != two for one, two in pairwise(own))
