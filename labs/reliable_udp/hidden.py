"""What students do not see of the lab on reliable UDP."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from labs.reliable_udp.lab import FRAME_BYTES, HEADERS_BYTES, Transfer
from labs.reliable_udp.lab import Lab as Public
from testbed import Verdict, between, claim, share_of

if TYPE_CHECKING:
    from testbed import Tables

ACK_BYTES = 60
"""About the size of an acknowledgement's frame."""

SPARED_BYTES, OUTAGE_BYTES = 400_000, 300_000
SENT_PER_BYTE = 1.3
"""Bytes on the wire per byte of the file, on a clean link."""


class Hidden(Public):
    """The lab as the grader has it."""

    def scenarios(self) -> Mapping[str, Public.Parameters]:
        """One more, with transfers that students do not expect."""
        return {**super().scenarios(), "unseen": replace(self.params, plan="unseen")}

    def transfers(self) -> list[Transfer]:
        """Those of this scenario."""
        if self.params.plan != "unseen":
            return super().transfers()
        return [
            Transfer("long and clean", SPARED_BYTES),
            Transfer("outage", OUTAGE_BYTES, outage_s=(0.15, 3.0)),
            Transfer("empty", 0, 5.0),
            Transfer("one byte", 1, 5.0),
            Transfer("65,537 bytes", 65_537, 10.0, 10.0),
            Transfer("worst", 20_000, 25.0, 25.0),
        ]

    def content(self, transfer: Transfer) -> bytes:
        """Other bytes than students can compute, in place of receiving them."""
        return super().content(replace(transfer, name=f"graded: {transfer.name}"))

    # ---- keys

    @property
    def cycle_s(self) -> float:
        """From a full frame's transmission to its acknowledgement."""
        ack_s = self.frame_s * ACK_BYTES / FRAME_BYTES
        return self.frame_s + ack_s + 2 * self.params.delay_ms / 1e3

    @property
    def window(self) -> int:
        """Full frames that fill the link."""
        return math.ceil(self.cycle_s / self.frame_s)

    @property
    def stop_and_wait_mbps(self) -> float:
        """Goodput of one full frame per round trip, without losses."""
        return (FRAME_BYTES - HEADERS_BYTES) * 8 / self.cycle_s / 1e6

    # ---- hidden checks

    @claim(
        "Files of every size arrive, and an outage of three seconds is survived.",
        source="RFC 1122 §4.1.1",
        scenarios=("unseen",),
    )
    def unexpected_files_arrive(self, tables: Tables) -> Verdict:
        """The received files against those sent."""
        return share_of(self._arrived(tables, "unseen"))

    @claim(
        "On a clean link little is sent twice.",
        source="RFC 8085 §3.1; RFC 2914 §5",
        scenarios=("unseen",),
    )
    def link_is_spared(self, tables: Tables) -> Verdict:
        """Bytes that left tx1 per byte of the file; a file that did not arrive spares nothing."""
        row = tables.row("transfers", scenario="unseen", file="long and clean")
        if row["fault"]:
            return self._arrived(tables, "unseen")[0]
        sent_per_byte = row["wire_bytes"] / row["size_bytes"]
        return between(sent_per_byte, 1.0, SENT_PER_BYTE, unit="bytes sent per byte")

    @claim("How many full frames fill the link.", source="Bertsekas & Gallager §2.4.2")
    def window_is_known(self, _tables: Tables) -> Verdict:
        """The answer."""
        return self.answers.number("window_frames", self.window, abs=2, unit="frames")

    @claim("What stop-and-wait makes of the link.", source="Bertsekas & Gallager §2.4.1")
    def stop_and_wait_is_known(self, _tables: Tables) -> Verdict:
        """The answer, without losses."""
        return self.answers.number("stop_and_wait_mbps", self.stop_and_wait_mbps, rel=0.08)
