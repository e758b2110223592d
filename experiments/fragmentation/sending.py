"""What a host sends in one packet, in fragments, or not at all."""

from __future__ import annotations

import pandas as pd

from testbed import (
    Experiment,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    near,
    pick,
    same,
)

IP_HEADER, UDP_HEADER, ETHERNET_MTU = 20, 8, 1500

FITS_BYTES = ETHERNET_MTU - IP_HEADER - UDP_HEADER
"""Payload of the largest UDP datagram in one Ethernet frame: 1472."""

LARGEST_BYTES = 65_535 - IP_HEADER - UDP_HEADER
"""Payload of the largest UDP datagram there is (the IP total length has 16 bits): 65507."""

UNIT_BYTES = 8
"""The unit of the fragment offset (RFC 791 p. 13)."""

PORT, SMALL_PORT, SMALL_BUFFER_BYTES = 7000, 7001, 100


class Sending(Experiment):
    """What a host sends in one packet, in fragments, or not at all."""

    @claim(
        "1472 bytes of UDP payload travel in one packet over Ethernet's MTU of 1500.",
        source="RFC 768, RFC 791, RFC 894",
    )
    def fits_one_packet(self, tables: Tables) -> Verdict:
        """20 bytes of IP header, 8 of UDP, 1472 of payload."""
        seen = self._sent_to(tables, "fits", "h1-eth0", "h3-eth0")
        return all_of(
            near(len(seen), 1, abs=0, unit="packet"),
            near(_most(seen, "ip_bytes"), ETHERNET_MTU, abs=0, unit="bytes"),
            self._delivered(tables, "fits", [FITS_BYTES]),
        ).because("the datagram", seen)

    @claim(
        "One byte more makes two fragments, with the same identification, MF set on all but the "
        "last, and the UDP header only in the first.",
        source="RFC 791 p. 26–28",
    )
    def one_more_byte_is_cut(self, tables: Tables) -> Verdict:
        """1473 bytes of payload to h3."""
        seen = self._sent_to(tables, "too-long", "h1-eth0", "h3-eth0")
        return all_of(
            _listed(seen, "ip_bytes", [ETHERNET_MTU, IP_HEADER + 1], "lengths"),
            _listed(seen, "ip_offset_bytes", [0, ETHERNET_MTU - IP_HEADER], "offsets"),
            _listed(seen, "ip_mf", [1, 0], "MF"),
            near(seen["ip_id"].nunique(), 1, abs=0, unit="identification"),
            near(int(seen["udp_dport"].notna().sum()), 1, abs=0, unit="UDP header"),
            self._delivered(tables, "too-long", [FITS_BYTES + 1]),
        ).because("fragments", seen)

    @claim(
        "Offsets count units of 8 bytes: every fragment but the last carries a multiple of 8, and "
        "each begins where the one before ends.",
        source="RFC 791 p. 13, 27",
    )
    def offsets_count_eight_bytes(self, tables: Tables) -> Verdict:
        """The largest datagram: 45 fragments."""
        seen = self._sent_to(tables, "large", "h1-eth0", "h3-eth0")
        carried = seen["ip_bytes"] - seen["ip_header_bytes"]
        odd = int((carried[seen["ip_mf"].astype(bool)] % UNIT_BYTES != 0).sum())
        begins = carried.cumsum().shift(fill_value=0)
        gaps = int((begins != seen["ip_offset_bytes"]).sum())
        return all_of(
            near(int(carried.sum()), LARGEST_BYTES + UDP_HEADER, abs=0, unit="bytes carried"),
            at_least(len(seen), 2, unit="fragments"),
            at_most(odd, 0, unit="of them not in units of 8"),
            at_most(gaps, 0, unit="gaps or overlaps"),
            self._delivered(tables, "large", [LARGEST_BYTES]),
        ).because("fragments", seen)

    @claim(
        "The IP total length has 16 bits: 65507 bytes is the longest UDP payload, and the system "
        "refuses one byte more.",
        source="RFC 791 p. 13, RFC 768",
    )
    def length_has_sixteen_bits(self, tables: Tables) -> Verdict:
        """What the calls returned, and what came through."""
        return all_of(
            self._call(tables, "large", "sent"),
            self._delivered(tables, "large", [LARGEST_BYTES]),
            self._call(tables, "too-large", "EMSGSIZE"),
        ).because("sent", self._sent_to(tables, "large", "h1-eth0", "h3-eth0"))

    @claim(
        "A datagram longer than the receiver's buffer is truncated: the socket says so, and the "
        "rest is gone; the next datagram begins afresh.",
        source="RFC 1122 §4.1.4; recvmsg(2) MSG_TRUNC",
    )
    def long_datagrams_are_truncated(self, tables: Tables) -> Verdict:
        """A datagram ten times the buffer, then one that fits it."""
        got = self._got(tables, "truncated")
        found = [(int(r.got_bytes), bool(r.truncated)) for r in got.itertuples()]  # type: ignore[arg-type]
        wanted = [(SMALL_BUFFER_BYTES, True), (SMALL_BUFFER_BYTES, False)]
        return same(found, wanted, "bytes, truncated").because("receptions", got, scenario="main")

    @claim(
        "With DF set the sending host does not cut a packet that its own link cannot carry; the "
        "call fails.",
        source="RFC 791 p. 13, 25; ip(7) EMSGSIZE",
    )
    def df_forbids_cutting_at_home(self, tables: Tables) -> Verdict:
        """1473 bytes with DF: an error, and nothing on the wire."""
        seen = self._sent_to(tables, "df-local", "h1-eth0", "h3-eth0", silent=True)
        return all_of(
            self._call(tables, "df-local", "EMSGSIZE"), at_most(len(seen), 0, unit="packets sent")
        ).because("calls", tables.of("sent", step="df-local"), scenario="main")

    def _sent_to(
        self,
        tables: Tables,
        name: str,
        capture: str,
        target: str,
        version: int = 4,
        *,
        silent: bool = False,
    ) -> pd.DataFrame:
        """A step's packets from h1 to an interface's address, as a capture saw them.

        `silent`: h1 need not send anything in the step.
        """
        return pick(
            tables,
            name,
            capture,
            silent=silent,
            ip_src=address(tables, "h1-eth0", version),
            ip_dst=address(tables, target, version),
        )

    def _got(self, tables: Tables, name: str) -> pd.DataFrame:
        tables.of("steps", step=name)
        got = tables.of("received")
        return got[got["step"] == name]

    def _delivered(self, tables: Tables, name: str, sizes: list[int]) -> Verdict:
        got = [int(b) for b in self._got(tables, name)["got_bytes"]]
        return same(got, sizes, "bytes delivered")

    def _call(self, tables: Tables, name: str, result: str) -> Verdict:
        return self._calls(tables, name, [result])

    def _calls(self, tables: Tables, name: str, results: list[str]) -> Verdict:
        return same(list(tables.of("sent", step=name)["result"]), results, "calls")


def _most(packets: pd.DataFrame, column: str) -> float | None:
    return float(packets[column].max()) if len(packets) else None


def _listed(packets: pd.DataFrame, column: str, wanted: list[int], what: str) -> Verdict:
    return same([int(v) for v in packets[column].dropna()], wanted, what)
