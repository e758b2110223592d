"""One datagram from h1 to h2: the smallest lab that has everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed import Assignment, SeededRandom, Tables, Verdict, claim, holds, param
from topologies.single import Single

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

PORT = 5000


class Lab(Assignment):
    """A letter by UDP."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        word: str = param("hello", "the word to send")

    params: Parameters

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """A word of six letters."""
        return {"word": "".join(random.choice("abcdefghkmnprstuvwxyz") for _ in range(6))}

    def topology(self) -> Single:
        """Two hosts at a switch."""
        return Single(2)

    def run(self, net: RunningNetwork) -> None:
        """Starts the student's program on h1."""
        net.capture("h2-eth0", filter="udp")
        command = ["python3", "say.py", net.address("h2")]
        self.submission.start_program(net, "h1", command, log="say")
        net.sleep(20)

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """The datagrams that h2 saw."""
        packets = data.packets("h2-eth0", ["frame", "ip_src", "udp_dport", "payload"])
        return {"datagrams": packets[packets["udp_dport"] == PORT]}

    @claim("The word arrives in a datagram.", source="RFC 768")
    def word_arrives(self, tables: Tables) -> Verdict:
        """The first datagram's payload."""
        found = tables.rows("datagrams")
        expected = f"a datagram with '{self.params.word}'"
        if found.empty:
            return holds(False, observed="no datagram", expected=expected)
        said = bytes(found["payload"].iloc[0]).decode(errors="replace")
        verdict = holds(said == self.params.word, observed=f"'{said[:40]}'", expected=expected)
        return verdict.because(
            "first datagram", found["frame"][:3], scenario="main", capture="h2-eth0"
        )

    @claim("UDP's ports tell programs apart.", source="RFC 768")
    def port(self, tables: Tables) -> Verdict:
        """The student's answer."""
        return self.answers.number("port", PORT, abs=0)
