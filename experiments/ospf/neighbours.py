"""Claims on OSPF's neighbours: hellos, adjacencies and elections; the first part of `ospf`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis import adjacency
from testbed import (
    Experiment,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    holds,
    near,
    none_of,
    same,
)

if TYPE_CHECKING:
    from testbed import Tables

ALL_ROUTERS, ALL_DESIGNATED = "224.0.0.5", "224.0.0.6"


class OspfNeighbours(Experiment):
    """How OSPF's routers find each other."""

    @claim(
        "OSPF runs directly over IP as protocol 89, to 224.0.0.5 and, for the designated "
        "routers of a LAN, 224.0.0.6, and never leaves its link.",
        source="RFC 2328 §8.1, appendix A.1",
        scenarios=("campus",),
    )
    def protocol_89(self, tables: Tables) -> Verdict:
        """Addresses and TTL of all packets; who speaks to 224.0.0.6."""
        sent = tables.of("packets", scenario="campus")
        group = sent[sent["ip_dst"].astype(str).str.startswith("224.")]
        groups = set(group["ip_dst"].astype(str))
        return all_of(
            none_of(sent[sent["ip_proto"] != 89], sent, "of another protocol", "protocol 89"),
            none_of(group[group["ip_ttl"] != 1], group, "with a TTL above 1", "TTL 1"),
            holds(
                groups == {ALL_ROUTERS, ALL_DESIGNATED},
                expected="both groups, no other",
                observed=", ".join(sorted(groups)),
            ),
        ).because("to the designated routers", group[group["ip_dst"] == ALL_DESIGNATED].head(3))

    @claim(
        "A router sends a hello every 10 s; the hello carries a dead interval of 40 s.",
        source="RFC 2328 §9.5, appendix C.3",
        scenarios=("quiet",),
        bears_stall_s=0.1,
    )
    def hellos(self, tables: Tables) -> Verdict:
        """Gaps between each router's hellos."""
        sent = tables.of("packets", scenario="quiet", type="hello")
        setting = tables.row("setting", scenario="quiet")
        gaps = sent.groupby(["capture", "sender"])["time_s"].diff().dropna()
        dead = sent["dead_interval_s"].dropna()
        return all_of(
            near(gaps.mean(), float(setting["hello_s"]), rel=0.02, unit="s on average"),
            at_most(gaps.max(), float(setting["hello_s"]) + 1.0, unit="s at most"),
            near(float(dead.min()), float(setting["dead_s"]), abs=0, unit="s told"),
            near(float(dead.max()), float(setting["dead_s"]), abs=0, unit="s told"),
        ).because("the first hellos", sent.head(6))

    @claim(
        "Two neighbours come up step by step: Init, 2-Way, ExStart, Exchange, Loading, Full.",
        source="RFC 2328 §10.1",
        scenarios=("quiet",),
    )
    def adjacency_steps(self, tables: Tables) -> Verdict:
        """What is on the wire of each link at each step, in this order; the higher id is master."""
        verdicts, shown = [], []
        for link, sent in tables.of("packets", scenario="quiet").groupby("capture"):
            steps = adjacency.adjacency(sent)
            shown.append(steps)
            told = sent[(sent["type"] == "description")]
            told = told[~told["dd_flags"].str.contains("I", na=True)]
            masters = set(told[told["dd_flags"].str.contains("MS", na=False)]["router_id"])
            verdicts += [
                holds(
                    list(steps["step"]) == list(adjacency.STEPS),
                    observed=f"{link}: {' → '.join(steps['step']) or 'nothing'}",
                    expected=" → ".join(adjacency.STEPS),
                ),
                holds(
                    masters == {sent["router_id"].max()},
                    expected="the higher router id",
                    observed=f"{link}: master {', '.join(sorted(masters)) or 'nobody'}",
                ),
            ]
        return all_of(*verdicts).because("the steps", pd.concat(shown))

    @claim(
        "All neighbours on point-to-point links become fully adjacent.",
        source="RFC 2328 §10.4",
        scenarios=("square", "triangle", "ospfv3"),
    )
    def adjacent(self, tables: Tables) -> Verdict:
        """States the routers tell; where one is missing, what their hellos disagree in."""
        verdicts, shown = [], []
        for scenario in ("square", "triangle", "ospfv3"):
            found = tables.of("neighbours", scenario=scenario)
            hellos = tables.of("packets", scenario=scenario, type="hello")
            links = hellos["capture"].nunique()
            shown.append(found[["scenario", "node", "interface", "neighbour", "state"]])
            apart = adjacency.disagreements(hellos)
            why = "; ".join(
                f"{r.routers} differ in {r.field}: {r.values}" for r in apart.itertuples()
            )
            full = found[found["state"] == "Full"]
            verdicts.append(
                holds(
                    len(full) == 2 * links,
                    expected=f"{2 * links} in {scenario}",
                    observed=f"{len(full)} of {2 * links} in {scenario} are Full {why}".strip(),
                )
            )
        return all_of(*verdicts).because("neighbours' states", pd.concat(shown))

    @claim(
        "Routers whose hello intervals differ never become neighbours.",
        source="RFC 2328 §10.5",
        scenarios=("mismatch",),
    )
    def mismatch_is_refused(self, tables: Tables) -> Verdict:
        """Hellos of two routers that disagree: neither ever lists the other."""
        sent = tables.of("packets", scenario="mismatch")
        hellos = sent[sent["type"] == "hello"]
        apart = adjacency.disagreements(hellos)
        listed = hellos[hellos["neighbours"].fillna("") != ""]
        return all_of(
            at_least(len(apart), 1, unit="contradictions in the hellos"),
            none_of(listed, hellos, "hellos list a neighbour", "none"),
            none_of(sent[sent["type"] != "hello"], sent, "are more than hellos", "hellos alone"),
        ).because("who disagrees in what", apart, scenario="mismatch")

    @claim(
        "On a LAN the router of highest priority, then id, is designated, the next its backup; "
        "the others are adjacent to these two only.",
        source="RFC 2328 §9.4, §10.4",
        scenarios=("campus",),
        bears_stall_s=1.0,
    )
    def election(self, tables: Tables) -> Verdict:
        """What the last hellos before the failure say, and the rules on what they said first."""
        return self._election(tables, "campus")

    def _election(self, tables: Tables, scenario: str) -> Verdict:
        before, _ = _on_the_core(tables, scenario)
        last = before.groupby("sender").last()
        first = before.groupby("sender").first()
        ids = dict(zip(first.index, first["router_id"], strict=True))
        wanted = adjacency.elected(zip(first["priority"], first["router_id"], strict=True))
        chosen = set(zip(last["dr"], last["bdr"], strict=True))
        states = tables.of("neighbours", scenario=scenario)
        on_lan = states[states["interface"].str.endswith("-eth0") & (states["node"] != "r5")]
        others = [n for n in ids if ids[n] not in wanted]
        between_others = on_lan[on_lan["node"].isin(others) & on_lan["neighbour"].isin(others)]
        return all_of(
            holds(
                chosen == {wanted},
                expected=f"all: DR {wanted[0]}, BDR {wanted[1]}",
                observed="; ".join(f"DR {d}, BDR {b}" for d, b in sorted(chosen)),
            ),
            same(set(between_others["state"]), {"2-Way"}, "the others among themselves"),
        ).because("the last hellos before the failure", before.groupby("sender").tail(1))

    @claim(
        "When the designated router falls silent, its backup takes over after the dead "
        "interval, and another becomes backup.",
        source="RFC 2328 §9.1, §9.3",
        scenarios=("campus",),
        bears_stall_s=0.1,
    )
    def backup_takes_over(self, tables: Tables) -> Verdict:
        """Hellos on the core LAN before and after."""
        return self._takeover(tables, "campus")

    def _takeover(self, tables: Tables, scenario: str) -> Verdict:
        setting = tables.row("setting", scenario=scenario)
        before, hellos = _on_the_core(tables, scenario)
        dr, bdr = before.iloc[-1][["dr", "bdr"]]
        gone = before[before["router_id"] == dr]["time_s"].max()
        after = hellos[(hellos["time_s"] > gone) & (hellos["dr"] == bdr)]
        if after.empty:
            return holds(False, observed=f"DR stays {dr}", expected=f"{bdr} takes over")
        dead_s, hello_s = float(setting["dead_s"]), float(setting["hello_s"])
        return all_of(
            between(
                after["time_s"].min() - gone,
                dead_s - 1,
                dead_s + hello_s + 1,
                unit="s from the DR's last hello",
            ),
            holds(
                hellos.iloc[-1]["bdr"] not in (dr, bdr, adjacency.NONE),
                expected="a third router",
                observed=f"new backup {hellos.iloc[-1]['bdr']}",
            ),
        ).because("the backup is designated", after.head(1))

    @claim(
        "OSPFv3 elects by the same rules; its hellos name the elected by their router ids.",
        source="RFC 5340 §2.11, appendix A.3.2",
        scenarios=("ospfv3-campus",),
        bears_stall_s=1.0,
    )
    def ospfv3_election(self, tables: Tables) -> Verdict:
        """The same LAN in IPv6."""
        hellos = tables.of("packets", scenario="ospfv3-campus", type="hello", capture="r1-eth0")
        known = {adjacency.NONE, *hellos["router_id"]}
        strange = hellos[~(hellos["dr"].isin(known) & hellos["bdr"].isin(known))]
        return all_of(
            none_of(strange, hellos, "name somebody otherwise", "router ids"),
            self._election(tables, "ospfv3-campus"),
        )

    @claim(
        "In OSPFv3 as well the backup takes over when the designated router is dead.",
        source="RFC 5340 §4.2, RFC 2328 §9.3",
        scenarios=("ospfv3-campus",),
        bears_stall_s=0.1,
    )
    def ospfv3_backup_takes_over(self, tables: Tables) -> Verdict:
        """The same LAN in IPv6."""
        return self._takeover(tables, "ospfv3-campus")


def _on_the_core(tables: Tables, scenario: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hellos on the core LAN before the failure, and all, with the elected by router id.

    Version 2 names them by their addresses there.
    """
    setting = tables.row("setting", scenario=scenario)
    hellos = tables.of("packets", scenario=scenario, type="hello", capture="r1-eth0")
    at = dict(zip(hellos["ip_src"].astype(str), hellos["router_id"], strict=True))
    named = {name: [at.get(d, d) for d in hellos[name]] for name in ("dr", "bdr")}
    hellos = hellos.assign(**named)
    return hellos[hellos["time_s"] < setting["failed_s"]], hellos
