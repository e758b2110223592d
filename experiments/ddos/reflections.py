"""Claims on reflection and amplification."""

from __future__ import annotations

import pandas as pd

from testbed import Tables, Verdict, address, all_of, at_least, at_most, claim, first, pick, same

from .links import Links
from .observations import REFLECTION, TCP, UDP
from .reflection import CAREFUL, LIMIT_PER_S, OPEN, QUERIES, QUERIES_PER_S

ATTACKER_SIDE, VICTIM_SIDE, NEIGHBOUR_SIDE = "a1-eth0", "v1-eth0", "v2-eth0"
DNS_PORT = 53
AMPLIFIES = 10.0
"""What makes reflection worth while."""

SECONDS_TOUCHED = QUERIES // QUERIES_PER_S + 1
"""The server counts in whole seconds; the questions begin somewhere in one."""


class Reflections(Links):
    """Reflection and amplification."""

    @claim(
        "A question over UDP with a forged sender makes a name server send its answer to somebody "
        "who did not ask, and the answer is many times as long: the server multiplies the flood, "
        "and hides where it comes from.",
        source="RFC 4732 §3.1",
        scenarios=(REFLECTION,),
    )
    def name_servers_amplify(self, tables: Tables) -> Verdict:
        """Bytes of questions and answers at the server, and who sends to the victim."""
        asked, told = self._dialogue(tables, "amplified", OPEN)
        came = self._datagrams(tables, "amplified", VICTIM_SIDE)
        server = address(tables, f"{OPEN}-eth0", scenario=REFLECTION)
        return all_of(
            same(len(asked), QUERIES, "questions"),
            same(set(asked["ip_src"]), {address(tables, VICTIM_SIDE, scenario=REFLECTION)}, "from"),
            at_least(_factor(asked, told), AMPLIFIES, unit="times the bytes"),
            same(set(came["ip_src"]), {server}, "the victim is flooded by"),
        ).because("question and answer", pd.concat([asked.head(1), told.head(1)]))

    @claim(
        "Response rate limiting takes the gain away: few answers to one network are sent, and "
        "truncated ones instead of some of the others.",
        source="Vixie & Schryver, DNS Response Rate Limiting (ISC-TN-2012-1)",
        scenarios=(REFLECTION,),
    )
    def limited_answers_amplify_less(self, tables: Tables) -> Verdict:
        """The same questions to a server with a limit."""
        asked, told = self._dialogue(tables, "answers-limited", CAREFUL)
        open_factor = _factor(*self._dialogue(tables, "amplified", OPEN))
        cut = told["truncated"].astype(bool)
        whole, truncated = told[~cut], told[cut]
        dropped = len(asked) - len(told)
        return all_of(
            same(len(asked), QUERIES, "questions"),
            at_most(len(whole), LIMIT_PER_S * SECONDS_TOUCHED, unit="whole answers"),
            at_least(len(truncated), 1, unit="truncated ones"),
            at_least(dropped, 1, unit="questions without an answer"),
            at_most(_factor(asked, told), open_factor / 5, unit="times the bytes"),
        ).because("whole and truncated", pd.concat([whole.head(3), truncated.head(3)]))

    @claim(
        "The limit does not shut out honest resolvers in the victim's network: a truncated answer "
        "makes them ask again over TCP, where senders cannot be forged.",
        source="RFC 7766 §5; RFC 1035 §4.1.1 (TC)",
        scenarios=(REFLECTION,),
    )
    def truncated_answers_lead_to_tcp(self, tables: Tables) -> Verdict:
        """v2 asks for the same name in the middle of the flood."""
        seen = pick(tables, "answers-limited", NEIGHBOUR_SIDE, scenario=REFLECTION)
        server = address(tables, f"{CAREFUL}-eth0", scenario=REFLECTION)
        told = seen[seen["ip_src"] == server]
        by_udp = told[told["ip_proto"] == UDP]
        by_tcp = told[(told["ip_proto"] == TCP) & (told["tcp_payload_bytes"] > 0)]
        first(seen, "packet of v2")
        return all_of(
            same(list(by_udp["truncated"].astype(bool)), [True], "truncated over UDP"),
            at_least(float(by_tcp["tcp_payload_bytes"].sum()), 1000.0, unit="bytes over TCP"),
        ).because("answers", pd.concat([by_udp, by_tcp]))

    @claim(
        "A network that checks the senders of its own packets stops reflection before it begins.",
        source="RFC 2827 §3 (BCP 38); RFC 4732 §3.2",
        scenarios=(REFLECTION,),
    )
    def checked_senders_stop_reflection(self, tables: Tables) -> Verdict:
        """The attacker's router drops what claims to come from elsewhere."""
        sent = self._datagrams(tables, "senders-checked", ATTACKER_SIDE)
        came = self._datagrams(tables, "senders-checked", f"{OPEN}-eth0")
        return all_of(
            same(len(sent), QUERIES, "questions sent"), same(len(came), 0, "that came")
        ).because("questions", sent.head(4))

    # ---- what the claims look at

    def _datagrams(self, tables: Tables, step: str, capture: str) -> pd.DataFrame:
        return pick(tables, step, capture, scenario=REFLECTION, ip_proto=UDP)

    def _dialogue(
        self, tables: Tables, step: str, server: str
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Questions in the victim's name at a name server, and the answers to it."""
        seen = self._datagrams(tables, step, f"{server}-eth0")
        victim = address(tables, VICTIM_SIDE, scenario=REFLECTION)
        asked = seen[(seen["ip_src"] == victim) & (seen["udp_dport"] == DNS_PORT)]
        told = seen[(seen["ip_dst"] == victim) & (seen["udp_sport"] == DNS_PORT)]
        first(asked, f"question at {server}")
        return asked, told


def _factor(asked: pd.DataFrame, told: pd.DataFrame) -> float:
    """Bytes of answers for each byte of questions, with headers of IP and UDP."""
    return float(told["ip_bytes"].sum()) / float(asked["ip_bytes"].sum())
