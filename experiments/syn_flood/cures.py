"""Claims about settings against floods: resets, cookies, and what the server remembers."""

from __future__ import annotations

import pandas as pd

from testbed import (
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    first,
    last,
    near,
    same,
)

from .cure_steps import COOKIE_MSS, KNOWN_MAX_SYN_BACKLOG, PORTS, SMALL_MSS
from .observations import CLIENT_SIDE, FLOODS, SERVER_SIDE
from .queue import Queue
from .queue_steps import ACKS_LOST_S, MANY
from .stage import SHORT

OPTIONS = {"window scale": "tcp_wscale", "SACK": "tcp_sack_permitted", "timestamps": "tcp_tsval"}
LARGEST_UNSCALED_BYTES = 65_535
TIMESTAMP_BYTES = 12


class Cures(Queue):
    """Settings against floods."""

    @claim(
        "tcp_abort_on_overflow does nothing against a flood of SYNs: it answers third segments "
        "that find the queue of complete connections full, and a flood sends none.",
        source="ip-sysctl: tcp_abort_on_overflow; Linux 7: tcp_check_req",
        scenarios=(FLOODS,),
    )
    def resets_do_not_help(self, tables: Tables) -> Verdict:
        """The same setting in a flood, and with a program that accepts nothing."""
        flooded = self._segments(tables, "aborting", by=SERVER_SIDE, has="RST")
        full = self._segments(tables, "aborting-full", by=SERVER_SIDE, has="RST", without="ACK")
        answers = self._answers(tables, "aborting-full")
        got = self._results(tables, "aborting-full", "connect")
        return all_of(
            same(len(flooded), 0, "resets by the server in the flood"),
            self._served(tables, "aborting", False),
            at_least(len(answers), 3, unit="SYN+ACKs without a flood"),
            same(len(full), 1, "resets by the server without a flood"),
            same("ECONNRESET" in got, True, "a client hears ECONNRESET"),
        ).because("the reset", full)

    @claim(
        "With SYN cookies a full queue shuts nobody out: the server answers every SYN, keeps "
        "nothing of those beyond the queue, and the client's third segment opens the connection.",
        source="RFC 4987 §3.6; ip-sysctl: tcp_syncookies",
        scenarios=(FLOODS,),
    )
    def cookies_shut_nobody_out(self, tables: Tables) -> Verdict:
        """A client in the flood; the queue at that moment; SYN+ACKs that were not repeated."""
        queue = first(self._queue(tables, "cookies"), "state of the queue")
        return all_of(
            self._served(tables, "cookies", True),
            near(self._connect_s(tables, "cookies"), self._rtt_s, rel=0.1, unit="s to connect"),
            same(len(self._flooded(tables, "cookies")), MANY, "SYNs of the flood answered"),
            same(int(queue["half_open"]), SHORT + 1, "half open"),
        ).because("the client's handshake", self._handshake(tables, "cookies"))

    @claim(
        "A cookie has no room for TCP's options: a client without timestamps loses window scaling "
        "and SACK. With timestamps Linux hides them there, and all are kept.",
        source="RFC 4987 §3.6; Linux 7: cookie_init_timestamp, cookie_timestamp_decode",
        scenarios=(FLOODS,),
    )
    def cookies_lose_options(self, tables: Tables) -> Verdict:
        """Options of three SYN+ACKs: without flood, with cookies, with cookies and timestamps."""
        wanted = {
            "calm-plain": ["window scale", "SACK"],
            "cookies-plain": [],
            "cookies": list(OPTIONS),
        }
        shown, verdicts = [], []
        for step, options in wanted.items():
            answer = self._handshake(tables, step)
            row = first(answer, f"SYN+ACK to the client in {step}")
            seen = [name for name, column in OPTIONS.items() if _present(row[column])]
            verdicts.append(same(seen, options, step))
            shown.append(answer.head(1))
        return all_of(*verdicts).because("SYN+ACKs", pd.concat(shown))

    @claim(
        "What the lost option costs: without window scaling no more than 65,535 bytes are sent in "
        "a round trip, however fast the path is.",
        source="RFC 7323 §1.1, §2",
        scenarios=(FLOODS,),
    )
    def lost_options_slow_transfers(self, tables: Tables) -> Verdict:
        """The same file over three connections: goodput from the first byte to the last."""
        limit_mbps = 8e-6 * LARGEST_UNSCALED_BYTES / self._rtt_s
        steps = ("calm-plain", "cookies-plain", "cookies")
        rates = {step: self._goodput_mbps(tables, step) for step in steps}
        return all_of(
            at_most(rates["cookies-plain"], limit_mbps, unit="Mbit/s", what="cookies-plain"),
            *(
                at_least(rates[step], 1.5 * limit_mbps, unit="Mbit/s", what=step)
                for step in ("calm-plain", "cookies")
            ),
        ).because("data", self._data(tables, "cookies-plain").head(3))

    @claim(
        "A cookie holds one of four segment sizes: 536, 1300, 1440 and 1460 bytes. What the client "
        "announced is rounded down.",
        source="Linux 7: msstab of syncookies.c; RFC 4987 §3.6",
        scenarios=(FLOODS,),
    )
    def cookies_round_segment_sizes(self, tables: Tables) -> Verdict:
        """A client that can take 1400 bytes; segments carry timestamps of 12 bytes."""
        syn = self._segments(tables, "cookies-mss", by=CLIENT_SIDE, has="SYN", without="ACK")
        data = self._data(tables, "cookies-mss")
        largest = float(data["tcp_payload_bytes"].max())
        return all_of(
            same(int(first(syn, "SYN of the client")["tcp_mss"]), SMALL_MSS, "announced"),
            near(largest, COOKIE_MSS - TIMESTAMP_BYTES, abs=0, unit="bytes in the largest segment"),
        ).because("the SYN, and data", pd.concat([syn, data.head(2)]))

    @claim(
        "A cookie is sent once: if the client's acknowledgement is lost, nobody repeats the "
        "SYN+ACK, and a client that waits for the server to speak waits in vain.",
        source="RFC 4987 §3.6",
        scenarios=(FLOODS,),
    )
    def cookies_are_not_repeated(self, tables: Tables) -> Verdict:
        """Acknowledgements are lost for 4 s, as without cookies in `acks-lost`."""
        answers = self._handshake(tables, "cookies-acks-lost")
        with_memory = self._handshake(tables, "acks-lost")
        return all_of(
            same(len(answers), 1, "SYN+ACKs"),
            at_least(len(with_memory), 3, unit="SYN+ACKs without cookies"),
            same(self._results(tables, "cookies-acks-lost", "connect")[:1], ["ok"], "connect"),
            same(
                self._results(tables, "cookies-acks-lost", "receive")[:1],
                ["still waiting"],
                "receive",
            ),
        ).because(f"SYN+ACKs, {ACKS_LOST_S:g} s without acknowledgements", answers)

    @claim(
        "The last quarter of tcp_max_syn_backlog is for clients the server knows from its "
        "tcp_metrics: such a client notices nothing of a flood. Where the listener's backlog is "
        "the limit, it is shut out like the others.",
        source="Linux 7: tcp_conn_request, tcp_peer_is_proven",
        scenarios=(FLOODS,),
    )
    def known_clients_are_spared(self, tables: Tables) -> Verdict:
        """The client was served before the flood; in one step the server forgets that."""
        came = self._segments(tables, "known", by=CLIENT_SIDE, has="SYN", without="ACK")
        return all_of(
            self._served(tables, "known", True),
            near(self._connect_s(tables, "known"), self._rtt_s, rel=0.1, unit="s to connect"),
            self._served(tables, "unknown", False),
            self._served(tables, "known-short", False),
            at_most(
                len(self._flooded(tables, "known")),
                KNOWN_MAX_SYN_BACKLOG * 3 // 4 + 1,
                unit="SYNs of the flood answered",
            ),
        ).because("the known client's SYNs", came)

    # ---- what the claims look at

    @property
    def _rtt_s(self) -> float:
        """Client and server: two arms, there and back."""
        return 4e-3 * float(self.params.delay_ms)

    def _handshake(self, tables: Tables, step: str) -> pd.DataFrame:
        """SYN+ACKs to the client."""
        return self._segments(tables, step, by=SERVER_SIDE, to=CLIENT_SIDE, has="SYN ACK")

    def _flooded(self, tables: Tables, step: str) -> pd.Series[int]:
        """SYN+ACKs to the others, by address and port."""
        answers = self._answers(tables, step)
        answers = answers[answers["ip_dst"] != self._client_address(tables)]
        return answers.groupby(["ip_dst", "tcp_dport"]).size()

    def _connect_s(self, tables: Tables, step: str) -> float:
        """From the last client's SYN to its third segment, at the client."""
        mine = self._segments(tables, step, CLIENT_SIDE, by=CLIENT_SIDE)
        begun = last(mine[mine["tcp_flags"] == 2], f"SYN of the client in {step}")
        own = mine[(mine["tcp_sport"] == begun["tcp_sport"]) & (mine["tcp_flags"] != 2)]
        return float(own["time_s"].min() - begun["time_s"])

    def _data(self, tables: Tables, step: str) -> pd.DataFrame:
        """Segments with data, as they came to the client."""
        found = self._segments(tables, step, CLIENT_SIDE, by=SERVER_SIDE)
        return found[(found["tcp_payload_bytes"] > 0) & (found["tcp_sport"] == PORTS[step])]

    def _goodput_mbps(self, tables: Tables, step: str) -> float:
        """Of the data; NaN without."""
        data = self._data(tables, step)
        took_s = float(data["time_s"].max() - data["time_s"].min())
        return 8e-6 * float(data["tcp_payload_bytes"].sum()) / took_s if took_s else float("nan")


def _present(value: object) -> bool:
    """True if an option was there."""
    return not pd.isna(value) and value is not False  # type: ignore[call-overload]
