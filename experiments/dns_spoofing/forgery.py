"""A forger against plain DNS, and what stops him without signatures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from testbed import (
    Experiment,
    LookUps,
    MissingDataError,
    Verdict,
    address,
    all_of,
    at_most,
    claim,
    holds,
    name_service,
    near,
    pick,
    same,
)

delegation, DAY_S = name_service.delegation, name_service.DAY_S

NAME, TRUTH, LIE = "www.example.org", "192.0.2.80", "203.0.113.66"

NUMBERS = 1 << 16

LIE_TTL_S, WAIT_S = DAY_S, 10

SERVER = "n3-eth0"


class Forgery(Experiment):
    """A forger against plain DNS, and what stops him without signatures."""

    @claim(
        "A resolver that always asks from one port reveals it to everybody who has a zone of his "
        "own; what is left to guess is a number of 16 bits, and one of 65,536 forged answers that "
        "come before the true one is taken for true.",
        source="RFC 5452 §3, §4.5, §7",
        scenarios=("fixed",),
        bears_stall_s=0.002,
    )
    def fixed_port_is_guessed(self, tables: LookUps) -> Verdict:
        """The flood, the answer that hit, and what h1's libc gets afterwards."""
        flood = self._flood(tables, "fixed")
        first = self._first_answers(tables, "fixed")
        return self._shown(
            all_of(
                at_most(float(flood["sent"]), NUMBERS, unit="forged answers"),
                same(_ports(first["asked"]), [int(flood["port_learnt"])], "port"),
                self._lie_is_first(first),
                same(tables.addresses("ask", scenario="fixed"), [LIE], "h1 hears"),
            ),
            first,
        )

    @claim(
        "The lie stays in the cache for as long as the forger said; nobody asks the true server.",
        source="RFC 5452 §2.1, §7.2; RFC 1034 §5.3.3",
        scenarios=("fixed",),
        bears_stall_s=0.002,
    )
    def lie_is_cached(self, tables: LookUps) -> Verdict:
        """h1's look-ups after the attack: TTL, and the resolver's queries."""
        asked = pd.concat(tables.resolver_queries(s, scenario="fixed") for s in ("ask", "later"))
        found = tables.records("later", "A", scenario="fixed")
        return all_of(
            at_most(len(asked), 0, unit="queries by the resolver"),
            same(tables.addresses("later", scenario="fixed"), [LIE], "h1 hears"),
            near(float(found["ttl_s"].min()), LIE_TTL_S - WAIT_S, abs=10, unit="s TTL left"),
        ).because("h1's look-ups", tables.client_answers("later", scenario="fixed"))

    @claim(
        "A random port for each question stops this attack: a forger must guess port and number, "
        "32 bits, and 65,536 answers are one in 65,536 of what it takes.",
        source="RFC 5452 §4.5, §7.2, §9.2",
        scenarios=("random",),
        bears_stall_s=0.002,
    )
    def random_ports_defend(self, tables: LookUps) -> Verdict:
        """The same flood against the port of the question before."""
        flood = self._flood(tables, "random")
        first = self._first_answers(tables, "random")
        elsewhere = int(flood["port_learnt"]) not in _ports(first["asked"])
        return self._shown(
            all_of(
                near(float(flood["came"]), NUMBERS, abs=0, unit="forged answers came"),
                holds(
                    elsewhere,
                    observed=f"asked from ports {_ports(first['asked'])}",
                    expected=f"from others than {int(flood['port_learnt'])}",
                ),
                at_most(len(first["forged"]), 0, unit="with port and number of the question"),
                same(tables.addresses("ask", scenario="random"), [TRUTH], "h1 hears"),
            ),
            first,
        )

    @claim(
        "A network that lets out only packets with its own addresses stops the forger at home.",
        source="RFC 2827 §3 (BCP 38); RFC 3704 §2.2; RFC 5452 §9.3",
        scenarios=("filtered",),
        bears_stall_s=0.002,
    )
    def senders_are_checked_at_home(self, tables: LookUps) -> Verdict:
        """The same flood behind a router that knows which senders live there."""
        flood = self._flood(tables, "filtered")
        return self._shown(
            all_of(
                near(float(flood["sent"]), NUMBERS, abs=0, unit="forged answers sent"),
                at_most(float(flood["came"]), 0, unit="of them came"),
                same(tables.addresses("ask", scenario="filtered"), [TRUTH], "h1 hears"),
            ),
            self._first_answers(tables, "filtered"),
        )

    def _flood(self, tables: LookUps, scenario: str) -> Any:
        flood = tables.row("flood", scenario=scenario)
        if pd.isna(flood["sent"]):
            raise MissingDataError("the forging program did not finish")
        return flood

    def _first_answers(self, tables: LookUps, scenario: str) -> dict[str, pd.DataFrame]:
        """The resolver's first question for the name; forged and true answers to it."""
        server = address(tables, SERVER, scenario=scenario)
        first = tables.resolver_queries(
            "forge", question=NAME, type="A", ip_dst=server, scenario=scenario
        ).head(1)
        told = tables.resolver_answers(
            "forge",
            question=NAME,
            id=set(first["id"]),
            udp_dport=set(first["udp_sport"]),
            scenario=scenario,
        )
        genuine = pick(tables, "forge", SERVER, scenario=scenario, table="dns", response=True)
        is_true = told["info"].isin(set(genuine["info"]))  # n3 never sent the forgery
        return {"asked": first, "forged": told[~is_true], "true": told[is_true]}

    def _lie_is_first(self, first: Mapping[str, pd.DataFrame]) -> Verdict:
        lie_s, true_s = first["forged"]["time_s"].min(), first["true"]["time_s"].min()
        ahead = len(first["forged"]) > 0 and not true_s < lie_s
        return holds(
            ahead,
            observed=f"forged answers with its port and number: "
            f"{len(first['forged'])}, before the true one: {ahead}",
            expected="one, before the true one",
        )

    def _shown(self, verdict: Verdict, first: Mapping[str, pd.DataFrame]) -> Verdict:
        """The verdict with the question and the answers."""
        seen = pd.concat(list(first.values())).sort_values("frame")
        rows = seen[["time_s", "id", "udp_sport", "udp_dport", "info"]]
        scenario = str(seen["scenario"].iloc[0])
        return verdict.because("question and answers", seen).because(
            "number and port", rows, scenario=scenario
        )


def _ports(asked: pd.DataFrame) -> list[int]:
    return sorted({int(p) for p in asked["udp_sport"]})
