"""A link that fails for a while, once for each length: what that costs those who use it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from analysis import echo
from testbed import Experiment, LinkShape, Tables, Verdict, all_of, claim, near, param
from topologies.dumbbell import BOTTLENECK, Dumbbell

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

EVERY_S = 0.1
"""From ping to ping."""

LATE_SHARE = 0.05
"""How much later ping sends while no answer comes: its timer ticks every 4 ms."""


class Outage(Experiment):
    """Pings over a link that loses everything for a while.

    tx1 pings rx1 ten times a second. In the middle the wire behind r1 loses every packet, and
    neither end notices; then it works as before.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        outages_s: tuple[float, ...] = param(
            (0.5, 1.0, 2.0, 4.0),
            "how long the link fails, a scenario each",
            unit="s",
            low=0.2,
            high=60,
        )
        loss_percent: float = param(100.0, "what it loses then", unit="%", low=0, high=100)
        delay_ms: float = param(5.0, "delay of the link, one way", unit="ms", low=0, high=100)

    params: Parameters
    programs = ("ping",)

    def scenarios(self) -> Mapping[str, Parameters]:
        """A network for each length: the sweep."""
        return {f"{s:g}s": replace(self.params, outages_s=(s,)) for s in self.params.outages_s}

    def topology(self) -> Dumbbell:
        """One sender, one receiver."""
        return Dumbbell(bottleneck=LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """Pings all the time, and breaks the link in the middle."""
        p, receiver = self.params, net.address("rx1")
        (outage_s,) = p.outages_s
        net.exec("tx1", "ping", "-c", "1", receiver)  # everybody has asked for addresses (ARP)
        net.capture("tx1-eth0")
        pings = net.start(
            "tx1", "ping", "-i", f"{EVERY_S}", "-c", f"{(outage_s + 4) / EVERY_S:.0f}", receiver
        )
        net.sleep(2)
        good = net.shape(BOTTLENECK)
        net.reshape(BOTTLENECK, replace(good, loss_percent=p.loss_percent))
        net.sleep(outage_s)
        net.reshape(BOTTLENECK, good)
        pings.wait(timeout_s=60)

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """One row a ping; `failing`: the link was failing when it was sent."""
        pings = echo.pings(data.packets("tx1-eth0", echo.COLUMNS), data.address("tx1"))
        failed_s, mended_s = data.events("reshape")["time_s"]
        pings["failing"] = pings["time_s"].between(failed_s, mended_s)
        return {"pings": pings}

    def _each(self, tables: Tables) -> Mapping[float, pd.DataFrame]:
        """The pings of each outage that was run, by its length in seconds."""
        ran = set(tables["pings"]["scenario"])
        lengths_s = [s for s in self.params.outages_s if f"{s:g}s" in ran]
        return {s: tables.of("pings", scenario=f"{s:g}s") for s in lengths_s}

    @claim(
        "Who sends while the link fails gets no answer; all others get theirs.",
        source="the link drops what it is given",
        bears_stall_s=0.002,
    )
    def only_those_are_lost(self, tables: Tables) -> Verdict:
        """How many pings were lost though it worked, or answered though it failed."""
        return all_of(
            *(
                near(
                    (pings["lost"] != pings["failing"]).sum(),
                    0,
                    abs=0,
                    unit="other pings",
                    what=f"{s:g} s",
                )
                for s, pings in self._each(tables).items()
            )
        )

    @claim(
        "An outage costs its length, in pings.",
        source="arithmetic: length / interval",
        bears_stall_s=0.002,
    )
    def costs_its_length(self, tables: Tables) -> Verdict:
        """How many were lost, give or take one at its ends."""
        verdicts = []
        for s, pings in self._each(tables).items():
            expected = s / EVERY_S
            slack = max(1, LATE_SHARE * expected)
            verdicts.append(
                near(pings["lost"].sum(), expected, abs=slack, unit="pings", what=f"{s:g} s")
            )
        return all_of(*verdicts)

    def plot(self, tables: Tables) -> dict[str, Figure]:
        """Lost pings against the outage's length.

        Figures:
            outage: Pings lost in each outage, over its length: as many as there is time for.
        """
        each = self._each(tables)
        lengths_s, lost = list(each), [pings["lost"].sum() for pings in each.values()]
        figure, axes = plt.subplots()
        axes.plot(lengths_s, lost, "o", label="lost")
        axes.plot(lengths_s, [s / EVERY_S for s in lengths_s], "-", label="expected")
        axes.set(xlabel="length of the outage (s)", ylabel="pings", xlim=(0, None), ylim=(0, None))
        axes.legend()
        return {"outage": figure}
