"""What the link carries: each protocol's utilisation against its formula, and TCP's next to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from testbed import Tables, Verdict, all_of, at_least, at_most, claim, near, presuming

from . import go_back_n, selective_repeat, stop_and_wait
from .correctness import GO_BACK_N, SELECTIVE_REPEAT, STOP_AND_WAIT, Correctness

if TYPE_CHECKING:
    import pandas as pd

SIGMAS = 4.0
"""How many standard deviations the losses of a run may be away from their expectation."""

CLOSE = 0.03
"""How far a rate may be from the formula with the losses that there were: of its value."""


class Efficiency(Correctness):
    """What the link carries: each protocol's utilisation against its formula."""

    @claim(
        "Stop-and-wait uses T / D of the link: one frame per round trip, and one timeout more for "
        "each attempt that fails.",
        source="Bertsekas & Gallager §2.4.1; Stallings, ch. 7 appendix",
        scenarios=(STOP_AND_WAIT,),
        bears_stall_s=0.002,
    )
    def stop_and_wait_wastes_the_link(self, tables: Tables) -> Verdict:
        """Utilisation without losses, and with those that the captures show."""
        link = self.link
        times = (link.frame_s, link.cycle_s, link.timeout_s)
        clean = self._of_kind(tables, STOP_AND_WAIT, "clean")
        lossy = self._of_kind(tables, STOP_AND_WAIT, "lossy")
        failed = _share(int(lossy["data_lost"]) + int(lossy["acks_lost"]), int(lossy["pieces"]))
        return presuming(
            self._as_lossy(failed, self._failed, lossy),
            near(
                self._used(clean),
                100 * stop_and_wait.utilisation(*times, 0),
                rel=0.01,
                unit="% of the link without losses",
            ),
            near(
                self._used(lossy),
                100 * stop_and_wait.utilisation(*times, failed),
                rel=CLOSE,
                unit="% of the link with losses",
            ),
        ).because("transfers", self._shown(tables, STOP_AND_WAIT), scenario=STOP_AND_WAIT)

    @claim(
        "A window of N frames uses N·T / D of the link, until N reaches D / T, what the path "
        "holds; a larger window then gains nothing.",
        source="Bertsekas & Gallager §2.4.2; Stallings, ch. 7 appendix",
        scenarios=(GO_BACK_N, SELECTIVE_REPEAT),
        bears_stall_s=0.002,
    )
    def window_fills_the_pipe(self, tables: Tables) -> Verdict:
        """Utilisation without losses, for windows below and above what the path holds."""
        link = self.link
        verdicts = []
        for name in (GO_BACK_N, SELECTIVE_REPEAT):
            for row in self._transfers(tables, name, "clean").to_dict("records"):
                window = int(row["window"])
                wanted = min(1.0, window * link.frame_s / link.cycle_s)
                verdicts.append(
                    near(
                        self._used(row),
                        100 * wanted,
                        rel=0.01,
                        unit=f"% with a window of {window} ({name})",
                    )
                )
        return all_of(*verdicts).because(
            "transfers", self._shown(tables, GO_BACK_N), scenario=GO_BACK_N
        )

    @claim(
        "In go-back-N each loss costs a whole timeout, however large the window is: "
        "U = T / (T + R·p / (1 − p)).",
        source="Bertsekas & Gallager §2.4.2; Stallings, ch. 7 appendix",
        scenarios=(GO_BACK_N,),
        bears_stall_s=0.002,
    )
    def go_back_n_pays_a_timeout_per_loss(self, tables: Tables) -> Verdict:
        """Utilisation with the losses of the piece that was due; windows of D / T and more.

        All other losses cost nothing, because the receiver would have thrown the piece away.
        """
        link, verdicts = self.link, []
        times = (link.frame_s, link.cycle_s, link.timeout_s)
        for row in self._transfers(tables, GO_BACK_N, "lossy").to_dict("records"):
            window, lost = int(row["window"]), int(row["in_turn_lost"])
            p = _share(lost, int(row["pieces"]))
            judged = (
                near(int(row["timeouts"]), lost, abs=0, unit="timeouts; losses of what was due"),
                near(
                    self._used(row),
                    100 * go_back_n.utilisation(*times, window, p),
                    rel=CLOSE,
                    unit=f"% with a window of {window} and {lost} such losses",
                ),
            )
            as_lossy = self._as_lossy(p, self.params.loss_percent / 100, row)
            verdicts.append(presuming(as_lossy, *judged))
        return all_of(*verdicts).because(
            "transfers", self._shown(tables, GO_BACK_N), scenario=GO_BACK_N
        )

    @claim(
        "So beyond D / T a larger window does not pay: it only makes go-back-N send more in vain, "
        "up to R / T frames for each loss.",
        source="Bertsekas & Gallager §2.4.2",
        scenarios=(GO_BACK_N,),
    )
    def larger_windows_only_waste(self, tables: Tables) -> Verdict:
        """Repetitions per timeout: the window, or what fits into a timeout."""
        link = self.link
        verdicts = []
        for row in self._transfers(tables, GO_BACK_N, "lossy").to_dict("records"):
            window = int(row["window"])
            most = min(window, link.timeout_s / link.frame_s)
            per_loss = int(row["repeats"]) / max(1, int(row["timeouts"]))
            verdicts.append(
                near(per_loss, most, rel=0.15, unit=f"frames sent again per loss, window {window}")
            )
        return all_of(*verdicts).because(
            "transfers", self._shown(tables, GO_BACK_N), scenario=GO_BACK_N
        )

    @claim(
        "Selective repeat sends again what was lost and nothing else; with a window that never "
        "holds it up, it uses 1 − P of the link.",
        source="Bertsekas & Gallager §2.4.3; Stallings, ch. 7 appendix",
        scenarios=(SELECTIVE_REPEAT,),
        bears_stall_s=0.01,
    )
    def selective_repeat_repeats_only_the_lost(self, tables: Tables) -> Verdict:
        """Repetitions against datagrams and acknowledgements lost; the widest window's use."""
        row = self._of_kind(tables, SELECTIVE_REPEAT, "lossy")
        lost = int(row["data_lost"]) + int(row["acks_lost"])
        failed = _share(lost, int(row["pieces"]))
        return all_of(
            near(
                int(row["repeats"]),
                lost,
                abs=0,
                unit="repetitions; datagrams and acknowledgements lost",
            ),
            presuming(
                self._as_lossy(failed, self._failed, row),
                near(
                    self._used(row),
                    100 * selective_repeat.utilisation(failed),
                    rel=CLOSE,
                    unit="% of the link",
                ),
            ),
            at_least(
                100 * float(row["rate_pps"]) * self.link.frame_s,
                95,
                unit="% of the time it transmits",
            ),
        ).because("transfers", self._shown(tables, SELECTIVE_REPEAT), scenario=SELECTIVE_REPEAT)

    @claim(
        "With the same losses selective repeat carries more than twice as much as go-back-N, and "
        "go-back-N much more than stop-and-wait.",
        source="Bertsekas & Gallager §2.4; Stallings, ch. 7 appendix",
        scenarios=(STOP_AND_WAIT, GO_BACK_N, SELECTIVE_REPEAT),
        bears_stall_s=0.01,
    )
    def each_protocol_gains(self, tables: Tables) -> Verdict:
        """Use of the lossy link with the widest window."""
        waits, back, selective = (
            self._used(self._of_kind(tables, name, "lossy"))
            for name in (STOP_AND_WAIT, GO_BACK_N, SELECTIVE_REPEAT)
        )
        return all_of(
            at_least(back / waits, 3, unit="times stop-and-wait"),
            at_least(selective / back, 2, unit="times go-back-N"),
        ).because("transfers with losses", self._lossy(tables), scenario=GO_BACK_N)

    @claim(
        "None of them controls congestion: with a large window they take the bottleneck from TCP. "
        "Stop-and-wait spares it only because it is slow.",
        source="RFC 8085 §3.1; RFC 2914 §3.1, §5",
        scenarios=(STOP_AND_WAIT, GO_BACK_N, SELECTIVE_REPEAT),
        bears_stall_s=0.1,
    )
    def windows_without_control_starve_tcp(self, tables: Tables) -> Verdict:
        """TCP's goodput alone, and next to each of the protocols."""
        verdicts = []
        for name in (STOP_AND_WAIT, GO_BACK_N, SELECTIVE_REPEAT):
            before, beside = (
                float(tables.row("shares", scenario=name, phase=phase, flow="TCP")["mbps"])
                for phase in ("before", "beside")
            )
            share = 100 * beside / before if before else 0.0
            unit = f"% of TCP's goodput ({name})"
            if name == STOP_AND_WAIT:
                verdicts.append(at_least(share, 80, unit=unit))
            else:
                verdicts.append(at_most(share, 25, unit=unit))
        return all_of(*verdicts).because("Mbit/s", tables.of("shares"), scenario=GO_BACK_N)

    # ---- what the claims look at

    @property
    def _failed(self) -> float:
        """P: probability that a datagram or its acknowledgement is lost."""
        arrives = 1 - float(self.params.loss_percent) / 100
        return 1 - arrives**2

    def _as_lossy(self, found: float, wanted: float, row: Mapping[Any, Any]) -> Verdict:
        """Chance gave the run about the losses that the link has."""
        attempts = int(row["pieces"]) / (1 - found)
        slack = SIGMAS * (wanted * (1 - wanted) / attempts) ** 0.5
        return near(100 * found, 100 * wanted, abs=100 * slack, unit="% lost")

    def _used(self, row: Mapping[Any, Any]) -> float:
        """Use of the link in percent, from the first transmission to the last piece's success.

        Of selective repeat with losses, to the last piece's first transmission: afterwards it has
        nothing new left to send next to its repetitions.
        """
        link = self.link
        took_s = float(row["through_s"]) - float(row["first_s"])
        if row["kind"] == "lossy" and row["scenario"] == SELECTIVE_REPEAT:
            took_s = float(row["sent_s"]) - float(row["first_s"])
        return 100 * (int(row["pieces"]) - 1) * link.frame_s / took_s

    def _lossy(self, tables: Tables) -> pd.DataFrame:
        lossy = tables.of("transfers", kind="lossy").rename(columns={"scenario": "protocol"})
        columns = ["window", "pieces", "transmissions", "repeats", "first_s", "through_s"]
        return lossy[["protocol", *columns]]

    def _shown(self, tables: Tables, name: str) -> pd.DataFrame:
        columns = ["step", "pieces", "transmissions", "repeats", "timeouts", "data_lost"]
        return tables.of("transfers", scenario=name)[[*columns, "acks_lost"]]


def _share(lost: int, pieces: int) -> float:
    """The share of attempts that failed, where each piece had one that did not."""
    return lost / (lost + pieces)
