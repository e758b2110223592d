"""Claims on options: what they are, where they stand, and what both ends make of them."""

from __future__ import annotations

import pandas as pd

from analysis import packets
from testbed import (
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    near,
    same,
)

from .conversations import ANNOUNCED_MSS_BYTES, LOST_SEGMENT, MSS_BYTES, OWN_PORTS, PORTS, SACK_ISN
from .header import CLIENT_SIDE, SERVER_SIDE
from .numbers import Numbers

MTU_BYTES, FIXED_HEADERS_BYTES, TIMESTAMPS_BYTES = 1500, 40, 12
DEFAULT_MSS_BYTES = 536
"""What every host can take: 576 bytes of IP packet less 40 (RFC 9293 §3.7.1)."""

LARGEST_UNSCALED_BYTES = 65_535
ONLY_IN_SYN = ("MSS", "window scale", "SACK permitted")
STEPS_WITHOUT_OPTIONS = ("old-peer", "refused")


class Options(Numbers):
    """Options."""

    @claim(
        "Options fill whole words: the header is a multiple of 4 bytes, and no-operations pad it; "
        "timestamps take 10 bytes and so two of padding.",
        source="RFC 9293 §3.1, §3.2; RFC 7323 §3.2, appendix A",
    )
    def options_are_padded(self, tables: Tables) -> Verdict:
        """The options of every segment at h2, walked through byte by byte."""
        every = self._raw(tables)
        walked = every["option_bytes"] + 20
        stamped = every[every["options"].str.contains("timestamps", regex=False)]
        others = stamped[~stamped["options"].str.contains("MSS", regex=False)]
        lengths = set(stamped["timestamps_bytes"].astype(int))
        return all_of(
            at_most(int((every["header_bytes"] % 4 != 0).sum()), 0, unit="headers not of words"),
            at_most(int((walked != every["header_bytes"]).sum()), 0, unit="headers not filled"),
            same(lengths, {10}, "bytes of timestamps"),
            same(
                set(others["options"]) & {"NOP NOP timestamps"},
                {"NOP NOP timestamps"},
                "on segments after the handshake",
            ),
        ).because("the connection", self._raw(tables, step="plain"))

    @claim(
        "MSS, window scale and SACK-permitted stand in segments with SYN only.",
        source="RFC 9293 §3.7.1; RFC 7323 §2.2; RFC 2018 §2",
    )
    def some_options_belong_to_the_handshake(self, tables: Tables) -> Verdict:
        """All connections but those with an end that has no options."""
        every = self._raw(tables)
        every = every[~every["step"].isin(STEPS_WITHOUT_OPTIONS)]
        opening = every[every["syn"]]
        has = {
            name: every["options"].str.contains(name, regex=False).astype(bool)
            for name in ONLY_IN_SYN
        }
        late = sum(int((found & ~every["syn"]).sum()) for found in has.values())
        plain = every[every["syn"] & (every["step"] == "plain")]["options"]
        return all_of(
            *(same([name in text for text in plain], [True, True], name) for name in ONLY_IN_SYN),
            at_most(late, 0, unit="of them without SYN"),
        ).because("SYN and SYN+ACK", opening.head(4))

    @claim(
        "Each end announces the largest segment it can take: 1460 bytes on Ethernet, the MTU less "
        "40; the other sends no longer ones, and what options take comes off the data.",
        source="RFC 9293 §3.7.1, RFC 6691 §2",
    )
    def announced_mss_is_kept(self, tables: Tables) -> Verdict:
        """A server that announces 1000; its client's segments."""
        plain = self._conversation(tables, "plain")
        opening = plain[packets.has_flags(plain, "SYN")]
        seen = self._conversation(tables, "mss")
        told = seen[packets.has_flags(seen, "SYN ACK")]
        data = self._conversation(tables, "mss", by=CLIENT_SIDE)
        largest = float(data["tcp_payload_bytes"].max())
        return all_of(
            same(
                [int(m) for m in opening["tcp_mss"]],
                [MTU_BYTES - FIXED_HEADERS_BYTES] * 2,
                "MSS of both",
            ),
            same([int(m) for m in told["tcp_mss"]], [ANNOUNCED_MSS_BYTES], "MSS announced"),
            near(largest, ANNOUNCED_MSS_BYTES - TIMESTAMPS_BYTES, abs=0, unit="bytes at most"),
        ).because("announcement and data", pd.concat([told, data]))

    @claim(
        "The window scale counts only if both SYNs have it: then more than 65535 bytes may be on "
        "their way, else never; the windows of the SYNs themselves are not scaled.",
        source="RFC 7323 §2.2, §2.3",
    )
    def scaling_needs_both_ends(self, tables: Tables) -> Verdict:
        """The same transfer with and without the option in the server's SYN+ACK."""
        scales, most = {}, {}
        for step in ("scaled", "unscaled"):
            opening = self._conversation(tables, step)
            opening = opening[packets.has_flags(opening, "SYN")]
            scales[step] = [bool(s) for s in opening["tcp_wscale"].notna()]
            most[step] = float(tables.of("flows", step=step)["bytes_in_flight"].max())
        return all_of(
            same(scales, {"scaled": [True, True], "unscaled": [True, False]}, "scale in SYNs"),
            at_least(most["scaled"], LARGEST_UNSCALED_BYTES + 1, unit="bytes in flight"),
            between(most["unscaled"], 1, LARGEST_UNSCALED_BYTES, unit="bytes in flight"),
        ).because("with both", self._conversation(tables, "scaled").head(3))

    @claim(
        "Once both SYNs had timestamps, every segment has them: its own clock, and the other's "
        "last one echoed.",
        source="RFC 7323 §3.2, §4.1",
    )
    def timestamps_are_echoed(self, tables: Tables) -> Verdict:
        """The plain connection: each echo is a value that came before."""
        seen = self._conversation(tables, "plain")
        without = int(seen["tcp_tsval"].isna().sum())
        known: dict[str, set[int]] = {}
        wrong = 0
        stamped = seen.dropna(subset=["tcp_tsval"])
        stamped = stamped.assign(answers=packets.has_flags(stamped, "ACK"))
        for row in stamped.to_dict("records"):
            if row["answers"]:
                wrong += int(row["tcp_tsecr"]) not in known.get(row["ip_dst"], set())
            known.setdefault(row["ip_src"], set()).add(int(row["tcp_tsval"]))
        return all_of(
            at_least(len(seen), 6, unit="segments"),
            at_most(without, 0, unit="segments without timestamps"),
            at_most(wrong, 0, unit="echoes of a value that never came"),
        ).because("the connection", seen)

    @claim(
        "Selective acknowledgements name what arrived beyond a gap; the sender repeats the missing "
        "segment and nothing else.",
        source="RFC 2018 §3, §4, §5",
    )
    def sack_names_what_arrived(self, tables: Tables) -> Verdict:
        """One of ten segments is lost."""
        back = self._conversation(tables, "sack", CLIENT_SIDE, by=SERVER_SIDE)
        blocks = back[back["tcp_sack_count"].fillna(0) > 0]
        begins = SACK_ISN + 1 + LOST_SEGMENT * MSS_BYTES
        gap = set(blocks["tcp_ack"].astype("int64"))
        sent = self._conversation(tables, "sack", CLIENT_SIDE, by=CLIENT_SIDE)
        data = sent[sent["tcp_payload_bytes"] > 0]
        again = data[data["tcp_seq"].duplicated()]
        ends = blocks["tcp_sack1_right"].astype("int64")
        return (
            all_of(
                same(set(blocks["tcp_sack1_left"].astype("int64")), {begins}, "block begins"),
                same(gap, {begins - MSS_BYTES}, "acknowledged below it"),
                same(int((ends.diff() <= 0).sum()), 0, "blocks that do not grow"),
                same([int(s) for s in again["tcp_seq"]], [begins - MSS_BYTES], "sent again"),
            )
            .because("with SACK blocks", blocks)
            .because("sent again", again)
        )

    @claim(
        "With a peer that has no options at all TCP does without: no option in any segment after "
        "the SYN, and no more than 536 bytes of data in each.",
        source="RFC 9293 §3.7.1 (default MSS), §3.2 MUST-5, MUST-6; RFC 7323 §2.2, §3.2",
    )
    def old_peers_are_understood(self, tables: Tables) -> Verdict:
        """A connection to a peer that answers with bare headers."""
        raw = self._raw(tables, step="old-peer")
        mine = raw[raw["sport"] == PORTS["old-peer"] + OWN_PORTS]
        after, peer = mine[~mine["syn"]], raw[raw["sport"] == PORTS["old-peer"]]
        seen = self._conversation(tables, "old-peer", by=CLIENT_SIDE)
        data = seen[seen["tcp_payload_bytes"] > 0]
        return all_of(
            same(set(peer["options"]), {""}, "the peer's options"),
            same(set(after["options"]), {""}, "options towards it"),
            near(float(data["tcp_payload_bytes"].max()), DEFAULT_MSS_BYTES, abs=0, unit="bytes"),
            same(self._results(tables, "old-peer", "connect"), ["ok"], "connect"),
        ).because("the connection", self._conversation(tables, "old-peer"))
