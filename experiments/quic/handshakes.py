"""How a connection begins: round trips, proven addresses, versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    pick,
    same,
)

from .talk import CLIENT, answer_ms, datagrams, frames, packets

if TYPE_CHECKING:
    from .experiment import Quic

UDP_HEADER_BYTES = 8
LEAST_BYTES = 1200
"""Of a datagram with an Initial packet (RFC 9000 §14.1)."""
MOST_TIMES = 3
"""How many times what came may be sent to an address that is not proven (RFC 9000 §8.1)."""


def in_round_trips(took_ms: float, count: int, rtt_ms: float, what: str) -> Verdict:
    """Whether something took so many round trips, and less than one more."""
    return between(took_ms, count * rtt_ms, (count + 1) * rtt_ms, unit="ms", what=what)


class Handshakes(Experiment):
    """How a connection begins."""

    params: Quic.Parameters

    def _takes(self, tables: Tables, step: str, count: int) -> Verdict:
        """Round trips from a step's first packet to its response."""
        what = f"{step}, {count} round trips"
        return in_round_trips(answer_ms(tables, step), count, 2 * self.params.delay_ms, what)

    @claim(
        "A new QUIC connection has its first answer after two round trips: one for the handshake, "
        "one for the request. TCP with TLS 1.3 needs three.",
        source="RFC 9000 §1, §7; RFC 9001 §4; RFC 8446 §2",
    )
    def saves_a_round_trip(self, tables: Tables) -> Verdict:
        """From the first packet to the first header of the response."""
        tcp = pick(tables, "tcp", CLIENT)
        tcp = tcp[tcp["tcp_flags"].notna()]
        said = pick(tables, "tcp", CLIENT, table="http2", from_client=False, type="HEADERS")
        if tcp.empty or said.empty:
            raise MissingDataError("step 'tcp': no response of HTTP/2 can be read")
        took_ms = 1e3 * (float(said["time_s"].min()) - float(tcp["time_s"].min()))
        return all_of(
            self._takes(tables, "open", 2),
            in_round_trips(took_ms, 3, 2 * self.params.delay_ms, "tcp, 3 round trips"),
        ).because("datagrams", datagrams(frames(tables, "open")))

    @claim(
        "A client that knows the server from an earlier connection sends its request with the very "
        "first datagram (0-RTT): the answer comes after one round trip.",
        source="RFC 9001 §4.6; RFC 9000 §17.2.3; RFC 8446 §2.3",
    )
    def early_data_save_another(self, tables: Tables) -> Verdict:
        """What the client's first datagram holds."""
        found = frames(tables, "early", from_client=True)
        opening = found[found["frame"] == found["frame"].min()]
        early = opening[(opening["packet"] == "0-RTT") & (opening["type"] == "STREAM")]
        return all_of(
            same("0-RTT" in set(opening["packet"]), True, "0-RTT in the first datagram"),
            same(0 in set(early["stream"]), True, "with the request on stream 0"),
            self._takes(tables, "early", 1),
        ).because("first datagrams", datagrams(frames(tables, "early")).head(4))

    @claim(
        "Until a client's address is proven, a server sends at most three times the bytes that "
        "came from it. So the client fills its first datagram up to 1,200 bytes, and a long "
        "certificate costs another round trip.",
        source="RFC 9000 §8.1, §14.1",
    )
    def servers_do_not_amplify(self, tables: Tables) -> Verdict:
        """What comes before the client's second datagram can have any effect: one round trip after
        it."""
        every = datagrams(frames(tables, "long"))
        every = every.assign(bytes=every["udp_bytes"].astype("int64") - UDP_HEADER_BYTES)
        asked = every[every["from_client"]]
        second_s = float(asked["time_s"].iloc[1]) if len(asked) > 1 else float("inf")
        until_s = second_s + 2e-3 * self.params.delay_ms
        before = every[~every["from_client"] & (every["time_s"] < until_s)]
        if before.empty or asked.empty:
            raise MissingDataError("step 'long': one of the ends sent nothing")
        came = int(asked["bytes"].iloc[0])
        return all_of(
            at_least(came, LEAST_BYTES, unit="bytes in the first datagram"),
            at_most(int(before["bytes"].sum()), MOST_TIMES * came, unit="bytes come back"),
            self._takes(tables, "long", 3),
        ).because("datagrams", every.head(8))

    @claim(
        "With Retry a server lets a client prove its address first: the client sends the server's "
        "token back. That costs a round trip.",
        source="RFC 9000 §8.1.2, §17.2.5",
    )
    def retry_proves_the_address(self, tables: Tables) -> Verdict:
        """Retry, and the Initial packets before and behind it."""
        found = packets(frames(tables, "retry"))
        retries = found[found["packet"] == "Retry"]
        initials = found[(found["packet"] == "Initial") & found["from_client"]]
        tokens = initials["token_bytes"].tolist()[:2]
        given = retries["token_bytes"].tolist()
        return all_of(
            same(len(retries), 1, "packets of Retry"),
            same(tokens, [0, *given[:1]], "bytes of token in the client's Initial packets"),
            same(_ids_follow(retries, initials), True, "the id that the server chose is used"),
            self._takes(tables, "retry", 3),
        ).because("packets", found.head(4))

    @claim(
        "A server that does not know the version of a client's first packet names those that it "
        "knows, and the client begins again with one of them.",
        source="RFC 9000 §6; RFC 8999 §6",
    )
    def versions_are_negotiated(self, tables: Tables) -> Verdict:
        """The versions of the first packets, and the list."""
        found = packets(frames(tables, "versions"))
        asked = found.loc[found["from_client"], "version"].tolist()
        answers = found[found["packet"] == "Version Negotiation"]
        offered = {one for text in answers["versions"] for one in text.split(",")}
        return all_of(
            same(len(answers), 1, "answers with a list"),
            same(asked[0] in offered if asked else None, False, "the first version is in it"),
            same(bool(asked[1:]) and asked[1] in offered, True, "the second one is"),
            self._takes(tables, "versions", 3),
        ).because("packets", found.head(4))


def _ids_follow(retries: pd.DataFrame, initials: pd.DataFrame) -> Any:
    """The client's second Initial goes to the id from which Retry came (RFC 9000 §17.2.5.2)."""
    return bool(len(retries)) and initials["target_id"].tolist()[1:2] == [
        retries["source_id"].iloc[0]
    ]
