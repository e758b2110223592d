"""Claims on RIP's messages: where they go, when, and what is in them; the first part of `rip`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis import rip, routes
from testbed import (
    Experiment,
    MissingDataError,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    holds,
    near,
    none_of,
)

if TYPE_CHECKING:
    from testbed import Tables

FIRST_CHANGES_S = 40.0
"""From here on the tables stand, and updates are no longer triggered."""
JITTER_S = {"triangle": 7.5, "ripng": 15.0}
"""RFC 2453 §3.8 says 'a small random time (+/- 0 to 5 seconds)' of 30 s; FRR's ripd takes up to a
quarter, its ripngd up to half."""
SECOND_S = 1.5
"""FRR's timers count whole seconds, begun at any moment."""
TRIGGERED_S = 5.0
"""RFC 2453 §3.10.1: a triggered update waits 1 to 5 s if another has just gone."""
ANSWER_S = 1.0
"""An answer to a request waits for nothing."""
RIP_GROUP, RIPNG_GROUP = "224.0.0.9", "ff02::9"

DIRECT_LAN = {"triangle": "10.0.3.0/24", "ripng": "fd00:0:0:3::/64"}
"""h3's, in the triangle, in both versions of IP."""


class RipMessages(Experiment):
    """What passes between RIP's routers."""

    @claim(
        "RIP messages are UDP datagrams from and to port 520.",
        source="RFC 2453 §3.9",
        scenarios=("triangle",),
    )
    def udp_port_520(self, tables: Tables) -> Verdict:
        """Every message on every link."""
        sent = tables.of("messages", scenario="triangle")
        wrong = sent[(sent["udp_sport"] != 520) | (sent["udp_dport"] != 520)]
        return none_of(wrong, sent, "messages use another port", "all from and to port 520")

    @claim(
        "A router that starts asks its neighbours for their whole tables, and they answer it.",
        source="RFC 2453 §3.9.1, RFC 2080 §2.4.1",
        scenarios=("triangle",),
        bears_stall_s=0.1,
    )
    def request_on_start(self, tables: Tables) -> Verdict:
        """What r1, the last to start, sends first on each of its links, and what comes back."""
        verdicts, shown = [], []
        for scenario in both(tables):
            sent = tables.of("messages", scenario=scenario)
            firsts, answers = rip.first_exchanges(sent, "r1")
            asked = (firsts["command"] == "request") & firsts["whole_table"].astype(bool)
            verdicts += [
                none_of(
                    firsts[~asked],
                    firsts,
                    f"first messages of r1 ({scenario}) ask not",
                    "each a request for the whole table",
                ),
                none_of(
                    firsts[firsts["waited_s"] > ANSWER_S],
                    firsts,
                    "get no answer at once",
                    f"all answered within {ANSWER_S:g} s",
                ),
            ]
            shown += [firsts, answers]
        return all_of(*verdicts).because("request and answer", pd.concat(shown))

    @claim(
        "Every 30 s, with a little randomness, a router sends its neighbours its whole table.",
        source="RFC 2453 §3.8, RFC 2080 §2.3",
        scenarios=("triangle",),
        bears_stall_s=0.1,
    )
    def periodic_updates(self, tables: Tables) -> Verdict:
        """Gaps between whole updates of each router on each link, before anything fails."""
        verdicts = []
        for scenario in both(tables):
            updates = calm(tables, scenario, "updates")
            whole = rip.whole_updates(updates[updates["time_s"] > FIRST_CHANGES_S])
            gaps = whole["gap_s"].dropna()
            update_s = float(tables.row("setting", scenario=scenario)["update_s"])
            jitter_s = JITTER_S[scenario] + SECOND_S
            if len(gaps) < 3:
                raise MissingDataError(f"only {len(gaps)} gaps between updates before the failure")
            verdicts += [
                near(gaps.mean(), update_s, abs=jitter_s / 2, unit=f"s on average ({scenario})"),
                at_least(gaps.min(), update_s - jitter_s, unit="s at least"),
                at_most(gaps.max(), update_s + jitter_s, unit="s at most"),
                at_least(gaps.max() - gaps.min(), 0.1, unit="s between shortest and longest"),
            ]
        return all_of(*verdicts).because("whole updates", whole, scenario=scenario)

    @claim(
        "A router sends its table only to its neighbours: nobody forwards it.",
        source="RFC 2453 §3.4, §4.3; RFC 2080 §2.5",
        scenarios=("triangle",),
    )
    def neighbours_only(self, tables: Tables) -> Verdict:
        """The sender of every message has an address on the link it was seen on."""
        verdicts = []
        for scenario in both(tables):
            sent = tables.of("messages", scenario=scenario)
            strange = sent[~sent["attached"].astype(bool)]
            passing = sent["ip_ttl"] != (1 if scenario == "triangle" else 255)
            verdicts += [
                none_of(strange, sent, "messages of routers not on the link", "neighbours alone"),
                none_of(
                    sent[sent["to_all"] & passing],
                    sent,
                    "messages to all may be forwarded",
                    "TTL 1; hop limit 255, which no forwarded packet has",
                ),
            ]
        return all_of(*verdicts)

    @claim(
        "Version 2 sends to 224.0.0.9 and carries masks; version 1 broadcasts, without masks.",
        source="RFC 2453 §4.3, §4.5; RFC 1058",
        scenarios=("silent", "simple"),
    )
    def versions(self, tables: Tables) -> Verdict:
        """Updates of a line of routers in both versions."""
        verdicts, shown = [], []
        for scenario, version in (("silent", 2), ("simple", 1)):
            sent = tables.of("messages", scenario=scenario, to_all=True)
            told = tables.of("entries", scenario=scenario, command="response")
            groups = set(sent["ip_dst"].astype(str))
            masks = told["mask_given"].mean()
            right = groups == {RIP_GROUP} if version == 2 else RIP_GROUP not in groups
            verdicts += [
                holds(
                    right,
                    observed=f"version {version} to {', '.join(sorted(groups))}",
                    expected="224.0.0.9 in version 2 only",
                ),
                near(float(sent["version"].mean()), version, abs=0, unit="version field"),
                near(masks, float(version - 1), abs=0, unit="of entries with a mask"),
            ]
            shown.append(sent.head(2))
        return all_of(*verdicts).because("updates of both versions", pd.concat(shown))

    @claim(
        "A link known to be down is announced at once, by a triggered update.",
        source="RFC 2453 §3.10.1, RFC 2080 §2.5.1",
        scenarios=("triangle",),
        bears_stall_s=0.5,
    )
    def triggered_update(self, tables: Tables) -> Verdict:
        """Between the cut and the first message that tells a lost route as unreachable."""
        verdicts = []
        for scenario in both(tables):
            told = tables.of("entries", scenario=scenario, metric=routes.INFINITY)
            begin_s = failed_s(tables, scenario)
            told = told[told["time_s"] >= begin_s]
            if told.empty:
                nothing = f"nothing advertised in {scenario}"
                return holds(False, observed=nothing, expected=f"metric 16 within {TRIGGERED_S} s")
            took_s = told["time_s"].min() - begin_s
            verdicts.append(
                at_most(took_s, TRIGGERED_S, unit=f"s ({scenario})").because(
                    "routes advertised as unreachable", told.head(6)
                )
            )
        return all_of(*verdicts)

    @claim(
        "RIPng does the same for IPv6: UDP port 521, group ff02::9, hop limit 255.",
        source="RFC 2080 §2.5",
        scenarios=("ripng",),
    )
    def ripng(self, tables: Tables) -> Verdict:
        """All messages of the triangle in IPv6; other claims judge the rest of it."""
        sent = tables.of("messages", scenario="ripng")
        group = sent[sent["to_all"]]
        return all_of(
            none_of(
                sent[(sent["udp_sport"] != 521) | (sent["udp_dport"] != 521)],
                sent,
                "use another port",
                "port 521",
            ),
            none_of(group[group["ip_dst"] != RIPNG_GROUP], group, "to another group", RIPNG_GROUP),
            none_of(group[group["ip_ttl"] != 255], group, "with another hop limit", "255"),
        )


def both(tables: Tables) -> list[str]:
    """The triangle in those versions of IP that were run: one can be run alone."""
    ran = set(tables.of("setting")["scenario"])
    return [scenario for scenario in DIRECT_LAN if scenario in ran]


def failed_s(tables: Tables, scenario: str) -> float:
    """When the link failed; 0: it did not."""
    return float(tables.row("setting", scenario=scenario)["failed_s"])


def calm(tables: Tables, scenario: str, name: str) -> pd.DataFrame:
    """Rows of a table from before the failure."""
    found = tables.of(name, scenario=scenario)
    end_s = failed_s(tables, scenario) or float("inf")
    before: pd.DataFrame = found[found["time_s"] < end_s]
    return before
