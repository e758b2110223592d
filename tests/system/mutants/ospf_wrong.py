"""OSPF with a late router, wrong timers, no bandwidths, one path, no stub and no range."""

from dataclasses import replace
from functools import reduce

from experiments.ospf import Ospf

EDITS = {
    "campus": {"dead-interval 40": "dead-interval 20"},
    "areas": {" area 0.0.0.1 stub\n": "", " area 0.0.0.1 range 10.1.0.0/16\n": ""},
    "square": {
        "router ospf\n": "router ospf\n maximum-paths 1\n timers throttle spf 9000 9000 9000\n"
    },
    "triangle": {
        " bandwidth 1\n": "", " bandwidth 100\n": "",
        "router ospf\n": "router ospf\n timers throttle spf 9000 9000 9000\n",
    },
    "line": {"hello-interval 10": "hello-interval 7"},
}  # fmt: skip


class WrongOspf(Ospf):
    """OSPF as it should not be."""

    def scenarios(self):
        """Every scenario under the right name, with the wrong thing in it."""
        right = super().scenarios()
        return right | {
            "campus": replace(right["campus"], late="r4", duration_s=140.0),
            "quiet": replace(
                right["quiet"], size=3, fail="r2-eth1", failure="cut", fail_at_s=400.0,
                duration_s=500.0,
            ),
            "triangle": replace(right["triangle"], odd_hello_s=4),
            "mismatch": replace(right["mismatch"], odd_hello_s=0),
        }  # fmt: skip

    def inputs(self):
        """The configurations, edited."""
        found = dict(super().inputs())
        for name, text in found.items():
            edits = EDITS[self.params.topology].items()
            found[name] = reduce(lambda t, edit: t.replace(*edit), edits, text)
        return found
