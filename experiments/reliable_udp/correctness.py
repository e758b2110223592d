"""What the reader gets: everything, once, in order, undamaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed import (
    Experiment,
    MissingDataError,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    last,
    near,
    presuming,
    same,
)

from .transfers import Link

if TYPE_CHECKING:
    import pandas as pd

    from testbed import Tables

LEAST = 3
"""So many packets at least must have been lost, doubled, overtaken, damaged."""

STOP_AND_WAIT, GO_BACK_N, SELECTIVE_REPEAT = "stop_and_wait", "go_back_n", "selective_repeat"
TIMES = ("first_s", "sent_s", "through_s", "rate_pps")
PROTOCOLS = (STOP_AND_WAIT, GO_BACK_N, SELECTIVE_REPEAT)


class Correctness(Experiment):
    """What the reader gets: everything, once, in order, undamaged."""

    @property
    def link(self) -> Link:
        """The path's times."""
        p = self.params
        return Link(p.rate_mbps, p.delay_ms, p.timeout_ms)

    @claim(
        "Sequence numbers, acknowledgements and a timer make UDP reliable: whatever the link "
        "loses, doubles, reorders or damages, the reader gets all data once and in order.",
        source="RFC 1122 §4.1.1; Bertsekas & Gallager §2.4",
        scenarios=PROTOCOLS,
    )
    def reader_gets_everything_in_order(self, tables: Tables) -> Verdict:
        """What the reader got, by its numbers and its SHA-256; and what the link did to it."""
        verdicts = []
        for name in PROTOCOLS:
            row = self._of_kind(tables, name, "bad")
            suffered = {w: int(row[w]) for w in ("data_lost", "doubled", "damaged")}
            if name != STOP_AND_WAIT:  # it has only one datagram under way
                suffered["overtaken"] = int(row["overtaken"])
            found = (row["done"], row["in_order"], row["intact"])
            bad = (
                at_least(n, LEAST, unit=f"datagrams {what.removeprefix('data_')} ({name})")
                for what, n in suffered.items()
            )
            judged = (
                near(int(row["delivered"]), int(row["pieces"]), abs=0, unit=f"pieces ({name})"),
                same([bool(f) for f in found], [True] * 3, f"{name}: complete, in order, intact"),
            )
            verdicts += [*judged, presuming(all_of(*bad))]
        shown = tables.of("transfers", kind="bad").drop(columns=list(TIMES))
        return all_of(*verdicts).because("transfers", shown, scenario=GO_BACK_N)

    @claim(
        "Two words that change places leave UDP's checksum as it was; a CRC notices, and the piece "
        "is sent again.",
        source="RFC 1071 §1 (the sum is commutative); Stone & Partridge 2000; IEEE 802.3 §3.2.9",
        scenarios=PROTOCOLS,
    )
    def crc_catches_swapped_words(self, tables: Tables) -> Verdict:
        """Datagrams whose UDP checksum is right and whose CRC is wrong, as rx1 captured them."""
        verdicts = []
        shown = []
        for name in PROTOCOLS:
            row = self._of_kind(tables, name, "swapped")
            came = tables.of("frames", scenario=name, step="swapped", capture="rx1-eth0", ack=False)
            wrong = came[~came["sound"].astype(bool)]
            passed = int(wrong["checksum_ok"].astype(bool).sum())
            judged = (
                near(int(row["refused"]), passed, abs=0, unit=f"refused by their CRC ({name})"),
                same([bool(row["intact"]), bool(row["in_order"])], [True] * 2, f"{name}: intact"),
            )
            taken = at_least(passed, LEAST, unit=f"damaged datagrams that UDP takes ({name})")
            verdicts += [*judged, presuming(taken)]
            shown.append(wrong.head(3))
        verdict = all_of(*verdicts)
        for wrong in shown:
            verdict = verdict.because("damaged", wrong)
        return verdict

    @claim(
        "What is sent stays in the retransmission queue until it is acknowledged, and not longer: "
        "lost data is sent again, acknowledged data is not.",
        source="RFC 9293 §3.8; Bertsekas & Gallager §2.4",
        scenarios=PROTOCOLS,
        bears_stall_s=0.01,
    )
    def acknowledged_data_is_not_repeated(self, tables: Tables) -> Verdict:
        """Pieces that left tx1 later than two frames' times after their acknowledgement came."""
        verdicts = []
        for name in PROTOCOLS:
            lossy = self._transfers(tables, name, "lossy")
            late = sum(
                self._repeated_in_vain(tables, name, str(row["step"]))
                for row in lossy.to_dict("records")
            )
            lost, repeats = int(lossy["data_lost"].sum()), int(lossy["repeats"].sum())
            verdicts += [
                same(set(lossy["done"].astype(bool)), {True}, f"{name}: complete"),
                at_least(repeats, lost, unit=f"pieces repeated ({name})"),
                at_most(late, 0, unit=f"repeated although acknowledged ({name})"),
                presuming(at_least(lost, LEAST, unit=f"pieces lost ({name})")),
            ]
        shown = tables.of("transfers", kind="lossy").drop(columns=list(TIMES))
        return all_of(*verdicts).because("transfers", shown, scenario=GO_BACK_N)

    @claim(
        "Nothing is sent twice while nothing is lost, and each repetition comes one timeout after "
        "the transmission that failed.",
        source="RFC 1122 §4.2.3.1; Bertsekas & Gallager §2.4",
        scenarios=PROTOCOLS,
        bears_stall_s=0.002,
    )
    def timer_repeats(self, tables: Tables) -> Verdict:
        """Repetitions on the clean link; on the lossy one, times between copies of a piece.

        Go-back-N repeats the oldest piece under way after a timeout, and the others with it.
        """
        verdicts = []
        link = self.link
        slack_ms = 2 * link.frame_s * 1e3
        for name in PROTOCOLS:
            clean = self._transfers(tables, name, "clean")
            verdicts.append(
                at_most(int(clean["repeats"].sum()), 0, unit=f"repeats without losses ({name})")
            )
            left = self._left(tables, name, str(self._of_kind(tables, name, "lossy")["step"]))
            gaps_ms = left.groupby("number")["time_s"].diff() * 1e3
            if name == GO_BACK_N:
                gaps_ms = gaps_ms[left["number"].diff() <= 0]
            for what, gap_ms in (("shortest", gaps_ms.min()), ("longest", gaps_ms.max())):
                verdicts.append(
                    near(
                        float(gap_ms) if len(gaps_ms.dropna()) else None,
                        link.timeout_ms,
                        abs=slack_ms,
                        unit=f"ms, {what} ({name})",
                    )
                )
        shown = tables.of("transfers").drop(columns=list(TIMES))
        return all_of(*verdicts).because("transfers", shown, scenario=GO_BACK_N)

    # ---- what the claims look at

    def _of_kind(self, tables: Tables, name: str, kind: str) -> dict[str, Any]:
        """The only, or the widest, transfer of a kind."""
        widest = last(self._transfers(tables, name, kind), f"transfer '{kind}'")
        return {str(k): v for k, v in widest.items()}

    def _transfers(self, tables: Tables, name: str, kind: str) -> pd.DataFrame:
        """All transfers of a kind; MissingDataError if an end of one has not reported."""
        found = tables.of("transfers", scenario=name, kind=kind)
        silent = found[~found["reported"].astype(bool)]
        if len(silent):
            raise MissingDataError(f"{name}: no report of {', '.join(silent['step'])}")
        return found

    def _left(self, tables: Tables, name: str, step: str) -> pd.DataFrame:
        """A transfer's data as it left tx1."""
        return tables.of("frames", scenario=name, step=step, capture="tx1-eth0", ack=False)

    def _repeated_in_vain(self, tables: Tables, name: str, step: str) -> int:
        left = self._left(tables, name, step)
        acks = tables.of("frames", scenario=name, step=step, capture="tx1-eth0", ack=True)
        if name == GO_BACK_N:  # cumulative: everything before the number
            highest = acks.assign(number=acks["number"].cummax()).drop_duplicates("number")
            places = highest["number"].searchsorted(left["number"], side="right")
            known = [*highest["time_s"], float("inf")]
            at = left["number"].to_numpy() * 0.0 + [known[place] for place in places]
        else:
            first = acks.drop_duplicates("number").set_index("number")["time_s"]
            at = left["number"].map(first).fillna(float("inf")).to_numpy()
        return int((left["time_s"].to_numpy() > at + 2 * self.link.frame_s).sum())
