"""Repair: what becomes of segments that are damaged, late, doubled or lost."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from analysis import conversation
from testbed import (
    MSS_BYTES,
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    near,
    pick,
    same,
)

from .conversations import BULK_SEGMENTS, DISTANCES, INITIAL_WINDOW, LONE_SEGMENTS, LOST
from .segments import StepSegments

DUPLICATE_THRESHOLD = 3
"""Duplicate acknowledgements that stand for a loss (RFC 5681 §3.2)."""

LONGEST_DELAY_S = 0.5
"""Of an acknowledgement (RFC 9293 §3.8.6.3)."""

DELAYED_ACK_S, SLACK_S = 0.04, 0.012
"""Linux's delay, and a tick of its timers with the path's transmission times."""

NO_THRESHOLD = 2**31 - 1
"""The kernel's ssthresh while it has seen no loss, or took it back."""


class Repair(Experiment):
    """Repair: what becomes of segments that are damaged, late, doubled or lost."""

    tables_type = StepSegments

    @claim(
        "A segment with a wrong checksum is dropped silently and repaired like a lost one.",
        source="RFC 9293 §3.1, §3.10.7; RFC 1122 §4.2.2.7",
        scenarios=("repair",),
    )
    def damage_is_dropped_silently(self, tables: Tables) -> Verdict:
        """One segment whose data change on the way to h4; what h4 sends until its copy comes."""
        seen = self._seen(tables, "damaged", "h4-eth0")
        came = conversation.data(seen, address_of(tables, "h1"))
        again = came[came["seq"].duplicated(keep=False)]
        copies = again.sort_values("frame").groupby("seq")["payload"]
        damaged = {s: c.iloc[0] != c.iloc[-1] for s, c in copies}
        first = again.drop_duplicates("seq")
        acked = seen[(seen["ip_src"] == address_of(tables, "h4")) & seen["ack"].notna()]
        until = acked[acked["frame"] < again["frame"].max()] if len(again) else acked
        beyond = [int((until["ack"] > s).sum()) for s, is_bad in damaged.items() if is_bad]
        heard = pick(tables, "damaged", "h1-eth0", scenario="repair", ip_version=4)
        alarms = heard[heard["icmp_type"].notna() | ((heard["tcp_flags"].fillna(0) & 4) != 0)]
        counters = tables.row("counters", scenario="repair")
        return all_of(
            same(list(damaged.values()), [True], "segments that came again with other data"),
            same(beyond, [0], "acknowledgements of it before"),
            at_most(len(alarms), 0, unit="resets or ICMP errors"),
            near(int(counters["InCsumErrors"]), 1, abs=0, unit="checksum errors counted"),
            self._delivered(tables, "damaged"),
        ).because("the damaged segment and its copy", again if len(again) else first)

    @claim(
        "Segments that arrive out of order are put in order; if one is overtaken by at most two "
        "others, nothing is retransmitted.",
        source="RFC 9293 §3.4, §3.10.7.4; RFC 5681 §3.2",
        scenarios=("repair",),
    )
    def small_disorder_heals(self, tables: Tables) -> Verdict:
        """One segment takes a longer way and is overtaken by one or two."""
        return self._disorder(tables, [d for d in DISTANCES if d < DUPLICATE_THRESHOLD], 0)

    @claim(
        "A segment overtaken by three or more others is taken for lost and retransmitted: three "
        "duplicate ACKs indicate a loss.",
        source="RFC 5681 §3.2; RFC 8985 §6.2",
        scenarios=("repair",),
    )
    def large_disorder_looks_like_loss(self, tables: Tables) -> Verdict:
        """The same with three and five."""
        return self._disorder(tables, [d for d in DISTANCES if d >= DUPLICATE_THRESHOLD], 1)

    @claim(
        "When a retransmission proves needless (the receiver reports a duplicate with D-SACK), "
        "Linux undoes the reduction of its window.",
        source="RFC 2883 §4; RFC 3708; RFC 4015",
        scenarios=("repair",),
    )
    def needless_reduction_is_undone(self, tables: Tables) -> Verdict:
        """The segment overtaken by five: the report, and the threshold at the end."""
        told = self._duplicate_reports(tables, "late-5")
        info = self._info(tables, "late-5").iloc[-1]
        return all_of(
            at_least(len(told), 1, unit="D-SACK reports"),
            near(
                int(info["ssthresh_segments"]), NO_THRESHOLD, abs=0, unit="ssthresh (as at first)"
            ),
            at_least(int(info["cwnd_segments"]), INITIAL_WINDOW, unit="segments cwnd"),
        ).because("acknowledgements with D-SACK", told)

    @claim(
        "Duplicates are removed and reported with D-SACK; the sender retransmits nothing because "
        "of them.",
        source="RFC 9293 §3.4, §3.10.7.4; RFC 2883 §4.1",
        scenarios=("repair",),
    )
    def duplicates_are_removed(self, tables: Tables) -> Verdict:
        """The network delivers every segment twice."""
        came = self._sent(tables, "duplicated", "h4-eth0")
        told = self._duplicate_reports(tables, "duplicated")
        return all_of(
            near(len(came), 2 * came["seq"].nunique(), abs=0, unit="segments came"),
            near(len(came), 2 * INITIAL_WINDOW, abs=0, unit="segments in all"),
            at_most(len(self._repeated(tables, "duplicated")), 0, unit="segments sent again"),
            at_least(len(told), INITIAL_WINDOW - 1, unit="D-SACK reports"),
            self._delivered(tables, "duplicated"),
        ).because("acknowledgements with D-SACK", told)

    @claim(
        "In a stream of full-sized segments at least every second one is acknowledged at once.",
        source="RFC 9293 §3.8.6.3; RFC 5681 §4.2; RFC 1122 §4.2.3.2",
        scenarios=("repair",),
    )
    def every_second_segment_is_acknowledged(self, tables: Tables) -> Verdict:
        """Segments that came between two acknowledgements, at h4."""
        seen = self._seen(tables, "bulk", "h4-eth0")
        came = conversation.data(seen, address_of(tables, "h1"))
        acked = conversation.pure_acks(seen, address_of(tables, "h4"))
        between_acks = pd.Series(came["frame"].searchsorted(acked["frame"])).diff().dropna()
        return all_of(
            near(len(came), BULK_SEGMENTS, abs=0, unit="segments"),
            at_most(between_acks.max(), 2, unit="segments for one acknowledgement"),
        ).because("acknowledgements", acked.head(12))

    @claim(
        "The ACK of a single segment is delayed: by 40 ms in Linux (not for the first segments of "
        "a connection), never by 500 ms or more.",
        source="RFC 9293 §3.8.6.3; RFC 5681 §4.2",
        scenarios=("repair",),
        bears_stall_s=0.004,
    )
    def lone_segment_waits_for_its_ack(self, tables: Tables) -> Verdict:
        """A segment every 100 ms that nobody reads; Linux acknowledges the first ones at once."""
        seen = self._seen(tables, "lone", "h4-eth0")
        came = conversation.data(seen, address_of(tables, "h1"))
        acked = conversation.pure_acks(seen, address_of(tables, "h4"))
        both = came.merge(acked[["ack", "time_s"]], left_on="end", right_on="ack")
        late_s = both["time_s_y"] - both["time_s_x"]
        if len(both) < LONE_SEGMENTS / 2:
            raise MissingDataError(f"only {len(both)} segments were acknowledged alone")
        return all_of(
            between(
                late_s.iloc[-5:].median(),
                DELAYED_ACK_S - SLACK_S,
                max(DELAYED_ACK_S, self._rtt_s) + SLACK_S,
                unit="s at the end",
            ),
            at_most(late_s.max(), LONGEST_DELAY_S, unit="s at most"),
        ).because("acknowledgements", acked.head(12))

    @claim(
        "A SACK block covers only data that has arrived beyond a gap.",
        source="RFC 2018 §3, §4",
        scenarios=("repair",),
    )
    def blocks_name_what_came(self, tables: Tables) -> Verdict:
        """Every block of the step with four losses, against what h4 had received by then."""
        blocks = self._blocks(tables, "sack")
        return all_of(
            at_least(len(blocks), len(LOST), unit="blocks"),
            at_most(int((~blocks["came"].astype(bool)).sum()), 0, unit="of them wrong"),
        ).because("blocks", blocks, scenario="repair")

    @claim(
        "With SACK only the lost segments are retransmitted, all within one round trip.",
        source="RFC 2018 §5; RFC 6675 §5; RFC 8985 §6",
        scenarios=("repair",),
        bears_stall_s=0.002,
    )
    def sack_repairs_in_one_round(self, tables: Tables) -> Verdict:
        """Four segments of one window are lost."""
        again = self._repeated(tables, "sack")
        lost = [1 + n * MSS_BYTES for n in LOST]
        took_s = again["time_s"].max() - again["time_s"].min()
        return all_of(
            same([int(s) for s in again["seq"]], lost, "sent again, from byte"),
            at_most(took_s / self._rtt_s, 1, unit="round trips from the first to the last"),
        ).because("sent again", again)

    @claim(
        "Without SACK the sender learns of one loss per round trip, so recovery takes as many "
        "round trips as there are losses.",
        source="RFC 6582 §3.2; RFC 2018 §1",
        scenarios=("repair",),
        bears_stall_s=0.002,
    )
    def without_sack_one_per_round(self, tables: Tables) -> Verdict:
        """The same four losses; net.ipv4.tcp_sack=0."""
        again = self._repeated(tables, "no-sack")
        first = again.drop_duplicates("seq")
        wanted = [1 + n * MSS_BYTES for n in LOST]
        firsts = first[first["seq"].isin(wanted)]
        rtt_ms = 1e3 * self._rtt_s
        gaps_ms = 1e3 * firsts["time_s"].diff().dropna()
        if len(gaps_ms) < len(LOST) - 1:
            return at_least(len(firsts), len(LOST), unit="lost segments sent again")
        return all_of(
            *(between(g, 0.9 * rtt_ms, 1.5 * rtt_ms + 15, unit="ms to the next") for g in gaps_ms),
        ).because("sent again", again)

    # ---- what the claims look at

    @property
    def _rtt_s(self) -> float:
        return float(self.params.rtt_ms) / 1e3

    def _seen(self, tables: Tables, name: str, capture: str = "h1-eth0") -> pd.DataFrame:
        """All segments of a step."""
        assert isinstance(tables, StepSegments)
        return tables.segments(name, capture)

    def _sent(self, tables: Tables, name: str, capture: str = "h1-eth0") -> pd.DataFrame:
        """h1's segments with data."""
        sent = conversation.data(self._seen(tables, name, capture), address_of(tables, "h1"))
        if sent.empty:
            raise MissingDataError(f"no data was sent in step {name}")
        return sent

    def _repeated(self, tables: Tables, name: str) -> pd.DataFrame:
        """What h1 sent that it had sent before."""
        sent = self._sent(tables, name)
        return sent[sent["end"] <= sent["end"].cummax().shift(fill_value=0)].reset_index(drop=True)

    def _info(self, tables: Tables, name: str) -> pd.DataFrame:
        """The kernel's numbers of h1's connection."""
        part = part_of(tables, name)
        found = pick(tables, name, scenario=part, table="calls", node="h1", op="info")
        if found.empty:
            raise MissingDataError(f"step {name}: h1 did not report")
        return found

    def _delivered(self, tables: Tables, name: str) -> Verdict:
        """All bytes that h1 wrote, in order, once."""
        part = part_of(tables, name)
        ends = pick(tables, name, scenario=part, table="calls", op="end").set_index("node")
        both = {"h1", "h4"} <= set(ends.index)  # an end that waits forever has not reported
        whole = both and ends["written_crc32"]["h1"] == ends["got_crc32"]["h4"]
        return same(bool(whole), True, "all bytes read as written")

    def _disorder(self, tables: Tables, distances: list[int], wanted: int) -> Verdict:
        """How often a late segment was sent again; how late it came, in segments."""
        late, again = {}, {}
        for d in distances:
            came = self._sent(tables, f"late-{d}", "h4-eth0")
            first = came.drop_duplicates("seq")
            before = first["seq"].cummax().shift(fill_value=0)
            one = first[first["seq"] < before]
            late[d] = int(
                (first["seq"].loc[: one.index[0]] > one["seq"].iloc[0]).sum() if len(one) else 0
            )
            again[d] = len(self._repeated(tables, f"late-{d}"))
        shown = pd.concat(self._sent(tables, f"late-{d}", "h4-eth0") for d in distances)
        return all_of(
            same(late, {d: d for d in distances}, "overtaken by"),
            same(again, dict.fromkeys(distances, wanted), "overtaken by, sent again"),
            *(self._delivered(tables, f"late-{d}") for d in distances),
        ).because("as they came", shown.head(24))

    def _duplicate_reports(self, tables: Tables, name: str) -> pd.DataFrame:
        """Acknowledgements whose first block lies below what they acknowledge (RFC 2883 §4)."""
        acked = conversation.pure_acks(self._seen(tables, name), address_of(tables, "h4"))
        acked = acked[acked["tcp_sack_count"].fillna(0).astype(int) > 0]
        ahead = (
            acked["tcp_ack"].astype("int64") - acked["tcp_sack1_right"].astype("int64")
        ) % 2**32
        return acked[ahead < 2**31].reset_index(drop=True)

    def _blocks(self, tables: Tables, name: str) -> pd.DataFrame:
        """Each SACK block that h4 sent: its ends, and whether all of it had come and was beyond."""
        seen = self._seen(tables, name, "h4-eth0")
        found = []
        arrived: set[int] = set()
        for row in seen.to_dict("records"):
            if row["payload_bytes"]:
                arrived |= set(range(row["seq"], row["end"], MSS_BYTES))
                continue
            for left, right in _offsets(row):
                parts = set(range(row["ack"] + left, row["ack"] + right, MSS_BYTES))
                came = left > 0 and bool(parts) and parts <= arrived
                found.append({**_where(row), "left": left, "right": right, "came": came})
        return pd.DataFrame(found, columns=[*_PLACE, "left", "right", "came"])


def _offsets(row: Mapping[Hashable, Any]) -> list[tuple[int, int]]:
    """A segment's SACK blocks, relative to its acknowledgement number."""
    count = row["tcp_sack_count"]
    blocks = 0 if pd.isna(count) else int(count)
    return [
        tuple(  # type: ignore[misc]
            _signed(int(row[f"tcp_sack{i}_{side}"]) - int(row["tcp_ack"]))
            for side in ("left", "right")
        )
        for i in range(1, min(blocks, 3) + 1)
    ]


def _signed(difference: int) -> int:
    """A difference modulo 2^32 as the nearest signed number (RFC 9293 §3.4)."""
    return (difference + 2**31) % 2**32 - 2**31


_PLACE = ("scenario", "capture", "frame", "time_s")


def _where(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _PLACE}


def part_of(tables: Tables, step: str) -> str:
    """The scenario that has a step."""
    return str(tables.row("steps", step=step)["scenario"])


def address_of(tables: Tables, node: str) -> str:
    """A host's address."""
    return address(tables, f"{node}-eth0", scenario=tables.of("addresses")["scenario"].iloc[0])
