"""One lost segment: who waits for it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    claim,
    inconclusive,
    near,
)

from .frames import frames
from .pages import from_server, segments

LOST_NUMBER = 15
"""Number of the server's full segment that is lost, from 0."""


@dataclass(frozen=True)
class Gap:
    """A hole in what a connection delivers.

    Attributes:
        port: the client's.
        begin: the first frame behind the hole that came.
        end: the frame that fills it.
    """

    port: int
    begin: int
    end: int


def gaps(found: pd.DataFrame) -> list[Gap]:
    """The holes in what the server sent, one per connection that has any."""
    seen = []
    for port, sent in from_server(found).groupby("tcp_dport"):
        start = int(sent["tcp_seq"].iloc[0])
        begin = ((sent["tcp_seq"].astype("int64") - start) % 2**32).tolist()
        sizes = sent["tcp_payload_bytes"].astype("int64").tolist()
        reached, opened = 0, 0
        for frame, low, size in zip(sent["frame"].tolist(), begin, sizes, strict=True):
            if low > reached and not opened:
                opened = frame
            elif low <= reached < low + size:
                if opened:
                    seen.append(Gap(int(str(port)), opened, frame))
                    break
                reached = low + size
    return seen


class Loss(Experiment):
    """Head-of-line blocking in TCP."""

    @claim(
        "A lost segment stops all streams of an HTTP/2 connection: their data have come, but TCP "
        "keeps them until the segment was sent again.",
        source="RFC 9114 §1.1; RFC 9293 §3.4",
    )
    def loss_stops_all_streams(self, tables: Tables) -> Verdict:
        """DATA frames that came behind the lost segment, by the packet that lets them be read."""
        holes = gaps(segments(tables, "lost-2"))
        data = frames(tables, "lost-2", from_client=False, type="DATA")
        if data.empty:
            raise MissingDataError("no data of HTTP/2 in the step with a lost segment")
        if not holes:
            return inconclusive("no segment was lost")
        hole = holes[0]
        came = data[(data["first_frame"] >= hole.begin) & (data["first_frame"] < hole.end)]
        read = data[(data["frame"] >= hole.begin) & (data["frame"] < hole.end)]
        return all_of(
            at_least(came["stream"].nunique(), 2, unit="streams with frames behind the hole"),
            near(len(read), 0, abs=0, unit="frames that can be read meanwhile"),
        ).because("frames", came)

    @claim(
        "With six connections of HTTP/1.1 the same loss stops one of them, and the others go on.",
        source="RFC 9112 §9.4; RFC 9114 §1.1",
    )
    def loss_stops_one_connection(self, tables: Tables) -> Verdict:
        """Connections that have a hole, and those that deliver data meanwhile."""
        found = segments(tables, "lost-six")
        data = from_server(found)
        holes = gaps(found)
        if not holes:
            return inconclusive("no segment was lost")
        hole = holes[0]
        meanwhile = data[(data["frame"] >= hole.begin) & (data["frame"] < hole.end)]
        others = meanwhile.loc[meanwhile["tcp_dport"] != hole.port, "tcp_dport"].nunique()
        return all_of(
            near(len(holes), 1, abs=0, unit="connections with a hole"),
            at_least(others, 2, unit="others that deliver meanwhile"),
        ).because("segments meanwhile", meanwhile)
