"""One lost packet: who waits for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    between,
    claim,
    inconclusive,
    near,
    pick,
)

from .frames import frames
from .pages import CLIENT, from_server, segments

LOST_NUMBER = 15
"""Number of the server's full packet that is lost, from 0."""

LOST_3 = "lost-3"
"""The step in which HTTP/3 loses it."""


@dataclass(frozen=True)
class Gap:
    """A hole in what a connection or a stream delivers.

    Attributes:
        of: the client's port, or the stream.
        begin: the first frame behind the hole that came.
        end: the frame that fills it.
    """

    of: int
    begin: int
    end: int


def gaps(found: pd.DataFrame) -> list[Gap]:
    """The holes in what the server sent over TCP, one per connection that has any."""
    seen = []
    for port, sent in from_server(found).groupby("tcp_dport"):
        start = int(sent["tcp_seq"].iloc[0])
        begins = ((sent["tcp_seq"].astype("int64") - start) % 2**32).tolist()
        sizes = sent["tcp_payload_bytes"].astype("int64").tolist()
        seen += _gap(int(str(port)), zip(sent["frame"].tolist(), begins, sizes, strict=True))
    return seen


def stream_gaps(data: pd.DataFrame) -> list[Gap]:
    """The same for QUIC's streams.

    Args:
        data: STREAM frames of the server, as they came.
    """
    seen = []
    for stream, own in data.groupby("stream"):
        columns = (own[name].tolist() for name in ("frame", "offset", "data_bytes"))
        seen += _gap(int(str(stream)), zip(*columns, strict=True))
    return seen


def _gap(of: int, parts: Iterable[tuple[int, int, int]]) -> list[Gap]:
    """The first hole, if it was filled; parts are frame, beginning and size."""
    reached, opened = 0, 0
    for frame, low, size in parts:
        if low > reached and not opened:
            opened = frame
        elif low <= reached < low + size:
            if opened:
                return [Gap(of, opened, frame)]
            reached = low + size
    return []


class Loss(Experiment):
    """Head-of-line blocking in TCP, and none in QUIC."""

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
        others = meanwhile.loc[meanwhile["tcp_dport"] != hole.of, "tcp_dport"].nunique()
        return all_of(
            near(len(holes), 1, abs=0, unit="connections with a hole"),
            at_least(others, 2, unit="others that deliver meanwhile"),
        ).because("segments meanwhile", meanwhile)

    @claim(
        "With HTTP/3 the same loss stops only the streams whose data were in the lost packet: QUIC "
        "hands over what comes for the others, as each stream has an order of its own.",
        source="RFC 9114 §1.2; RFC 9000 §2.2",
    )
    def loss_stops_one_stream(self, tables: Tables) -> Verdict:
        """Streams that have a hole, and those of which the client's program gets data meanwhile,
        out of those for which data came."""
        data = pick(tables, LOST_3, CLIENT, table="quic", from_client=False, type="STREAM")
        data = data[(data["stream"] % 4 == 0) & (data["data_bytes"] > 0)]
        if data.empty:
            raise MissingDataError("no data of HTTP/3 in the step with a lost packet")
        holes = stream_gaps(data)
        if not holes:
            return inconclusive("no packet was lost")
        begin = min(hole.begin for hole in holes)
        end = max(hole.end for hole in holes)
        meanwhile = data[(data["frame"] >= begin) & (data["frame"] < end)]
        times = data.drop_duplicates("frame").set_index("frame")["time_s"]
        told = pick(tables, LOST_3, None, table="delivered")
        told = told[(told["time_s"] >= times[begin]) & (told["time_s"] < times[end])]
        stopped = {hole.of for hole in holes}
        came = set(meanwhile["stream"]) - stopped
        return all_of(
            between(len(holes), 1, 2, unit="streams with a hole"),
            near(int(told["stream"].isin(stopped).sum()), 0, abs=0, unit="deliveries of these"),
            at_least(len(came), 2, unit="others with data meanwhile"),
            near(len(came & set(told["stream"])), len(came), abs=0, unit="of them delivered"),
        ).because("data meanwhile", meanwhile)
