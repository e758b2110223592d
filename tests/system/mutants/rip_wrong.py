"""RIP with wrong timers, wrong split horizon, wrong versions, and a cut nobody notices."""

from dataclasses import replace
from functools import reduce

from experiments.rip import Rip

WRONG_TIMERS = {"timers basic 30 180 120": "timers basic 20 60 30"}
WRONG_HOPS = {
    "router rip\n": "access-list all permit any\nrouter rip\n offset-list all in 3 r1-eth1\n",
    "router ripng\n": "ipv6 access-list all permit any\nrouter ripng\n"
    " offset-list all in 3 r1-eth1\n",
}


class WrongRip(Rip):
    """RIP as it should not be."""

    def scenarios(self):
        """Every scenario under the right name, with the wrong thing in it."""
        right = super().scenarios()
        counting = right["off"]
        return {
            "triangle": replace(
                right["triangle"], split_horizon="off", failure="silence", fail_at_s=130.0,
                duration_s=150.0,
            ),
            "silent": replace(right["silent"], version=1, fail_at_s=45.0, duration_s=205.0),
            "campus": right["campus"],
            "off": replace(counting, failure="silence", duration_s=110.0),
            "next-hop": counting,
            "simple": counting,
            "poisoned": replace(right["poisoned"], split_horizon="simple"),
            "ripng": right["ripng"],
        }  # fmt: skip

    def inputs(self):
        """The configurations, edited."""
        found = dict(super().inputs())
        for name, text in found.items():
            edits = {} if self.params.failure == "lost-update" else dict(WRONG_TIMERS)
            if "/r1/" in name and self.params.topology == "triangle":
                edits |= WRONG_HOPS
            found[name] = reduce(lambda t, edit: t.replace(*edit), edits.items(), text)
        return found
