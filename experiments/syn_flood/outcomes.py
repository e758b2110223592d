"""Attacks against defences: in which steps a client shows what came of a pair."""

from __future__ import annotations

from testbed import (
    NO_DEFENCE,
    AttackExperiment,
    Defence,
    Layer,
    MissingDataError,
    Outcome,
    Tables,
)

from .crowds import Crowds

ATTACKS = {
    "forged": "SYNs from silent addresses",
    "live": "SYNs in the name of a host that exists",
    "own-prefix": "SYNs from addresses of the attacker's network",
    "complete": "idle connections from one address",
    "many-sources": "idle connections from several addresses",
    "slow": "slow requests",
}

DEFENCES = {
    NO_DEFENCE: Defence("no defence", None, "half_open_connections_shut_clients_out"),
    "filter": Defence("check of senders (BCP 38)", Layer.NETWORK, "filters_stop_foreign_senders"),
    "rule": Defence("rule against a network", Layer.NETWORK, "true_senders_can_be_blocked"),
    "cookies": Defence("SYN cookies", Layer.HOST, "cookies_shut_nobody_out"),
    "aborting": Defence("tcp_abort_on_overflow", Layer.HOST, "resets_do_not_help"),
    "metrics": Defence("places for known clients", Layer.HOST, "known_clients_are_spared"),
    "per-source": Defence("limit per source", Layer.SERVER, "limits_keep_places_free"),
    "event-driven": Defence("event-driven server", Layer.SERVER, "event_driven_servers_bear_more"),
    "time-limit": Defence(
        "time limit for headers", Layer.SERVER, "time_limits_cut_slow_requests_off"
    ),
}

FLOODED = {
    ("forged", NO_DEFENCE): ("unknown",),
    ("forged", "filter"): ("filtered",),
    ("forged", "cookies"): ("cookies",),
    ("forged", "aborting"): ("aborting",),
    ("forged", "metrics"): ("known", "known-short"),
    ("live", NO_DEFENCE): ("live",),
    ("own-prefix", "filter"): ("own-prefix",),
    ("own-prefix", "rule"): ("blocked",),
}
"""Attack and defence → steps, each with a client that is served or not."""

CROWDED = {
    ("complete", "cookies"): ("idle",),
    ("complete", "per-source"): ("limited",),
    ("many-sources", "per-source"): ("many-sources",),
    ("slow", NO_DEFENCE): ("slow-apache",),
    ("slow", "event-driven"): ("slow-nginx", "slow-full"),
    ("slow", "time-limit"): ("slow-cured",),
}
"""The same with connections that are complete."""


class Outcomes(Crowds, AttackExperiment):
    """What came of each attack against each defence."""

    attacks, defences = ATTACKS, DEFENCES

    def outcome(self, tables: Tables, attack: str, defence: str) -> Outcome | None:
        """Whether the clients are served: in some of a pair's steps is harder for the attacker."""
        pair = (attack, defence)
        if pair in FLOODED:
            served = [self._last_connect(tables, step) == "ok" for step in FLOODED[pair]]
        elif pair in CROWDED:
            served = [self._answers_s(tables, step)[0] is not None for step in CROWDED[pair]]
        else:
            return None
        return Outcome.of(not all(served), harder=any(served))

    def _last_connect(self, tables: Tables, step: str) -> str:
        """What the step's last client got."""
        results = self._results(tables, step, "connect")
        if not results:
            raise MissingDataError(f"step '{step}': no client tried to connect")
        return results[-1]
