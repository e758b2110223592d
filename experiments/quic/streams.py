"""Streams: independent under loss, bounded by windows, with headers that shrink."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    inconclusive,
    pick,
    same,
)

from .talk import CLIENT, SERVER, frames, packets
from .visits import WINDOW_BYTES

if TYPE_CHECKING:
    from .experiment import Quic

PACKET_THRESHOLD = 3
"""Later packets that are acknowledged before a packet counts as lost (RFC 9002 §6.1.1)."""
_H3_PORT = re.compile(r'\bh3=":(\d+)"')
"""In Alt-Svc, at the host of the answer (RFC 7838 §3)."""


def lost(tables: Tables) -> pd.DataFrame:
    """STREAM frames in the packets that left the server and did not come.

    Raises:
        MissingDataError: a capture has no data.
    """
    sent = frames(tables, "lost", capture=SERVER, from_client=False, type="STREAM")
    came = frames(tables, "lost", from_client=False, type="STREAM")
    if sent.empty or came.empty:
        raise MissingDataError("step 'lost': no data of QUIC that can be read")
    return sent[~sent["number"].isin(set(came["number"]))]


def again(tables: Tables, missing: pd.DataFrame) -> pd.DataFrame:
    """STREAM frames that bring the bytes of lost ones once more, where they arrive."""
    came = frames(tables, "lost", from_client=False, type="STREAM")
    later = came[came["number"] > missing["number"].max()]
    wanted = set(zip(missing["stream"], missing["offset"], strict=True))
    pairs = zip(later["stream"], later["offset"], strict=True)
    found: pd.DataFrame = later[[pair in wanted for pair in pairs]]
    return found


class Streams(Experiment):
    """Streams of one connection."""

    params: Quic.Parameters

    @claim(
        "A lost packet stops only the streams whose data it carried: the others are delivered in "
        "the meantime.",
        source="RFC 9000 §2.2, §13.3; RFC 9114 §1.2",
    )
    def loss_stops_one_stream(self, tables: Tables) -> Verdict:
        """What the client's program was given between the gap and its repair."""
        missing = lost(tables)
        if missing.empty:
            return inconclusive("no packet was lost")
        came = frames(tables, "lost", from_client=False, type="STREAM")
        repair = again(tables, missing)
        behind = came[came["number"] > missing["number"].min()]
        if repair.empty or behind.empty:
            raise MissingDataError("step 'lost': the lost data did not come again")
        begin_s, end_s = float(behind["time_s"].min()), float(repair["time_s"].min())
        told = pick(tables, "lost", None, table="delivered")
        told = told[(told["time_s"] > begin_s) & (told["time_s"] < end_s)]
        stopped = set(missing["stream"])
        meanwhile = behind[behind["time_s"] < end_s]
        return (
            all_of(
                at_least(
                    told.loc[~told["stream"].isin(stopped), "stream"].nunique(), 2, unit="others"
                ),
                same(sorted(stopped & set(told["stream"])), [], "streams with lost data go on"),
            )
            .because("the lost packet", missing)
            .because("meanwhile", packets(meanwhile).head(6))
        )

    @claim(
        "When three later packets are acknowledged, a packet counts as lost. Its data are sent "
        "again in a packet with a new number; packet numbers are never used twice.",
        source="RFC 9002 §6.1.1, §3; RFC 9000 §12.3, §13.3",
    )
    def lost_data_get_a_new_number(self, tables: Tables) -> Verdict:
        """Packets at the server: their numbers, and what it knew when it sent data again."""
        missing = lost(tables)
        if missing.empty:
            return inconclusive("no packet was lost")
        number = int(missing["number"].min())
        repair = again(tables, missing)
        if repair.empty:
            raise MissingDataError("step 'lost': the lost data did not come again")
        every = packets(frames(tables, "lost", capture=SERVER, from_client=False))
        new = every[every["number"] == repair["number"].iloc[0]]
        acks = frames(tables, "lost", capture=SERVER, from_client=True, type="ACK")
        known = acks[acks["frame"] < new["frame"].iloc[0]]
        highest = int(known["largest"].max()) if len(known) else 0
        numbers = every.loc[every["packet"] == "1-RTT", "number"]
        return all_of(
            at_least(highest - number, PACKET_THRESHOLD, unit="later packets acknowledged before"),
            same(bool(numbers.is_monotonic_increasing and numbers.is_unique), True, "numbers rise"),
        ).because("lost, and sent again", pd.concat([missing, repair]))

    @claim(
        "Each stream has a window of its own: the server stops at it until the client raises it "
        "(MAX_STREAM_DATA).",
        source="RFC 9000 §4.1, §19.10",
    )
    def windows_bound_a_stream(self, tables: Tables) -> Verdict:
        """How far the response comes before the first new limit can have any effect: one round
        trip after the client sends it."""
        data = frames(tables, "window", from_client=False, type="STREAM", stream=0)
        if data.empty:
            raise MissingDataError("step 'window': no data of QUIC that can be read")
        limits = frames(tables, "window", from_client=True, type="MAX_STREAM_DATA", stream=0)
        reached = (data["offset"] + data["data_bytes"]).astype("int64")
        raised_s = float(limits["time_s"].min()) if len(limits) else float("inf")
        before = reached[data["time_s"] < raised_s + 2e-3 * self.params.delay_ms]
        highest = max([WINDOW_BYTES, *limits["limit"].tolist()])
        return (
            all_of(
                same(int(before.max()), WINDOW_BYTES, "bytes until the window was raised"),
                between(int(reached.max()), WINDOW_BYTES + 1, highest, unit="bytes in the end"),
            )
            .because("limits", limits.head(4))
            .because("data", data.head(6))
        )

    @claim(
        "Header fields that repeat become references into a table, which fills on a stream of its "
        "own: later requests are shorter (QPACK).",
        source="RFC 9204 §2.1, §4.2, §4.5",
    )
    def repeated_fields_shrink(self, tables: Tables) -> Verdict:
        """Header blocks of three requests on one connection, and what the table's stream says."""
        said = pick(tables, "headers", CLIENT, table="http3", from_client=True)
        asked = said[(said["type"] == "HEADERS") & (said["kind"] == "request")]
        sizes = asked["payload_bytes"].tolist()
        if len(sizes) < 3:
            raise MissingDataError("step 'headers': three requests of HTTP/3 cannot be read")
        taught = said.loc[said["kind"] == "QPACK encoder", "payload_bytes"].sum()
        return all_of(
            at_most(sizes[-1], sizes[0] / 2, unit="bytes", what="third request, to the first"),
            at_least(int(taught), sizes[0] - sizes[-1], unit="bytes that fill the table"),
        ).because("requests", asked)

    @claim(
        "A server names its HTTP/3 in a header of an answer over TCP (Alt-Svc); the client's next "
        "connection is QUIC, at that port.",
        source="RFC 9114 §3.1.1; RFC 7838 §3",
    )
    def answers_over_tcp_name_http3(self, tables: Tables) -> Verdict:
        """The answer's header, and packets behind it."""
        said = pick(tables, "alt-svc", CLIENT, table="http", kind="response")
        if said.empty:
            raise MissingDataError("step 'alt-svc': no answer over TCP can be read")
        named = [
            value for name, value in said["headers"].iloc[0] or () if name.lower() == "alt-svc"
        ]
        ports = [int(port) for value in named for port in _H3_PORT.findall(value)]
        every = pick(tables, "alt-svc", CLIENT, table="quic")
        later = every[every["frame"] > said["frame"].iloc[0]]
        asked = set(later.loc[later["from_client"], "udp_dport"])
        return (
            all_of(
                same(len(ports), 1, "ports that Alt-Svc names"),
                same(sorted(asked), ports, "port of QUIC afterwards"),
                same(len(later), len(every), "packets of QUIC in all"),
            )
            .because("the answer", said)
            .because("first packets of QUIC", packets(later).head(2))
        )
