"""Claims on sequence and acknowledgement numbers."""

from __future__ import annotations

import pandas as pd

from analysis import packets
from testbed import Tables, Verdict, all_of, at_most, claim, first, last, near, same

from .conversations import ANSWER, REQUEST, WRAP_BYTES
from .header import CLIENT_SIDE, SERVER_SIDE, Header

NUMBERS = 1 << 32


class Numbers(Header):
    """Sequence and acknowledgement numbers."""

    @claim(
        "The sequence number is that of a segment's first byte; SYN and FIN occupy one number "
        "each, an acknowledgement without data none. The acknowledgement number is the next byte "
        "expected.",
        source="RFC 9293 §3.4",
    )
    def numbers_count_bytes(self, tables: Tables) -> Verdict:
        """The plain connection, both ways."""
        steps = {side: self._chain(tables, "plain", side) for side in (CLIENT_SIDE, SERVER_SIDE)}
        lengths = {CLIENT_SIDE: len(REQUEST), SERVER_SIDE: len(ANSWER)}
        verdicts = []
        for side, other in ((CLIENT_SIDE, SERVER_SIDE), (SERVER_SIDE, CLIENT_SIDE)):
            sent, back = steps[side], steps[other]
            final = last(back[packets.has_flags(back, "ACK")], "acknowledgement")["tcp_ack"]
            begin = int(first(sent, "segment")["tcp_seq"])
            verdicts += [
                at_most(_gaps(sent), 0, unit="gaps or overlaps"),
                same((int(final) - begin) % NUMBERS, lengths[side] + 2, "acknowledged in the end"),
            ]
        return all_of(*verdicts).because("both ways", pd.concat(steps.values()))

    @claim(
        "Numbers have 32 bits and wrap to 0: the connection goes on across 2^32 as if nothing had "
        "happened.",
        source="RFC 9293 §3.4 (modulo 2^32)",
    )
    def numbers_wrap(self, tables: Tables) -> Verdict:
        """A client whose initial sequence number is near the end."""
        sent = self._chain(tables, "wrap", CLIENT_SIDE)
        seq = sent["tcp_seq"].astype("int64")
        back = self._conversation(tables, "wrap", by=SERVER_SIDE)
        acks = back["tcp_ack"].astype("int64")
        got = sum(int(r) for r in self._results(tables, "wrap", "receive") if r.isdigit())
        return all_of(
            near(int((seq.diff() < 0).sum()), 1, abs=0, unit="wraps of the sequence number"),
            near(int((acks.diff() < 0).sum()), 1, abs=0, unit="wraps of the acknowledgement"),
            at_most(_gaps(sent), 0, unit="gaps or overlaps"),
            near(got, WRAP_BYTES, abs=0, unit="bytes received"),
        ).because("around 2^32", sent[(seq.diff() < 0) | (seq.diff().shift(-1) < 0)])

    def _chain(self, tables: Tables, step: str, side: str) -> pd.DataFrame:
        """What one end sent, as it left."""
        return self._conversation(tables, step, side, by=side)


def _gaps(sent: pd.DataFrame) -> int:
    """Segments that do not begin where the one before ended, modulo 2^32."""
    control = packets.has_flags(sent, "SYN").astype("int64") + packets.has_flags(sent, "FIN")
    occupied = sent["tcp_payload_bytes"].astype("int64") + control
    seq = sent["tcp_seq"].astype("int64")
    expected = (seq + occupied).shift() % NUMBERS
    return int((expected.iloc[1:] != seq.iloc[1:]).sum())
